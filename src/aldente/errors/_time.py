"""The exceptions of virtual time."""

from __future__ import annotations

from collections.abc import Sequence

from aldente.errors._base import AldenteError


class EndlessTimeError(AldenteError):
    """Virtual time exceeded its limit without an end of the test.

    Args:
        seconds: the limit of loop time, in seconds; None if the limit of jumps was exceeded.
        jumps: the limit of jumps from timer to timer.
        timers: a line for each timer that was still set.

    >>> EndlessTimeError(60.0, 1000, []).seconds
    60.0
    """

    def __init__(self, seconds: float | None, jumps: int, timers: Sequence[str]) -> None:
        self.seconds = seconds
        self.jumps = jumps
        self.timers = list(timers)
        super().__init__(seconds, jumps, self.timers)

    def __str__(self) -> str:
        how_far = (
            f"{self.jumps:,} jumps from timer to timer"
            if self.seconds is None
            else f"{self.seconds:,.0f} s of loop time"
        )
        lines = "".join(f"\n  {timer}" for timer in self.timers[:10])
        return (
            f"Virtual time ran on for more than {how_far}, and was stopped: something sleeps again "
            "and again, or for longer than that, while nothing else happens. These timers kept it "
            f"going:{lines}\n"
            "Fix: cancel what runs for ever when the test no longer needs it, or set a time-out; "
            "aldente_max_virtual_time says how far time may run, in seconds."
        )


class MissingExtra(AldenteError):
    """A feature needs a library from an extra of aldente that is not installed.

    Args:
        wanted: what needs it.
        library: the library.
        extra: the extra of aldente that installs it.

    >>> print(MissingExtra("wall=True", "time-machine", "wall"))
    wall=True needs time-machine, which is not installed.
    Fix: pip install "aldente[wall]"
    """

    def __init__(self, wanted: str, library: str, extra: str) -> None:
        self.wanted = wanted
        self.library = library
        self.extra = extra
        super().__init__(wanted, library, extra)

    def __str__(self) -> str:
        return (
            f"{self.wanted} needs {self.library}, which is not installed.\n"
            f'Fix: pip install "aldente[{self.extra}]"'
        )


class NeverTrue(AldenteError, AssertionError):
    """The predicate of `aldente.eventually` never came true.

    Args:
        predicate: its source.
        within: the limit, in seconds of loop time.
        asked: how often it was called.
        last: the result of its last call, in words.

    >>> print(NeverTrue("is_done()", 5.0, 501, "the last answer was False"))
    is_done() was not true within 5 s. It was asked 501 times; the last answer was False.
    """

    def __init__(self, predicate: str, within: float, asked: int, last: str) -> None:
        self.predicate = predicate
        self.within = within
        self.asked = asked
        self.last = last
        super().__init__(predicate, within, asked, last)

    def __str__(self) -> str:
        times = "once" if self.asked == 1 else f"{self.asked} times"
        return (
            f"{self.predicate} was not true within {self.within:g} s. It was asked {times}; "
            f"{self.last}."
        )


class RealTimeError(AldenteError):
    """A function of aldente needs virtual time, but the loop's time is real.

    Args:
        wanted: the function.
        loop: the name of the loop's class.

    >>> RealTimeError("aldente.settle()", "_UnixSelectorEventLoop").loop
    '_UnixSelectorEventLoop'
    """

    def __init__(self, wanted: str, loop: str) -> None:
        self.wanted = wanted
        self.loop = loop
        super().__init__(wanted, loop)

    def __str__(self) -> str:
        return (
            f"{self.wanted} needs virtual time, but the time of this event loop ({self.loop}) is "
            "real: aldente can't move it, or know that nothing more will happen.\n"
            "Fix: mark the test with @aldente.virtual_time, or set aldente_clock = virtual; "
            "outside of pytest use aldente.run(main, clock='virtual')."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
