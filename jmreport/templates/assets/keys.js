// The keyboard: j and k go from row to row, Enter opens the one they are on, / looks for a job.
//
// Without this script every link is reached with the tab key. It reads nothing but where it stands,
// and changes nothing but the focus, and how far the line of sections is pushed aside.
(function () {
  'use strict';

  // What is one after another on a page: rows of tables, groups, failures and what folds.
  var ROWS = 'main tbody > tr, main .groups > li, main details > summary, main .tiles > li';
  var LOOK = '#look';

  function shown(element) {
    return element.getClientRects().length > 0;
  }

  // The part of a row that takes the focus, so that Enter opens it.
  function stop(row) {
    if (row.tagName === 'SUMMARY') return row;
    return Array.prototype.find.call(row.querySelectorAll('th a[href], a[href]'), shown) || null;
  }

  function step(by) {
    var stops = [];
    Array.prototype.forEach.call(document.querySelectorAll(ROWS), function (row) {
      var at = shown(row) && stop(row);
      if (at && stops.indexOf(at) < 0) stops.push(at);
    });
    var here = document.activeElement;
    var row = here && here.closest(ROWS);
    var at = stops.indexOf(here);
    if (at < 0 && row) at = stops.indexOf(stop(row));
    var next = at < 0 ? (by > 0 ? first(stops) : -1) : at + by;
    if (stops[next]) stops[next].focus();
  }

  // The first one that is on the screen, not the first of a page that was read half-way down.
  function first(stops) {
    var found = stops.findIndex(function (each) { return each.getBoundingClientRect().top >= 0; });
    return found < 0 ? 0 : found;
  }

  function look() {
    var field = document.querySelector('main input[type="search"]');
    if (field && shown(field)) {
      field.focus();
      return;
    }
    var jobs = document.querySelector('header nav a[data-jobs]');
    if (jobs) location.assign(jobs.href + LOOK);
  }

  document.addEventListener('keydown', function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest('input, select, textarea, [contenteditable]')) return;
    if (event.key === 'j') step(1);
    else if (event.key === 'k') step(-1);
    else if (event.key === '/') look();
    else return;
    event.preventDefault();
  });

  // On a phone the sections are one line, and this page's own may be beyond its edge.
  var current = document.querySelector('.top [aria-current]');
  var strip = current && current.closest('ul');
  if (strip && strip.scrollWidth > strip.clientWidth && !strip.scrollLeft) {
    var ahead = current.getBoundingClientRect().left - strip.getBoundingClientRect().left;
    if (ahead + current.offsetWidth > strip.clientWidth * 0.8) strip.scrollLeft = ahead - 16;
  }

  if (location.hash === LOOK) {
    var folder = document.getElementById('filters');
    if (folder) folder.open = true;
    look();
  }
})();
