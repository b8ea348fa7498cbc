"""Runs of whole programs.

``api``
    `aldente.search`, `aldente.replay` and `aldente.run`.
``explorer``
    Many runs of a program, until one fails, and the analysis of that failure.
``batches``, ``sharded_search``
    A part of the runs of a search, as a value, and whether its results are still needed; a search
    whose runs are split into such parts.
``executors``
    Such a search in the worker processes of an executor.
``soak``, ``soak_state``, ``progress_json``
    A search that goes on for hours; its progress, in a directory.
``simulate``
    One simulated run of a program, from its beginning to the close of its loop.
``ending``
    The end of a run: ends the tasks that the program has left, and its hosts.
``result``
    The results of a search.
``shrink``
    Makes the schedule of a failure smaller.
``nondeterminism``
    Runs a program again, under one schedule or in asyncio's own order; finds what else it depends
    on; checks that schedules work on a Python newer than those tested.
``runs``
    The result of a run; the settings of runs.
``observations``, ``serial_orders``
    The outcome of the operations of a run; whether a serial order of them has the same outcome.
``check_class``
    Small programs that call the operations of a class, each explored.
``step_details``
    What each step of a run does: its callers, and what its task waits for when it stops.
``shared_uses``, ``shared_names``
    What tasks read and change in a run; the names that each line of a file uses; what objects are
    called in the program.
``races``, ``guards``, ``decisions``
    What raced among the things that tasks used; the lines that a condition guards, and the
    variables that keep a value; what a function has read or taken, and which of its lines depend on
    that.
``kept_values``
    The values that the changes of a run set, how much they took or put back, and how tasks ended.
``predicted_races``, ``race_search``, ``race_findings``
    The races that other schedules may have; runs that show which of them lose an update; the
    findings for these, and for what a task has taken and not put back.
``rules_in_runs``
    Rules in runs without pytest, and how their findings fail a run.
``interrupting``
    Distinguishes Ctrl-C and SIGTERM from a KeyboardInterrupt of the program; interrupts endless
    steps.
``arguments``
    Checks users' arguments.
"""
