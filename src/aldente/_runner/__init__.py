"""Runs coroutines on an event loop from synchronous code. Knows nothing of pytest.

``runner``
    `LoopRunner`: one event loop, driven from outside, closed in order.
``running``
    Which loops run now, and who runs them; `Observer`, which is told of runs.
``pool``
    `LoopPool`: makes event loops cheaply.
``generator_task``
    `GeneratorHost`: the one task in which an async generator is set up and torn down.
``shutdown``
    Ends what is left on a loop, in order, within a limit.
``interrupts``
    Turns Ctrl-C into a cancellation while a loop runs.
``peers``, ``outside``
    What could still make something happen: connections to other processes, and these themselves.
``bystanders``, ``threads``
    Which threads beside that of a loop have to do with no loop, and which can only wait.
``settle``
    Waits for what code under test does by itself, on loops that know when nothing more happens.
``context``
    Carries changes of context variables between tasks and the code around them.
"""
