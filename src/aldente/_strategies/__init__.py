"""Strategies: each decides the choices of runs in its own way, by three methods.

The methods are those of `aldente._simulation.choices.Strategy`: ``start`` a run, ``choose`` one of
the options, ``end`` the run. Three attributes are optional: ``begins_in_stock_order`` if its first
run is that of stock asyncio, ``is_exhaustive`` once no schedule is left, and ``coverage``, a
sentence on which schedules it has tried. A strategy with a method ``attach`` gets the loop of each
run after ``start``; the others don't depend on loops.

``fifo``
    The order of stock asyncio.
``random``
    Every option is equally likely.
``pct``
    Priorities of tasks that change at a few places.
``pos``
    Random priorities of steps.
``dfs``
    All schedules, or one of each equivalent set, those with the fewest context switches first.
``auto``
    A mix of several, each used in proportion to how much it still finds; none tries a schedule
    twice.
``replay``
    The choices of a schedule.
``steered``
    Parts of two tasks that overlap, or follow one another.

What they use:

``context_switches``
    Counts context switches away from stock order.
``durations``
    Draw when rare events happen, such as a cancellation, and how much longer sleeps take.
``coverage_guided``
    Mutates schedules that reached something new; measures what was new in a run, by its steps and
    by the lines it reached.
``shared_coverage``
    How searches of one program in several processes share which schedules covered what.
``line_counter``
    Counts how often a run reached each line.
``partial_order``
    Finds options that lead only to equivalent schedules; observes what each step does.
``recorder``, ``footprints``, ``effects``
    Record what code reads and writes; know it of calls; compare two steps.
``bytecode``, ``plans``, ``symbols``, ``opcodes``
    Know what each line and each instruction does; what of that depends on objects, and where a line
    finds them.
``resolution``, ``instances``
    Find these objects when a line begins; number instances alike in all runs.
``registry``
    Makes strategies by their names.
"""
