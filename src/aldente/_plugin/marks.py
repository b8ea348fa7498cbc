"""The marks of the rules, of the time limit and of virtual time, and their effect on a test."""

from __future__ import annotations

import collections
import datetime
import threading
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, TypeVar, overload

import pytest

from aldente._records import Level
from aldente._settings import parse_level, parse_rule, parse_wall
from aldente._validation import parse_limit, parse_seconds

# The one mark of aldente, whose keys its functions set.
MARK = "aldente"

Marked = TypeVar("Marked")


class MarkLike(pytest.MarkDecorator):
    """A mark with some keys, usable wherever pytest takes one, with a call of its own.

    Args:
        values: the keys of the mark.

    Attributes:
        mark: the mark.
    """

    def __init__(self, **values: Any) -> None:
        # The base class's constructor is private to pytest.
        self.mark = getattr(pytest.mark, MARK)(**values).mark

    def decorate(self, marked: Marked) -> Marked:
        """Mark a test function or class, and return it."""
        decorated: Marked = getattr(pytest.mark, MARK)(**self.mark.kwargs)(marked)
        return decorated


class RealTime(MarkLike):
    """Has a test run on real time; see `aldente.real_time`."""

    # Called with a function or class, or with options.
    @overload  # type: ignore[override]
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(self) -> RealTime: ...

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, marked: Marked | None = None
    ) -> Marked | RealTime:
        """Mark a test function or class and return it; without one, return the mark itself."""
        return self if marked is None else self.decorate(marked)


class VirtualTime(MarkLike):
    """Has a test run on virtual time; see `aldente.virtual_time`."""

    # Called with a function or class, or with options.
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
            options: ``wall``, whether the clocks of the process follow loop time, or the moment at
                which they start; ``patience``, how long to wait for other processes and threads
                before each jump, in real seconds.

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


# The rules that the blocks around the code allow, the outermost first.
_allowed: ContextVar[tuple[tuple[str, ...], ...]] = ContextVar("aldente_allowed", default=())

# How many blocks allow each rule now, for rules that watch from another thread.
_active: collections.Counter[str] = collections.Counter()
_counting = threading.Lock()


class Allowance(MarkLike):
    """Allows rules: as a decorator, in ``pytestmark``, or as a context manager.

    Args:
        rules: the names of the rules.
    """

    def __init__(self, rules: tuple[str, ...]) -> None:
        self._rules = rules
        super().__init__(allow=rules)

    def __call__(self, marked: Marked) -> Marked:  # type: ignore[override] # it only decorates
        """Allow the rules for a test function or class, and return it."""
        return self.decorate(marked)

    def __enter__(self) -> None:
        _allowed.set((*_allowed.get(), self._rules))
        with _counting:
            _active.update(self._rules)

    def __exit__(self, *exception: object) -> None:
        with _counting:
            _active.subtract(self._rules)
        # Not always the last: a generator may leave a block outside its consumer's.
        blocks = list(_allowed.get())
        for number in reversed(range(len(blocks))):
            if blocks[number] is self._rules:
                del blocks[number]
                break
        _allowed.set(tuple(blocks))


def allow(*rules: str) -> Allowance:
    """Allow what rules would report, for a test, a class, a module, or a block of code.

    Args:
        rules: names of rules, for example ``"blocking-call"``.

    Raises:
        InvalidSetting: there is no such rule, or none is named.

    >>> with allow("blocking-call"):
    ...     pass
    """
    if not rules:
        parse_rule("allow", None)
    return Allowance(tuple(parse_rule("allow", rule) for rule in rules))


class _MarksInUse:
    """Whether marks were made that few suites use; without them no test is checked for them."""

    timeouts = False
    rules = False


def rule(name: str, level: str) -> pytest.MarkDecorator:
    """Set the level of a rule for a test, a class or a module.

    Args:
        name: the name of the rule, for example ``"slow-step"``.
        level: ``"error"``, ``"warn"`` or ``"off"``.

    Raises:
        InvalidSetting: there is no such rule or level.

    >>> rule("slow-step", "error").kwargs
    {'rule': ('slow-step', 'error')}
    """
    _MarksInUse.rules = True
    value = (parse_rule("rule", name), parse_level("level", level, level))
    mark: pytest.MarkDecorator = getattr(pytest.mark, MARK)(rule=value)
    return mark


def rules_raised_by_marks(items: Iterable[pytest.Item]) -> set[str]:
    """The rules that a mark turns on in some test."""
    if not _MarksInUse.rules:
        return set()
    values = {
        mark.kwargs["rule"]
        for item in items
        for mark in item.iter_markers(MARK)
        if "rule" in mark.kwargs
    }
    return {name for name, level in values if level != "off"}


def level_in(item: pytest.Item, rule: str, default: Level) -> Level:
    """The level of a rule in a test: from the closest mark that names it, else the default."""
    for mark in item.iter_markers(MARK):
        allowed = mark.kwargs.get("allow", ())
        if rule == allowed or rule in tuple(allowed):
            return "off"
        name, level = mark.kwargs.get("rule", (None, None))
        if name == rule:
            return parse_level("rule", level, level)
    return default


def timeout(seconds: float | None) -> pytest.MarkDecorator:
    """Limit the time of an async test, and of each set-up and tear-down of its fixtures.

    At the limit aldente cancels the test, which fails with a report of what each of its tasks was
    waiting for; its tear-down runs.

    Args:
        seconds: the limit, in real seconds; None or 0 for no limit.

    Raises:
        InvalidSetting: it is not a positive number.

    >>> timeout(2.5).kwargs
    {'timeout': 2.5}
    """
    _MarksInUse.timeouts = True
    mark: pytest.MarkDecorator = getattr(pytest.mark, MARK)(timeout=parse_limit("timeout", seconds))
    return mark


def timeout_of(item: pytest.Item, default: float | None) -> float | None:
    """The limit of a test, in seconds: the closest mark's, else the default."""
    if _MarksInUse.timeouts:
        for mark in item.iter_markers(MARK):
            if "timeout" in mark.kwargs:
                seconds: float | None = mark.kwargs["timeout"]
                return seconds
    return default


def has_timeout(item: pytest.Item) -> bool:
    """Whether a test has a limit of its own, not one of its class or module."""
    return _MarksInUse.timeouts and any(
        mark.name == MARK and "timeout" in mark.kwargs for mark in item.own_markers
    )


def has_virtual_time(item: pytest.Item) -> bool:
    """Whether a test is marked to have virtual time, not only its class or module."""
    for mark in item.own_markers:
        if mark.name == MARK and "clock" in mark.kwargs:
            return bool(mark.kwargs["clock"] == "virtual")
    return False


def is_allowed_here(rule: str) -> bool:
    """Whether the code that runs now is in a block that allows a rule."""
    return any(rule in rules for rules in _allowed.get())


def is_allowed_somewhere(rule: str) -> bool:
    """Whether any code is in a block that allows a rule, in any task or thread."""
    return _active[rule] > 0
