"""The simulated loop: asyncio whose every timing is a recorded choice.

``loop``
    The event loop, as its users see it: tasks, time, budgets, threads.
``ready``, ``turns``
    Its inside: what is ready and what is to happen later; who is next, and when time passes.
``explored``, ``inside``
    What a program says to whoever explores it, and the functions by which it does.
``cancelling``, ``checking``
    Cancellations that come from nowhere; what has to hold after every step.
``choosing``
    Who chooses, and what is known about the options.
``tasks``
    Tasks and futures whose order in sets does not depend on addresses.
``workers``, ``jobs``
    Executors, whose threads take turns with the loop.
``foreign``
    Threads that the program starts itself, which are waited for.
``outside``
    What needs the world outside, and is refused.
``streams``
    Connections in memory.
``randomness``
    Has the randomness of a program follow from a seed.
``livelock``, ``real_time``, ``tracing``
    What keeps a loop busy; how long a run may take; all steps of a run.

The rules behind it: what a schedule may do is what asyncio could do if awaits took other times.
Whatever is ordered is ordered by numbers in the order of creation; nothing here goes through a set;
a step costs the logarithm of what is to happen later, and a move of memory: 8 bytes for each task
that is ready, so a fifth of a microsecond for 4,000. Whether time may pass is known at once, but
has to be looked for among what is ready whenever that which can wait least has gone on.
"""
