"""Virtual time: a loop whose clock jumps to the next timer when nothing else can happen.

``loop``
    The event loop: asyncio's own selector loop with another clock.
``waiting``
    What the loop does instead of sleeping, in the place of its selector.
``polling``
    Notices code that asks a real clock again and again.
``clock``
    What tests see of the time, and of what is to happen.
``wall_clock``, ``readings``
    Has ``time.time()`` and its like follow the clock of the loop, and never show too little.
"""
