"""Runs of whole programs.

``api``
    `aldente.search`, `aldente.replay` and `aldente.run`.
``explorer``
    Many runs of a program, until one fails, and what is then looked into.
``simulate``
    One simulated run of a program, from its beginning to the very end.
``result``
    What a search has found.
``shrink``
    Makes the schedule of a failure smaller.
``nondeterminism``
    A program once more under one schedule, and on what it depends beside that.
``rules_in_runs``
    What the rules see of runs without pytest; how a run fails by it, and what is said.
``interrupting``
    Tells Ctrl-C from a KeyboardInterrupt of the program, and ends steps that never do.
``self_check``
    Whether schedules can be chosen on a Python on which that was never checked.
``arguments``
    Checks what users give.
"""
