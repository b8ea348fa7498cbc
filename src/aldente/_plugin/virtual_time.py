"""The marks of virtual time; imported when a test module has one."""

from __future__ import annotations

import datetime
from typing import Any, overload

from aldente._plugin.mark_like import Marked, MarkLike
from aldente._settings import parse_seconds, parse_wall


class RealTime(MarkLike):
    """Has a test run on real time; see `aldente.real_time`."""

    # It decorates, or is given its own options.
    @overload  # type: ignore[override]
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(self) -> RealTime: ...

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, marked: Marked | None = None
    ) -> Marked | RealTime:
        """Mark a test function or class, and return it; without one, give the mark itself."""
        return self if marked is None else self.decorate(marked)


class VirtualTime(MarkLike):
    """Has a test run on virtual time; see `aldente.virtual_time`."""

    # It decorates, or is given its own options.
    @overload  # type: ignore[override]
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(
        self, *, wall: bool | str | datetime.datetime = False, patience: float = 0.05
    ) -> VirtualTime: ...

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, marked: Marked | None = None, **options: Any
    ) -> Marked | VirtualTime:
        """Mark a test function or class, or make a mark with other options.

        Args:
            marked: the function or class.
            options: ``wall``, whether the clocks of the process follow loop time, or the moment
                from which on they do; ``patience``, how long other processes and threads are
                listened to before each jump, in real seconds.

        Raises:
            InvalidSetting: an option has a wrong value.
            TypeError: there is no such option.
        """
        if marked is not None and not options and callable(marked):
            return self.decorate(marked)
        return VirtualTime(**{**self.mark.kwargs, **_checked(marked, **options)})


def _checked(_marked: object = None, /, **options: Any) -> dict[str, Any]:
    if _marked is not None or set(options) - {"wall", "patience"}:
        given = [repr(_marked)] * (_marked is not None)
        given += [f"{name}={value!r}" for name, value in options.items()]
        raise TypeError(
            "aldente.virtual_time takes the options wall=... and patience=... only. It got "
            f"{', '.join(given)}."
        )
    checked: dict[str, Any] = {}
    if "wall" in options:
        checked["wall"] = parse_wall("wall", options["wall"])
    if "patience" in options:
        checked["patience"] = parse_seconds("patience", options["patience"])
    return checked


virtual_time = VirtualTime(clock="virtual")
real_time = RealTime(clock="real")
