"""Runs of whole programs.

``api``
    `aldente.search`, `aldente.replay` and `aldente.run`.
``explorer``
    Many runs of a program, until one fails, and the analysis of that failure.
``batches``, ``sharded_search``
    Some of the runs of a search, as a value, and which of these are still needed; a search whose
    runs are shared out.
``executors``
    Such a search in the worker processes of an executor.
``soak``, ``soak_state``, ``progress_json``
    A search that goes on for hours; how far it has come, in a directory.
``simulate``
    One simulated run of a program, from its beginning to the close of its loop.
``ending``
    The end of a run, with the tasks that its program has left, and its hosts.
``result``
    The results of a search.
``shrink``
    Makes the schedule of a failure smaller.
``nondeterminism``
    Runs a program again, under one schedule or in asyncio's own order; finds what else it depends
    on; checks that schedules work on a Python newer than those tested.
``runs``
    What a run has given; the settings of runs.
``observations``, ``serial_orders``
    What operations of a run have given; whether they give the same one at a time, in some order.
``check_class``
    Small programs of the operations of a class, each explored.
``step_details``
    What each step of a run does: its callers, and what its task waits for when it stops.
``shared_uses``, ``shared_names``
    What tasks read and change in a run; the names that each line of a file uses; what objects are
    called in the program.
``races``, ``guards``, ``decisions``
    What raced, of what tasks have used; the lines that a condition decides about, and the variables
    that keep a value; what a function has read or taken, and which of its lines go by that.
``kept_values``
    What changes of a run have set, how much they have taken or put back, and how tasks have ended.
``predicted_races``, ``race_search``, ``race_findings``
    The races that there may be in other schedules; runs that show in which of them an update is
    lost; the findings of these, and of what a task has taken and not put back.
``rules_in_runs``
    Rules in runs without pytest, and how their findings fail a run.
``interrupting``
    Distinguishes Ctrl-C and SIGTERM from a KeyboardInterrupt of the program; interrupts endless
    steps.
``arguments``
    Checks users' arguments.
"""
