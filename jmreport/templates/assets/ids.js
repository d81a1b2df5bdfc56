// Finds a job's page by its id, from one page of ids to the next. Without this script the pages are
// plain lists of links.
//
// What was asked for is the address' hash (#id=…): where only one link can lead to it, it is
// followed, else those that may are shown. A server's text is only ever compared.
(function () {
  'use strict';

  var form = document.getElementById('find');
  var list = document.getElementById('ids');
  if (!list) return;

  var top = document.getElementById('top');
  var told = document.getElementById('told');
  var ofJobs = list.classList.contains('jobs');
  var items = Array.prototype.slice.call(list.children);
  var LONGEST = 40;

  // An id as addresses spell it (render/addresses.py).
  function spelled(id) {
    var plain = Array.from(id).slice(0, 400).join('').normalize('NFKD').replace(/[^\x00-\x7f]+/g, '');
    return dashes(dashes(plain.toLowerCase().replace(/[^a-z0-9]+/g, '-')).slice(0, LONGEST)) || 'job';
  }
  function dashes(text) { return text.replace(/^-|-$/g, ''); }

  function link(item) { return item.firstElementChild; }

  // What a link stands for: a beginning, or how its page's address spells a job's id.
  function stands(item) {
    if (!ofJobs) return item.textContent;
    return link(item).getAttribute('href').replace(/^.*\//, '').replace(/-[0-9a-f]+\.html$/, '');
  }

  function found(id) {
    var asked = spelled(id);
    var same = items.filter(function (item) {
      return ofJobs ? item.textContent === id : asked.indexOf(stands(item)) === 0;
    });
    if (same.length === 1) return same;
    return items.filter(function (item) { return stands(item).indexOf(asked) === 0; });
  }

  // Of an id that is too long for its address another may be spelled so.
  function sure(id, item) {
    return !ofJobs || item.textContent === id || spelled(id).length < LONGEST;
  }

  function look(id, follow) {
    var near = found(id);
    if (near.length === 1 && sure(id, near[0])) return follow(near[0]);
    items.forEach(function (item) { item.hidden = near.length > 0 && near.indexOf(item) < 0; });
    told.hidden = false;
    told.textContent = near.length
      ? 'Ids that begin like “' + id + '” are ' + (ofJobs ? 'these.' : 'behind these beginnings.')
      : 'No job that has a page here has an id that begins with “' + id + '”.';
  }

  function hash(id) { return '#' + new URLSearchParams({ id: id }); }

  function read() {
    var id = (new URLSearchParams(location.hash.slice(1)).get('id') || '').trim();
    form.elements.id.value = id;
    told.hidden = true;
    items.forEach(function (item) { item.hidden = false; });
    // The way back leads to where it was asked, not to the pages between.
    if (id) look(id, function (item) { location.replace(link(item).href + (ofJobs ? '' : hash(id))); });
  }

  form.hidden = false;
  form.addEventListener('submit', function (event) {
    event.preventDefault();
    var id = form.elements.id.value.trim();
    if (!id) return;
    if (top) location.assign(top.href + hash(id));
    else location.hash = hash(id);
  });
  window.addEventListener('hashchange', read);
  read();
})();
