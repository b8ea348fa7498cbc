"""The marks of virtual time; imported when a test module has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, overload

import pytest

from aldente._plugin.findings.allowing import MARK
from aldente._settings import parse_flag, parse_seconds

Marked = TypeVar("Marked")


class TimeMark:
    """Says which time a test has: as a decorator, or in ``pytestmark``."""

    def __init__(self, **values: Any) -> None:
        # pytest takes an object with this attribute wherever it takes a mark.
        self.mark: pytest.Mark = getattr(pytest.mark, MARK)(**values).mark

    # pytest.param(marks=...) takes a mark of its own class, or a collection of marks.
    def __iter__(self) -> Iterator[pytest.Mark]:
        return iter((self.mark,))

    def __len__(self) -> int:
        return 1

    def __contains__(self, mark: object) -> bool:
        return mark == self.mark

    def _decorate(self, marked: Marked) -> Marked:
        decorated: Marked = getattr(pytest.mark, MARK)(**self.mark.kwargs)(marked)
        return decorated


class RealTime(TimeMark):
    """Has a test run on real time; see `aldente.real_time`."""

    @overload
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(self) -> RealTime: ...

    def __call__(self, marked: Marked | None = None) -> Marked | RealTime:
        """Mark a test function or class, and return it; without one, give the mark itself."""
        return self if marked is None else self._decorate(marked)


class VirtualTime(TimeMark):
    """Has a test run on virtual time; see `aldente.virtual_time`."""

    @overload
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(self, *, wall: bool = False, patience: float = 0.05) -> VirtualTime: ...

    def __call__(self, marked: Marked | None = None, **options: Any) -> Marked | VirtualTime:
        """Mark a test function or class, or make a mark with other options.

        Args:
            marked: the function or class.
            options: ``wall``, whether the clocks of the process follow loop time; ``patience``, how
                long other processes and threads are listened to before each jump, in real seconds.

        Raises:
            InvalidSetting: an option has a wrong value.
            TypeError: there is no such option.
        """
        if marked is not None and not options and callable(marked):
            return self._decorate(marked)
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
        checked["wall"] = parse_flag("wall", options["wall"])
    if "patience" in options:
        checked["patience"] = parse_seconds("patience", options["patience"])
    return checked


virtual_time = VirtualTime(clock="virtual")
real_time = RealTime(clock="real")
