"""Strategies: each decides the choices of runs in another way, by three methods.

They are those of `aldente._loops.simulated.choosing.Chooser`: ``start`` a run, ``choose`` one of
the options, ``end`` the run. A strategy knows nothing of loops.

``fifo``
    The order of stock asyncio.
``random``
    Every option is as likely.
``replay``
    The choices of a schedule.
"""
