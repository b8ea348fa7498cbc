"""Runs coroutines on an event loop from synchronous code. Knows nothing of pytest.

``runner``
    `LoopRunner`: one event loop, driven from outside, closed in order.
``recycling``
    `LoopPool`: makes event loops cheaply.
``other_runs``
    Makes known which loops are run in another way.
``driving``
    Runs a loop until a task is done.
``generator_host``
    `GeneratorHost`: the one task in which an async generator is set up and torn down.
``draining``, ``ending``
    Cancels tasks and waits for their end, within a limit; ends what is left on a loop, in order.
``observing``
    `Observer`: is told of the runs of loops.
``interrupts``
    Turns Ctrl-C into a cancellation while a loop runs.
``peers``, ``connecting``, ``children``, ``outside``
    What could still make something happen: connections to other processes, and these themselves.
``other_threads``, ``waiting_threads``
    Which threads beside that of a loop have to do with no loop, and which can only wait.
``settling``, ``settled``
    Waits for what code under test does by itself, on loops that know when nothing more happens.
``virtual``
    The loop of virtual time, and its clock.
``simulated``
    The loop whose every timing is a choice.
``contexts``
    Carries changes of context variables between tasks and the code around them.
"""
