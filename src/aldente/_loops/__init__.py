"""Runs coroutines on an event loop from synchronous code. Knows nothing of pytest.

``runner``
    `LoopRunner`: one event loop, driven from outside, closed in order.
``recycling``
    `LoopPool`: makes event loops cheaply.
``driving``
    Runs a loop until a task is done.
``generator_host``
    `GeneratorHost`: the one task in which an async generator is set up and torn down.
``draining``
    Cancels tasks and waits for their end, within a limit.
``interrupts``
    Turns Ctrl-C into a cancellation while a loop runs.
``contexts``
    Carries changes of context variables between tasks and the code around them.
"""
