"""`ExploredLoop`: what a program declares while it is explored, such as its invariants.

`LimitedLoop` adds the limits of a run: its real time, and which tasks keep it busy for ever.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._records import SourcePlace
from aldente._simulation.injection import Cancelling
from aldente._simulation.scheduler import ChoosingLoop
from aldente._system import monotonic
from aldente._virtual_time.clock import place_in
from aldente.errors import InvalidSetting, InvariantBroken, PhaseTimeout

_ALLOWED = (
    "It must be a function without arguments that is not async: no step may run between its "
    "beginning and its end."
)


class Invariant:
    """A check that runs after every step, until the program ends or the block ends.

    Args:
        loop: the loop.
        check: raises, or returns False, when something is wrong.

    Attributes:
        is_over: whether it has ended.
    """

    def __init__(self, loop: ExploredLoop, check: Callable[[], object]) -> None:
        self._loop = loop
        self._check = check
        self.is_over = False
        loop.add_after_hook(self._after_step)

    def __enter__(self) -> Invariant:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Stop checking."""
        self.is_over = True
        self._loop.remove_after_hook(self._after_step)

    def _after_step(self, callback: Any) -> None:
        self.check(_who(callback))

    def check(self, who: str) -> None:
        """Check once, after a step or a part of one.

        Raises:
            BaseException: what the check raises.
        """
        try:
            result = self._check()
            if result is False:
                raise InvariantBroken(_name_of(self._check), _place_of(self._check), who)
            if inspect.isawaitable(result):
                _drop(result)
                raise InvalidSetting("check", self._check, _ALLOWED)
        except BaseException:
            self.end()
            self._loop.note(
                f"the invariant {_name_of(self._check)} is broken", is_place_named=False
            )
            raise


def _who(callback: Any) -> str:
    task = _asyncio_compat.task_of_step(callback)
    if task is not None:
        return who_is(task)
    return f"the callback {getattr(callback, '__qualname__', type(callback).__name__)}"


def who_is(task: asyncio.Task[Any]) -> str:
    """How messages name a task."""
    return f"the task {task.get_name()!r}"


def check_is_sync(check: object) -> None:
    """Refuse a check that can't be an invariant.

    Raises:
        InvalidSetting: the check is not a function, or an async one.
    """
    if inspect.isawaitable(check):
        _drop(check)
    elif callable(check) and not inspect.iscoroutinefunction(check):
        return
    raise InvalidSetting("check", check, _ALLOWED)


def _drop(awaitable: object) -> None:
    # The exception reports it, so Python need not warn that it was never awaited.
    close: Callable[[], object] = getattr(awaitable, "close", bool)
    close()


def _name_of(check: Callable[[], object]) -> str:
    return repr(getattr(check, "__qualname__", type(check).__qualname__))


def _place_of(check: Callable[[], object]) -> str:
    code = getattr(inspect.unwrap(check), "__code__", None)
    return str(SourcePlace(code.co_filename, code.co_firstlineno)) if code is not None else ""


class StoryEvent(NamedTuple):
    """A line of a run's story that is not a step.

    Attributes:
        who: the task, or the function that an executor's thread runs; empty without either.
        text: the text of the line.
        is_choice: whether the explorer made this choice, away from stock order.
        is_place_named: whether the story names the program's current line.
    """

    who: str
    text: str
    is_choice: bool
    is_place_named: bool


