"""The simulated loop: an asyncio event loop whose every timing is a recorded choice.

``loop``
    The event loop, as its users see it: tasks, time, budgets, threads.
``ready``, ``timers``, ``durations``, ``scheduler``
    Its inside: ready callbacks; timers; how much longer something may take; which callback runs
    next, and when time passes.
``explored``, ``api``
    What a program declares about itself while it is explored, such as invariants, and the limits of
    a run; its API.
``injection``
    Cancellations that the explorer injects.
``choices``
    The strategy's interface, and the options that it chooses among.
``tokens``
    Schedules in a printable form.
``executors``
    Executors, whose threads take turns with the loop.
``turns``
    The turn that the loop and the thread of a job hand to each other.
``remote_jobs``
    Jobs of executors outside of this process.
``anyio_in_runs``
    anyio's worker threads, which take turns too, and its sets.
``foreign_threads``
    Threads that the program starts itself; the loop waits for them.
``outside``
    Calls that would leave the run: methods that need real I/O, sockets that a program uses without
    the loop; and ``time.sleep()`` in a job, which takes loop time.
``operations``, ``observed_classes``, ``values``
    Operations of an object: which there are in a run, and how they are run one at a time; how its
    methods come to be operations; what their results are compared by.
``network``
    A network between the program's own parts: asyncio's code for sockets, on simulated ones.
``network_api``, ``host_api``
    The network as programs see it: hosts, links, and faults.
``streams``
    Connections in memory.
``determinism``
    Seeded randomness; tasks and futures whose order in sets does not depend on addresses.
``trace``
    A record of all steps of a run; one number for all of them, to compare runs.

Its rules: a schedule may do what asyncio could do if awaits took other times. All order is that of
numbers given at creation; nothing here iterates over a set. A step costs the logarithm of the
number of timers, and a move of 8 bytes of memory for each ready task: a fifth of a microsecond for
4,000.
"""
