"""Virtual time: a loop whose clock jumps to the next timer when nothing else can happen.

``loop``
    The event loop: asyncio's own selector loop with another clock.
``waiting``
    What the loop does instead of sleeping, in the place of its selector.
``threads``
    Other threads, which could still make something happen.
``polling``
    Notices code that asks a real clock again and again.
``clock``, ``timers``
    What tests see of the time, and of what is to happen.
``wall``, ``readings``
    Has ``time.time()`` and its like follow the clock of the loop, and never show too little.
"""
