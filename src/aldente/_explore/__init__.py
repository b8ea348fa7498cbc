"""Runs of whole programs.

``api``
    `aldente.search`, `aldente.replay` and `aldente.run`.
``explorer``
    Many runs of a program, until one fails, and the analysis of that failure.
``simulate``
    One simulated run of a program, from its beginning to the close of its loop.
``result``
    The results of a search.
``shrink``
    Makes the schedule of a failure smaller.
``nondeterminism``
    Runs a program again under one schedule, and finds what else it depends on.
``shared_uses``, ``shared_names``
    What raced in a run: what tasks read and change; the names that each line of a file uses.
``real_clocks``
    The hint for a failure of a program that reads clocks which don't follow loop time.
``rules_in_runs``
    Rules in runs without pytest, and how their findings fail a run.
``interrupting``
    Distinguishes Ctrl-C from a KeyboardInterrupt of the program; interrupts endless steps.
``self_check``
    Checks that schedules work on a Python newer than those tested.
``arguments``
    Checks users' arguments.
"""
