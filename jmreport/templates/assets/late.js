// Says that a report is old, once another one should have taken its place: the overview of a night
// on which none came looks like that of any other. Without this script its date alone tells.
(function () {
  'use strict';

  var said = document.getElementById('late');
  var due = said && said.querySelector('time');
  if (due && Date.now() > Date.parse(due.dateTime)) said.hidden = false;
})();
