"""Runs of whole programs.

``standalone``
    `aldente.run`: a program without pytest.
``searching``
    `aldente.search` and `aldente.replay`: a program under many schedules, and under one again.
``exploring``
    Many runs of a program, until one fails, and what is then looked into.
``replaying``
    A program once more under one schedule.
``programs``
    A program, and what holds for all its runs.
``failures``
    What a search has found.
``shrinking``, ``leading``, ``sameness``, ``watching``
    Makes the schedule of a failure smaller, by schedules that make do with other options; tells
    whether two runs have failed in the same way; sees which choices of a run are context switches.
``simulating``
    One simulated run, from its beginning to the very end.
``rule_watch``, ``found``
    What the rules see of runs without pytest; how a run fails by it, and what is said.
``reaching``
    Whether some tasks could ever do anything to others.
``tokens``
    Schedules in a printable form.
``entropy``
    Finds out on what a program depends beside its schedule.
``interrupting``
    Tells Ctrl-C from a KeyboardInterrupt of the program.
``arguments``, ``numbers``
    Checks what users give.
"""
