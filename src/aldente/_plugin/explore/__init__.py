"""Explored tests: one test to pytest, many runs under different schedules.

``mark``
    The mark `aldente.explore`.
``state``
    Which tests are explored and how, and what is kept of each.
``hooks``, ``refusals``
    The hooks; why a test can't be explored.
``test``, ``run``, ``fixtures``
    Makes a test into one that is run many times, or once more; what is done in each run, and what
    rules find in it; the function-scoped fixtures, made anew for each.
``hypothesis``
    How often each example of Hypothesis is run, and what is said of one that fails.
``output``
    What the runs print, and how far they are.
``report``
    What came of a test, in its report and at the end.
``failure_cache``
    The schedules that failed, kept to be tried first.

Only ``state`` is imported by suites that have no explored tests.
"""
