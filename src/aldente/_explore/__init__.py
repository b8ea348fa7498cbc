"""Runs of whole programs.

``standalone``
    `aldente.run`: a program without pytest.
``searching``
    `aldente.search` and `aldente.replay`: a program under many schedules, and under one again.
``simulating``
    One simulated run, from its beginning to the very end.
``reaching``
    Whether some tasks could ever do anything to others.
``tokens``
    Schedules in a printable form.
``entropy``
    Finds out on what a program depends beside its schedule.
``interrupting``
    Tells Ctrl-C from a KeyboardInterrupt of the program.
``arguments``
    Checks what users give.
"""
