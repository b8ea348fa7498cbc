"""Runs coroutines on an event loop from synchronous code. Does not depend on pytest.

``runner``
    `LoopRunner`: one event loop, driven from outside, closed in order.
``running``
    Which loops run now, and their runners; `Observer`, which is notified of runs.
``pool``
    `LoopPool`: makes event loops cheaply.
``generator_task``
    `GeneratorHost`: the one task in which an async generator is set up and torn down.
``shutdown``
    Ends what is left on a loop, in order, within a limit.
``interrupts``
    Turns Ctrl-C into a cancellation while a loop runs.
``peers``, ``outside``
    What could still wake a loop: other processes, connections to them, and threads without work.
``bystanders``, ``threads``
    Which other threads wake no loop, and which can only wait.
``settle``
    `settle` and `eventually`, which wait for what code under test does in the background.
``context``
    Carries changes of context variables between tasks and the code around them.
"""
