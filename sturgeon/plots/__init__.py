"""Pictures of studies and trials, one file each, as pure functions from answers of the server to specifications.

A specification (`specs.Spec`) is Vega-Lite 6, or Vega 6 for `parallel`. It is the same on the page, in a file, in the
report and in a notebook. `registry.PLOTS` names all kinds, and says which answers each needs.

- The data are named datasets, of the rows as the server gives them. What is derived from one row (its place, whether
  it is cut) is derived in the specification, so that a page changes `rows` alone. What is derived from all rows (the
  ends of axes, the best) are a few params, from `summaries`, and a page's static/js/summaries.js: no scale or filter
  looks at all rows, so one that arrives is encoded alone, however many are there.
- No colour is in a specification: marks name styles and ranges that `theme.config` has, for light and for dark.
- A text of a user is data, or a title. It is never a field, nor part of an expression: parameters are p0, p1, ..
- The signal `selected` holds the numbers of the trials that are picked out. A mark of a trial has its row as datum.
- On a page, `specs.for_page` takes the data and the title away: the page has both.
"""
