// Filters, sorts and pages the list of all jobs. Without this script the page is a plain list.
//
// The rows come from assets/jobs-<hash>.js, column by column (render/joblists.py says how). A
// server's text only ever becomes textContent, an option's value or an encoded hash; addresses of
// pages are made by jmreport. The state of the form is the address' hash, so a view can be linked.
(function () {
  'use strict';

  var data = window.jmreportJobs;
  var form = document.getElementById('filter');
  if (!data || !form) return;

  var PAGE = 100;
  // More rows than a screen shows: these come at once, and those below them when they are painted.
  var FIRST = 30;
  var table = document.getElementById('jobs');
  var body = table.tBodies[0];
  var heads = Array.prototype.slice.call(document.querySelectorAll('#jobs thead th'));
  var said = document.getElementById('found');
  var pager = document.getElementById('pages');
  var none = document.getElementById('none');
  var columns = data.columns;
  var byKey = {};
  columns.forEach(function (column) { byKey[column.key] = column; });
  var state = {};
  var shown = [];
  var aside = 0;
  var haystacks = null;

  // --- what a cell says -----------------------------------------------------------------------

  function value(column, row) {
    var at = column.values[row];
    return column.words && at !== null ? column.words[at] : at;
  }

  // The same words as render/words.py, from seconds.
  function duration(exact) {
    if (exact > 0 && exact < 1) return 'under 1 s';
    var seconds = Math.floor(exact + 0.5);
    if (seconds < 60) return seconds + ' s';
    var minutes = Math.floor((seconds + 30) / 60);
    if (minutes < 60) return minutes + ' min';
    if (minutes < 72 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
    var hours = Math.floor((minutes + 30) / 60);
    return pair(Math.floor(hours / 24), 'days', hours % 24, 'h');
  }
  function pair(large, unit, small, smaller) {
    return thousands(large) + ' ' + unit + (small ? ' ' + small + ' ' + smaller : '');
  }

  var MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  var inZone = new Intl.DateTimeFormat('en-GB', {
    timeZone: data.zone, day: 'numeric', month: 'numeric', year: 'numeric',
    hour: '2-digit', minute: '2-digit', hourCycle: 'h23'
  });
  function parts(at) {
    // A page has hundreds of times: in UTC none has to be asked of the zone.
    if (data.zone === 'UTC') return {
      year: at.getUTCFullYear(), month: at.getUTCMonth() + 1, day: at.getUTCDate(),
      hour: two(at.getUTCHours()), minute: two(at.getUTCMinutes())
    };
    var part = {};
    inZone.formatToParts(at).forEach(function (each) { part[each.type] = each.value; });
    return part;
  }
  function two(number) { return (number < 10 ? '0' : '') + number; }
  function time(seconds) {
    var part = parts(new Date(seconds * 1000));
    var day = Number(part.day) + ' ' + MONTHS[Number(part.month) - 1];
    var clock = part.hour + ':' + part.minute;
    return Number(part.year) === data.year ? day + ' ' + clock : day + ' ' + part.year + ', ' + clock;
  }

  function thousands(number) { return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f'); }

  // --- a row ----------------------------------------------------------------------------------

  function element(name, text, kind) {
    var made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function template(name) { return document.getElementById(name).content.firstElementChild.cloneNode(true); }

  function status(word) {
    var known = document.getElementById('status-' + word.toLowerCase());
    if (known) return known.content.firstElementChild.cloneNode(true);
    var unknown = template('status-unknown');
    unknown.lastChild.textContent = word ? 'Unknown (' + word + ')' : 'Unknown';
    return unknown;
  }

  function link(text, address, kind) {
    var made = element('a', text, kind);
    made.href = address;
    return made;
  }

  // A long name or address may break behind its signs, as words.breakable has it.
  function isSign(letter) { return letter === '_' || letter === '@'; }
  function breakable(at, text) {
    var from = 0;
    for (var to = 1; text.length >= 12 && to < text.length; to++) {
      if (!isSign(text.charAt(to - 1)) || isSign(text.charAt(to))) continue;
      at.appendChild(document.createTextNode(text.slice(from, to)));
      at.appendChild(element('wbr'));
      from = to;
    }
    at.appendChild(document.createTextNode(text.slice(from)));
  }

  // What is heard where a dash is seen, as columns.py has it.
  var WAITING = ['Submitted', 'OnHold'], GOING = WAITING.concat(['Running', 'Aborting']);
  function lacking(column, row) {
    if (column.key.indexOf('labels.') === 0) return 'none';
    var status = value(byKey.status, row);
    if (column.key === 'end' && GOING.indexOf(status) >= 0) return 'no end known';
    if ((column.key === 'start' || column.key === 'took') && WAITING.indexOf(status) >= 0) return 'no start known';
    return 'not known';
  }

  function cell(column, row) {
    var what = value(column, row);
    var td = element('td');
    td.setAttribute('data-label', column.title);
    if (column.look) td.className = column.look;
    if (what === null || what === '') td.appendChild(template('missing')).lastChild.textContent = lacking(column, row);
    else if (column.kind === 'status') td.appendChild(status(what));
    else if (column.kind === 'job') td.appendChild(link('', page(row), 'id')).appendChild(element('code', what));
    else if (column.kind === 'workflow') workflow(td, column, row);
    else if (column.kind === 'time' && typeof what === 'number') {
      var at = element('time', time(what));
      at.dateTime = new Date(what * 1000).toISOString();
      td.appendChild(at);
    } else if (column.kind === 'text') breakable(td, String(what));
    else if (column.kind === 'duration' && column.going.indexOf(row) >= 0) {
      td.className += ' going';
      td.textContent = duration(what).replace(/ /g, '\u00a0') + '\nso\u00a0far';
    } else td.textContent = column.kind === 'duration' ? duration(what) : column.kind === 'number' ? thousands(what) : what;
    return td;
  }

  function workflow(td, column, row) {
    var at = column.values[row], address = data.workflows[at];
    breakable(address ? td.appendChild(link('', address)) : td, column.words[at]);
    if (data.failures[row] !== null) td.appendChild(element('span', data.causes[data.failures[row]], 'sub'));
  }

  function page(row) {
    var file = data.files[row];
    return (file.charAt(0) === '+' ? data.ids[row] + file.slice(1) : file.slice(1)) + '.html';
  }

  function line(row) {
    var tr = element('tr');
    columns.forEach(function (column) { tr.appendChild(cell(column, row)); });
    return tr;
  }

  // --- which rows, in which order -------------------------------------------------------------

  // Each word is made small once, and not in each of the many rows that have it.
  function small(words) { return words.map(function (word) { return String(word).toLowerCase(); }); }

  function texts() {
    if (haystacks) return;
    var said = columns.filter(function (column) { return column.kind !== 'time' && column.kind !== 'duration'; });
    var parts = said.map(function (column) { return column.words ? small(column.words) : null; });
    var pairs = small(data.pairs.map(function (pair) { return pair.join('='); }));
    var causes = small(data.causes);
    haystacks = data.ids.map(function (id, row) {
      var words = [id.toLowerCase()];
      for (var place = 0; place < said.length; place++) {
        var at = said[place].values[row];
        if (at !== null) words.push(parts[place] ? parts[place][at] : String(at).toLowerCase());
      }
      data.labels[row].forEach(function (pair) { words.push(pairs[pair]); });
      if (data.failures[row] !== null) words.push(causes[data.failures[row]]);
      return words.join('\n');
    });
  }

  function pairsThat(matches) {
    var set = {};
    data.pairs.forEach(function (pair, at) { if (matches(pair)) set[at] = true; });
    return set;
  }

  function hasPair(set) {
    return function (row) { return data.labels[row].some(function (pair) { return set[pair]; }); };
  }

  // "owner=ana" is that value, "owner" is any value, "owner=" an empty one. Capitals tell apart what is there.
  function labelled(text) {
    var split = text.indexOf('=');
    var key = split < 0 ? text : text.slice(0, split), wanted = text.slice(split + 1);
    var exact = pairsThat(function (pair) { return pair[0] === key && (split < 0 || pair[1] === wanted); });
    if (Object.keys(exact).length) return exact;
    key = key.toLowerCase();
    wanted = wanted.toLowerCase();
    return pairsThat(function (pair) { return pair[0].toLowerCase() === key && (split < 0 || pair[1].toLowerCase() === wanted); });
  }

  // "owner=ana batch=b1" are both, unless it is a value with a space or a comma in it.
  function allLabelled(text) {
    var whole = labelled(text), parts = text.split(/[\s,]+/).filter(Boolean);
    return Object.keys(whole).length || !parts.length ? [whole] : parts.map(labelled);
  }

  function wordTest(column, wanted) {
    var at = column.words.indexOf(wanted);
    return function (row) { return column.values[row] === at; };
  }

  // A field's box: a chosen value is meant as it is, a typed one as what a value begins with.
  function fieldTest(field, wanted) {
    var key = field.key.indexOf('labels.') === 0 ? field.key.slice(7) : null;
    var lower = wanted.toLowerCase();
    function fits(value) { return field.choices ? value === wanted : value.toLowerCase().indexOf(lower) === 0; }
    if (key !== null) return hasPair(pairsThat(function (pair) { return pair[0] === key && fits(pair[1]); }));
    return function (row) { return field.values[row] !== null && fits(field.words[field.values[row]]); };
  }

  // Archived jobs are put aside unless they are asked for, be it by a label or flag that says so.
  var archived = {};
  data.archived.forEach(function (row) { archived[row] = true; });
  function withArchived() {
    return state.archived === 'on' || state.flag === 'archive' || data.archived.length === data.ids.length ||
      Boolean(state.label) && allLabelled(state.label).some(function (set) {
        var those = Object.keys(set);
        return those.length === 1 && data.pairs[those[0]].join('=') === 'flag=archive';
      });
  }

  function tests() {
    var all = [];
    if (state.status) all.push(wordTest(byKey.status, state.status));
    if (state.workflow) all.push(wordTest(byKey.name, state.workflow));
    if (state.label) all = all.concat(allLabelled(state.label).map(hasPair));
    if (state.flag) all.push(hasPair(labelled('flag=' + state.flag)));
    data.filters.forEach(function (field) {
      if (state['by.' + field.key]) all.push(fieldTest(field, state['by.' + field.key]));
    });
    if (state.text) {
      texts();
      state.text.toLowerCase().split(/\s+/).forEach(function (word) {
        all.push(function (row) { return haystacks[row].indexOf(word) >= 0; });
      });
    }
    return all;
  }

  // Numbers a row is sorted by, made once a column: words by their place in the alphabet.
  function ranks(column) {
    if (column.ranks) return column.ranks;
    // A text among times is no date, and has no place in their order.
    if (!column.words) return (column.ranks = column.values.map(function (at) { return column.kind === 'time' && typeof at === 'string' ? null : at; }));
    var order = column.words.map(function (_, at) { return at; });
    var collator = new Intl.Collator('en', { numeric: true });
    order.sort(function (a, b) { return collator.compare(column.words[a], column.words[b]); });
    var rank = [];
    order.forEach(function (at, place) { rank[at] = place; });
    return (column.ranks = column.values.map(function (at) { return at === null ? null : rank[at]; }));
  }

  function sorted(rows) {
    var down = (state.sort || '').charAt(0) === '-';
    var column = byKey[(state.sort || '').replace(/^-/, '')];
    if (!column) return rows;
    var rank = ranks(column), way = down ? -1 : 1;
    // What is not known comes last either way; equals keep the list's order.
    return rows.sort(function (a, b) {
      var x = rank[a], y = rank[b];
      if (x === y) return a - b;
      if (x === null) return 1;
      if (y === null) return -1;
      return x < y ? -way : way;
    });
  }

  function select() {
    var all = tests();
    var rows = [], every = withArchived();
    aside = 0;
    for (var row = 0; row < data.ids.length; row++) {
      if (!all.every(function (test) { return test(row); })) continue;
      if (every || !archived[row]) rows.push(row);
      else aside += 1;
    }
    shown = sorted(rows);
  }

  // --- showing them ---------------------------------------------------------------------------

  // Whether the rows are those that the page came with: of its first view, as they are made here.
  var came = true;
  // Rows of this view that are still to be put below the others.
  var waiting = [];

  function put(rows) {
    var lines = document.createDocumentFragment();
    rows.forEach(function (row) { lines.appendChild(line(row)); });
    body.appendChild(lines);
  }

  function putRest() {
    var rest = waiting;
    waiting = [];
    put(rest);
  }

  function putRows(rows) {
    body.textContent = '';
    put(rows.slice(0, FIRST));
    waiting = rows.slice(FIRST);
    if (waiting.length) requestAnimationFrame(function () { setTimeout(putRest); });
  }

  function show() {
    var pages = Math.max(1, Math.ceil(shown.length / PAGE));
    var current = Math.min(Math.max(1, Number(state.page) || 1), pages);
    var rows = shown.slice((current - 1) * PAGE, current * PAGE);
    if (!came || Object.keys(state).length || body.children.length !== rows.length) putRows(rows);
    came = false;
    body.parentNode.hidden = !shown.length;
    none.hidden = !!shown.length;
    showById();
    var at = thousands(current) + ' of ' + thousands(pages);
    var all = data.ids.length - (withArchived() ? 0 : data.archived.length);
    showFound((shown.length === all ? '' : thousands(shown.length) + ' of ') +
      thousands(all) + (all === 1 ? ' job' : ' jobs'), pages > 1 ? at : '');
    showPager(current, pages, at);
    showSort();
  }

  // What the heading says is said again only to those who hear it, and so is the page, which others
  // see between the buttons.
  var heading = document.querySelector('h1').textContent.trim();
  function showFound(count, at) {
    var span = element('span', count + (aside ? ', ' : ''), count === heading ? 'vh' : '');
    said.replaceChildren(span, aside ? '+ ' + thousands(aside) + ' archived' : '');
    if (at) said.appendChild(element('span', ', page ' + at, 'vh'));
  }

  // What no job of this list says may be the id of another.
  var byId = document.getElementById('by-id');
  var ids = byId && byId.querySelector('a').getAttribute('href');
  function showById() {
    if (!byId) return;
    byId.hidden = !/^\S{4,}$/.test(state.text || '');
    byId.querySelector('a span').textContent = state.text || '';
    byId.querySelector('a').href = ids + '#' + new URLSearchParams({ id: state.text || '' });
  }

  function showPager(current, pages, at) {
    pager.hidden = pages < 2;
    pager.textContent = '';
    [['Previous', current - 1], ['Next', current + 1]].forEach(function (step, place) {
      var button = element('button', step[0]);
      button.type = 'button';
      button.disabled = step[1] < 1 || step[1] > pages;
      button.addEventListener('click', function () {
        go({ page: step[1] > 1 ? String(step[1]) : '' });
        table.scrollIntoView();
        // The button went with its page: the keyboard goes on at that of the new one, if it leads anywhere.
        var same = pager.querySelectorAll('button')[place];
        (same.disabled ? table : same).focus({ preventScroll: true });
      });
      if (place) pager.appendChild(element('span', 'Page ' + at));
      pager.appendChild(button);
    });
  }

  function showSort() {
    heads.forEach(function (head, at) {
      var key = columns[at].key;
      var how = state.sort === key ? 'ascending' : state.sort === '-' + key ? 'descending' : '';
      if (how) head.setAttribute('aria-sort', how);
      else head.removeAttribute('aria-sort');
    });
    var known = byKey[(state.sort || '').replace(/^-/, '')];
    form.elements.sort.value = known ? state.sort : '';
    document.getElementById('newest').hidden = !!known;
  }

  // --- the form, the headings and the hash ----------------------------------------------------

  var TYPED = ['text', 'status', 'workflow', 'label', 'flag'].concat(data.filters.map(function (field) { return 'by.' + field.key; }));
  var FIELDS = TYPED.concat(['archived', 'sort', 'page']);

  function read() {
    var found = new URLSearchParams(location.hash.slice(1));
    state = {};
    FIELDS.forEach(function (field) { if (found.get(field)) state[field] = found.get(field); });
    TYPED.forEach(function (field) {
      var input = form.elements[field];
      // A value that no job has any more is still shown, so that the filter can be seen and cleared.
      if (input.options && state[field] && !Array.prototype.some.call(input.options, function (option) { return option.value === state[field]; })) {
        input.appendChild(option(state[field], state[field]));
      }
      if (input.value !== (state[field] || '')) input.value = state[field] || '';
    });
    // Where another choice asks for them already, there is nothing to choose.
    form.elements.archived.checked = withArchived();
    form.elements.archived.disabled = withArchived() && state.archived !== 'on';
    select();
    show();
  }

  function go(changes) {
    var wanted = new URLSearchParams();
    FIELDS.forEach(function (field) {
      var what = field in changes ? changes[field] : state[field];
      if (what) wanted.set(field, what);
    });
    // A file's address takes a hash by replaceState too, and the way back stays short.
    history.replaceState(null, '', wanted.toString() ? '#' + wanted : location.pathname + location.search);
    read();
  }

  function fromForm() {
    var put = form.elements.archived;
    var chosen = { archived: put.checked && !put.disabled ? 'on' : '', sort: form.elements.sort.value, page: '' };
    TYPED.forEach(function (field) { chosen[field] = form.elements[field].value.trim(); });
    go(chosen);
  }

  function option(text, of) {
    var made = element('option', text);
    made.value = of;
    return made;
  }

  function fill(input, words) {
    words.slice().sort(new Intl.Collator('en', { numeric: true }).compare).forEach(function (word) {
      if (word) input.appendChild(option(word, word));
    });
  }

  function putIn(input, title, name, id) {
    var span = element('span'), label = element('label', title);
    input.id = label.htmlFor = id;
    input.name = name;
    span.appendChild(label);
    span.appendChild(input);
    form.insertBefore(span, form.elements.archived.parentNode);
    return span;
  }

  // A box for each field that the server marks: a choice where its values are few.
  function box(field, place) {
    var input = element(field.choices ? 'select' : 'input');
    if (field.choices) {
      input.appendChild(option('Any', ''));
      field.choices.forEach(function (word) { if (word) input.appendChild(option(word, word)); });
    } else input.autocomplete = 'off';
    putIn(input, field.title, 'by.' + field.key, 'f-by-' + place);
  }

  // What the headings do, for a screen that has no room for them.
  var ORDERS = {
    time: ['oldest first', 'newest first'],
    duration: ['shortest first', 'longest first'],
    number: ['smallest first', 'largest first']
  };
  function sorting() {
    var input = element('select');
    input.appendChild(option('Newest first', ''));
    columns.forEach(function (column) {
      (ORDERS[column.kind] || ['A to Z', 'Z to A']).forEach(function (order, down) {
        input.appendChild(option(column.title + ', ' + order, (down ? '-' : '') + column.key));
      });
    });
    putIn(input, 'Sort by', 'sort', 'f-sort').className = 'sorting';
  }

  function dress() {
    fill(form.elements.workflow, byKey.name.words);
    fill(form.elements.flag, data.flags);
    data.filters.forEach(box);
    sorting();
    byKey.status.words.forEach(function (word) {
      if (word) form.elements.status.appendChild(option(status(word).textContent.trim(), word));
    });
    // Labels that tell jobs apart in groups; a suggestion for each sample would be no help.
    var offered = document.getElementById('labels');
    data.offered.forEach(function (pair) { offered.appendChild(option(undefined, data.pairs[pair].join('='))); });
    heads.forEach(function (head, at) {
      var button = element('button', head.textContent, 'sort');
      button.type = 'button';
      button.addEventListener('click', function () {
        var key = columns[at].key;
        go({ sort: state.sort === key ? '-' + key : state.sort === '-' + key ? '' : key, page: '' });
      });
      // Where no heading is in sight it still names its cells, and no key leads there (site.css).
      var named = element('span', head.textContent, 'named');
      head.replaceChildren(named, button);
    });
    table.tabIndex = -1;
    form.addEventListener('submit', function (event) { event.preventDefault(); fromForm(); });
    form.addEventListener('change', fromForm);
    form.addEventListener('reset', function (event) { event.preventDefault(); clear(); });
    document.getElementById('clear').addEventListener('click', clear);
    var typing;
    form.elements.text.addEventListener('input', function () {
      clearTimeout(typing);
      typing = setTimeout(fromForm, 120);
    });
    window.addEventListener('hashchange', read);
    window.addEventListener('beforeprint', putRest);
    document.querySelectorAll('[data-static]').forEach(function (other) { other.hidden = true; });
    said.hidden = false;
    var folder = document.getElementById('filters');
    folder.hidden = false;
    // A phone shows jobs first; a filter that is set stays in sight.
    folder.open = location.hash.length > 1 || !matchMedia('(max-width: 47.99rem)').matches;
  }

  function clear() {
    var none = { archived: '', page: '' };
    TYPED.forEach(function (field) { none[field] = ''; });
    go(none);
  }

  dress();
  read();
  // Made when nobody waits for anything, so that the first letters find it ready.
  if (window.requestIdleCallback) requestIdleCallback(texts);
})();
