"""Explored tests: one test to pytest, many runs under different schedules.

``marks``
    The mark `aldente.explore`.
``explored``
    Which tests are explored and how, and what is kept of each.
``hooks``, ``refusals``
    The hooks; why a test can't be explored.
``tests``, ``again``, ``runs``, ``fixtures``
    Makes a test into one that is run many times, or once more; what is done in each run; the
    function-scoped fixtures, made anew for each.
``found``
    What rules find in the runs: what fails one, and what is charged to the test in the end.
``examples``
    How often each example of Hypothesis is run, and what is said of one that fails.
``output``, ``progress``
    What the runs print, and how far they are.
``outcomes``, ``summary``
    What came of a test, in its report and at the end.
``remembered``
    The schedules that failed, kept to be tried first.

Only ``explored`` is imported by suites that have no explored tests.
"""