class ExploredLoop(ChoosingLoop):
    """The part of the simulated loop that programs talk to.

    Args and attributes as for `ChoosingLoop`, and:

    Attributes:
        on_event: called with each `StoryEvent`; None without a listener.
        on_cancel: called with each task that is about to be cancelled; None without a listener.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_event: Callable[[StoryEvent], object] | None = None
        self.on_cancel: Callable[[asyncio.Task[Any]], object] | None = None
        self._cancelling: Cancelling | None = None
        self._invariants: list[Invariant] | None = None

    @property
    def cancelling(self) -> Cancelling:
        """The cancellations that may happen at any await."""
        if self._cancelling is None:
            self._cancelling = Cancelling(self)
        return self._cancelling

    def check(self, check: Callable[[], object]) -> Invariant:
        """Check a condition after every step."""
        invariant = Invariant(self, check)
        self._invariants = [*(self._invariants or ()), invariant]
        return invariant

    def note(self, text: str, *, is_choice: bool = False, is_place_named: bool = True) -> None:
        """Add a line to the story of the run, if it is recorded.

        Args:
            text: the text of the line.
            is_choice: whether the explorer made this choice, away from stock order.
            is_place_named: whether the story names the program's current line.
        """
        if self.on_event is not None:
            self.on_event(StoryEvent(self.who_runs(), text, is_choice, is_place_named))

    def who_runs(self) -> str:
        """The name of the running task, or of the function of an executor's thread; else empty."""
        task = asyncio.current_task(self)
        return self.job_here() or ("" if task is None else task.get_name())

    def job_here(self) -> str:
        """The name of the function that this thread runs for an executor; else empty."""
        raise NotImplementedError

    def end_program(self, *, in_step: bool = False) -> None:
        """Stop cancelling and checking: the program is over.

        Args:
            in_step: whether it ended in the middle of a step, so that all checks run once more.

        Raises:
            BaseException: what a check raises.
        """
        if self._cancelling is not None:
            self._cancelling.clear()
        left = [invariant for invariant in self._invariants or () if not invariant.is_over]
        self._invariants = None
        for invariant in left:
            invariant.end()
        task = asyncio.current_task(self)
        if in_step and task is not None:
            for invariant in left:
                invariant.check(who_is(task))


# The loop checks the real time and the inbox of threads after at most this many steps; and after
# at most this many seconds, as some steps take long.
STEPS_UNTIL_LOOK = 1_000
_SECONDS_UNTIL_LOOK = 0.02


class RealTimeLimit:
    """The real time of a run, checked rarely enough to cost nothing.

    Args:
        seconds: how long the run may take, in real seconds; None for no limit.

    Attributes:
        seconds: as the argument.
        end: when it ends, by `time.monotonic`; None for no limit.

    >>> RealTimeLimit(None).is_over, RealTimeLimit(-1.0).is_over
    (False, True)
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._looked = monotonic()
        self.end = None if seconds is None else self._looked + seconds
        self._stride = 1

    @property
    def is_over(self) -> bool:
        """Whether it is over."""
        return self.end is not None and monotonic() > self.end

    def steps_until_look(self) -> int:
        """After how many steps to check again: fewer when the last ones have taken long."""
        if self.end is None:
            return STEPS_UNTIL_LOOK
        looked, self._looked = self._looked, monotonic()
        is_slow = self._looked - looked > _SECONDS_UNTIL_LOOK
        self._stride = self._stride // 2 if is_slow else self._stride * 2
        self._stride = min(max(self._stride, 1), STEPS_UNTIL_LOOK)
        return self._stride


class LimitedLoop(ExploredLoop):
    """A loop whose run has a limit of real time.

    Attributes:
        real_time: how long the run may take by the wall clock.
        name: what messages call the run.
    """

    real_time: RealTimeLimit
    name: str

    def is_real_time_over(self) -> bool:
        """Whether the run's real time is over; if so, the run fails."""
        if not self.real_time.is_over:
            return False
        self.fail(PhaseTimeout(self.name, self.real_time.seconds or 0.0, "still running"))
        return True


# How many steps `Busy` counts.
_STEPS = 1_000


class Busy:
    """Counts for a while which tasks take the steps."""

    def __init__(self) -> None:
        self._folder = Path.cwd()
        self._counts: collections.Counter[tuple[str, SourcePlace | str | None]] = (
            collections.Counter()
        )

    @property
    def is_complete(self) -> bool:
        """Whether it has seen enough."""
        return self._counts.total() >= _STEPS

    def note(self, callback: Any, args: tuple[Any, ...]) -> None:
        """Count a step that is about to run."""
        task = _asyncio_compat.task_of_step(callback)
        if task is None:
            name = getattr(callback, "__qualname__", repr(callback))
            self._counts["a callback", name] += 1
        else:
            self._counts[repr(task.get_name()), place_in(task)] += 1

    def lines(self) -> list[str]:
        """A line for each task or callback that took steps, the busiest first."""
        total = self._counts.total()
        counts: collections.Counter[tuple[str, str]] = collections.Counter()
        for (who, where), count in self._counts.items():
            counts[who, self._described(where)] += count
        return [
            f"{who}{' at ' if place else ''}{place}: {count:,} of the last {total:,} steps"
            for (who, place), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]

    def _described(self, where: SourcePlace | str | None) -> str:
        if isinstance(where, SourcePlace):
            where = SourcePlace.relative_to(where.path, where.line, self._folder)
        return str(where or "")
