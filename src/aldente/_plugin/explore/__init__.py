"""Explored tests: one test to pytest, many runs under different schedules.

``mark``
    The mark `aldente.explore`.
``state``
    Which tests are explored and how, and the state of each.
``hooks``
    The hooks, and the messages for tests that can't be explored.
``test``, ``run``, ``fixtures``
    Turns a test into one with many runs, or one replayed run; what each run does, and what the
    rules find in it; the function-scoped fixtures, made again for each run.
``hypothesis``
    How often each Hypothesis example is run, and the report of one that fails.
``output``
    The output of the runs, and their progress.
``report``, ``summary``
    The outcome of a test, in its report; of all tests, at the end, with the colours of stories.
``workers``, ``worker``
    Explores a test by several worker processes; what each of them does, and the messages between
    them and the main process.
``failure_cache``
    The schedules that failed, kept to try them first.

Only ``state`` is imported by suites that have no explored tests.
"""
