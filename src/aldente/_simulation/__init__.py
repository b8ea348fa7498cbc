"""The simulated loop: asyncio whose every timing is a recorded choice.

``loop``
    The event loop, as its users see it: tasks, time, budgets, threads.
``ready``, ``timers``, ``scheduler``
    Its inside: what is ready, what is to happen later; which is next, and when time passes.
``explored``, ``api``
    What a program says of itself while it is explored, and the functions by which it does.
``injection``
    Cancellations that come from nowhere in the program.
``choices``
    What a schedule is made of: what chooses, and what is known about the options.
``tokens``
    Schedules in a printable form.
``executors``
    Executors, whose threads take turns with the loop.
``foreign_threads``
    Threads that the program starts itself, which are waited for.
``unsupported``
    What needs the world outside, and is refused.
``streams``
    Connections in memory.
``determinism``
    Seeds the randomness of a program; tasks and futures whose order in sets depends on no address.
``limits``, ``trace``
    How long a run may take, and what keeps a loop busy; all steps of a run.

The rules behind it: what a schedule may do is what asyncio could do if awaits took other times.
Whatever is ordered is ordered by numbers in the order of creation; nothing here goes through a set;
a step costs the logarithm of what is to happen later, and a move of memory: 8 bytes for each task
that is ready, so a fifth of a microsecond for 4,000. Whether time may pass is known at once, but
has to be looked for among what is ready whenever that which can wait least has gone on.
"""
