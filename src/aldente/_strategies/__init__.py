"""Strategies: each decides the choices of runs in another way, by three methods.

They are those of `aldente._simulation.choices.Chooser`: ``start`` a run, ``choose`` one of the
options, ``end`` the run. It may have three attributes more: ``begins_in_stock_order`` if its first
run is that of stock asyncio, ``is_exhaustive`` once no schedule is left, and ``coverage``, a
sentence on what was tried. One that has a method ``attach`` gets the loop of each run after
``start``; the others know nothing of loops.

``fifo``
    The order of stock asyncio.
``random``
    Every option is as likely.
``pct``
    Priorities of tasks that change at a few places.
``pos``
    Random priorities of steps.
``dfs``
    All schedules or one equivalent to each, those with the fewest context switches first.
``auto``
    Several of them, each used as much as it still finds something new.
``replay``
    The choices of a schedule.

What they use:

``context_switches``
    Counts context switches away from stock order.
``rare_events``
    When something happens that rarely should, such as a cancellation.
``coverage_guided``
    Changes schedules that were new; knows those that were tried; says what was new in a run, by its
    steps and by the lines that it has reached.
``partial_order``
    Says which options lead to nothing but equivalent schedules; sees what each step does.
``footprints``, ``bytecode``, ``opcodes``, ``effects``
    Collects what code reads and writes; knows that of each line and of each instruction; compares
    two steps.
``registry``
    Makes strategies by their names.
"""
