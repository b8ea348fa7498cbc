"""The simulated loop: asyncio whose every timing is a recorded choice.

``loop``
    The event loop, as its users see it: tasks, time, budgets, threads.
``turns``
    Its inside: what is ready, who is next, when time passes.
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
``livelock``, ``tracing``
    What keeps a loop busy; all steps of a run.

The rules behind it: what a schedule may do is what asyncio could do if awaits took other times.
Whatever is ordered is ordered by numbers in the order of creation; nothing here goes through a set;
no step costs more than the logarithm of what is ready, but for a move of memory (8 bytes for each
task that is ready, so a fifth of a microsecond for 4,000).
"""
