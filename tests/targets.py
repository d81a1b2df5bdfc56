"""What is touched on a page: links and controls that are too small for a finger, or too close."""

#: Links and controls below 24 pixels with another one too near (WCAG 2.2, 2.5.8): a circle of 24
#: pixels around the middle of one touches another, or the circle of another small one. Links in a
#: sentence are as high as its lines; bars of a chart have their numbers in a table beside it.
TOO_SMALL = r"""() => {
  const SIZE = 24, found = [];
  const within = (one, other) => one !== other && (one.contains(other) || other.contains(one));
  const sentence = link => {
    const cell = link.closest('p, figcaption, dd, .sub');
    if (!cell || getComputedStyle(link).display !== 'inline') return false;
    const rest = cell.cloneNode(true);
    rest.querySelectorAll('a, .vh').forEach(each => { each.remove(); });
    return /\p{L}{2}/u.test(rest.textContent);
  };
  const seen = each => each.checkVisibility({ visibilityProperty: true });
  const all = Array.from(document.querySelectorAll('a[href], button, input, select, summary'))
    .filter(each => seen(each) && !each.closest('svg, .skip'))
    .map(each => {
      const box = each.getBoundingClientRect();
      const small = box.width < SIZE - 0.1 || box.height < SIZE - 0.1;
      return { each, box, small, x: box.left + box.width / 2, y: box.top + box.height / 2 };
    });
  for (const one of all) {
    if (!one.small || sentence(one.each)) continue;
    const near = all.find(other => {
      if (other === one || within(one.each, other.each)) return false;
      // A link that goes on in the next line is where its words are.
      const apart = Math.min(...Array.from(other.each.getClientRects(), box => Math.hypot(
        Math.max(box.left - one.x, 0, one.x - box.right),
        Math.max(box.top - one.y, 0, one.y - box.bottom))));
      const middles = Math.hypot(other.x - one.x, other.y - one.y);
      return apart < SIZE / 2 - 0.1 || (other.small && middles < SIZE - 0.1);
    });
    if (near) {
      const { width, height } = one.box;
      const where = one.each.closest('table, ul, nav, p, dl, form') || one.each.parentElement;
      found.push(`${Math.round(width)}x${Math.round(height)} "${one.each.textContent.trim()}" `
        + `near "${near.each.textContent.trim()}" in ${where.tagName}.${where.className}`);
    }
  }
  return found;
}"""
