// The keyboard: j and k go from row to row, Enter opens the one they are on, / looks for a job.
//
// Without this script every link is reached with the tab key. It reads nothing but where it stands
// and whether its letters were switched off, and changes nothing but the focus, and how far the line
// of sections is pushed aside.
(function () {
  'use strict';

  // What is one after another on a page: rows of tables, groups, failures and what folds.
  var ROWS = 'main tbody > tr, main .groups > li, main details > summary, main .tiles > li';
  // What a browser keeps where letters are switched off, on the page about the report.
  var OFF = 'jmreport-keys-off';

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

  // Whether there is a field to go to: without one the key is the browser's own.
  function look() {
    var fields = document.querySelectorAll('main input[type="search"]');
    var field = Array.prototype.find.call(fields, function (each) { return !each.closest('[hidden]'); });
    if (!field) return false;
    var folder = field.closest('details');
    if (folder) folder.open = true;
    field.focus();
    return true;
  }

  // Some browsers keep nothing of files, or of pages in a frame, and let nobody ask.
  function kept() {
    try { return window.localStorage; } catch (error) { return null; }
  }

  function off() {
    var store = kept();
    return Boolean(store) && store.getItem(OFF) === 'yes';
  }

  // Whoever speaks to the machine, or hits keys by mistake, can have letters do nothing.
  function offer(choice) {
    var box = choice.querySelector('input'), store = kept();
    if (!store) return;
    choice.hidden = false;
    box.checked = !off();
    if (location.protocol === 'file:') {
      choice.querySelector('label').append(' (opened from a disk, some browsers keep it for this page alone)');
    }
    box.addEventListener('change', function () {
      try {
        if (box.checked) store.removeItem(OFF);
        else store.setItem(OFF, 'yes');
      } catch (error) { /* Where it takes nothing, the box goes back to what is so. */ }
      box.checked = !off();
    });
  }

  var choice = document.getElementById('keys');
  if (choice) offer(choice);

  document.addEventListener('keydown', function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest('input, select, textarea, [contenteditable]')) return;
    if (!/^[jk/]$/.test(event.key) || off()) return;
    if (event.key === '/' && !look()) return;
    if (event.key !== '/') step(event.key === 'j' ? 1 : -1);
    event.preventDefault();
  });

  // On a phone the sections are one line, and this page's own may be beyond its edge.
  var current = document.querySelector('.top [aria-current]');
  var strip = current && current.closest('ul');
  if (strip && strip.scrollWidth > strip.clientWidth && !strip.scrollLeft) {
    var ahead = current.getBoundingClientRect().left - strip.getBoundingClientRect().left;
    if (ahead + current.offsetWidth > strip.clientWidth * 0.8) strip.scrollLeft = ahead - 16;
  }
})();
