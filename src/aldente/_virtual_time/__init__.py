"""Virtual time: a loop whose clock jumps to the next timer when nothing else can happen.

``loop``
    The event loop: asyncio's selector loop with another clock.
``waiting``
    The loop's selector, which lets time jump instead of sleeping.
``polling``
    Detects code that polls a real clock.
``clocks_behind``
    Finds the real clocks whose readings an assertion compares.
``clock``
    The tests' view of the time and of the pending timers.
``wall_clock``
    Makes ``time.time()`` and similar clocks follow the clock of the loop, and rounds their readings
    up.
"""
