"""`StepObserver`: what each step of a run does, to the program and to the loop.

Two steps are independent if both orders lead to the same state of the program and of the loop,
except for the order of ready callbacks. That order decides nothing as long as all of them are
resumptions: any of those may be next. So a step that leaves a plain callback, or finds one, depends
on every other step; except for callbacks that only count (`asyncio.gather` and `TaskGroup` have one
for each task, and only the last one matters).

That order also decides where a turn of the loop begins. This matters when the program sets timers
that are due at once, or ends while tasks are ready. In these cases, with threads, with a check
between steps (`aldente.invariant`) and with a task that waits for the loop to settle, all earlier
results about independence become void.

`Reduction`: finds options that lead only to schedules equivalent to those of other runs.

Runs that differ only in the order of independent steps are equivalent (Antoni Mazurkiewicz: Trace
Theory. 1986). One run of each equivalence class is enough. Sleep sets decide which options to skip
(Patrice Godefroid: Partial-Order Methods for the Verification of Concurrent Systems. 1996): once a
run has taken an option, it sleeps in runs that take another option there, until they take a step
that depends on it.

The proof needs some order of the options of each choice, not a depth-first search: here it is the
order in which they are tried. The effects of an option are known from the run that took it.
"""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._asyncio_compat import stepping
from aldente._asyncio_compat.stepping import WAKE_SLEEPER
from aldente._simulation.choices import TIME_KEY, Options
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.ready import Facts
from aldente._simulation.timers import Sleep
from aldente._strategies.effects import (
    ANYTHING,
    ENDED,
    PATIENCE,
    Effects,
    SleepSet,
    pass_step,
    without_objects,
)
from aldente._strategies.recorder import AccessRecorder

# The types whose code the recorder sees; it can't see code in other languages.
_SEEN = (types.CoroutineType, types.GeneratorType)


class _CurrentStep(NamedTuple):
    """The current step.

    Attributes:
        key: the key of the task that takes it.
        task: the task; None when time passes.
        before: the state of the loop before it.
        is_wild: whether it is known from the start that it may do anything.
    """

    key: Hashable
    task: asyncio.Task[Any] | None
    before: Facts
    is_wild: bool


class StepObserver:
    """Finds the effects of each step.

    Args:
        loop: the loop.
        recorder: records what code does; it learns from run to run.
        on_step: called after each step with its task's key, None for plain callbacks, and its
            effects.
        on_doubt: called when something happens for which the order of independent steps may matter
            after all.
    """

    def __init__(
        self,
        loop: SimulatedLoop,
        recorder: AccessRecorder,
        on_step: Callable[[Hashable, Effects], object],
        on_doubt: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._on_step = on_step
        self._on_doubt = on_doubt
        self._recorder = recorder
        self._step: _CurrentStep | None = None
        # The key that was chosen and has not begun, and whether its step may do anything.
        self._chosen: Hashable = None
        self._is_wild = False
        # How many instances had been made when it was chosen.
        self._made = 0

    @property
    def is_observing(self) -> bool:
        """Whether it has started, and the program has not ended."""
        return self._recorder.is_recording

    def start(self) -> bool:
        """Start observing; return whether that is possible."""
        if self._recorder.start():
            self._loop.add_hook(self._note)
        return self.is_observing

    def stop(self) -> None:
        """Stop observing, if it has started."""
        if self.is_observing:
            self._end_step(self._recorder.take())
            self._loop.remove_hook(self._note)
        self._recorder.stop()

    def before_choice(self) -> None:
        """End the step before a choice."""
        if self.is_observing:
            self._end_step(self._recorder.take())
            if self._has_ended:
                # Other tasks were ready when the program ended.
                self._on_doubt()
                self.stop()

    def after_choice(self, choice: int, options: Options) -> None:
        """Note the chosen option."""
        if not self.is_observing:
            return
        key = options.key(choice)
        if key == TIME_KEY or options.is_durations:
            self._step = _CurrentStep(key, None, self._loop.facts(), True)
        else:
            self._chosen, self._is_wild = key, False
            self._made = self._recorder.instances.made
            if not isinstance(key, int):
                # A thread's job, or no step.
                self._on_doubt()

    @property
    def _has_ended(self) -> bool:
        main = self._loop.main_task
        return main is not None and main.done()

    def _note(self, callback: Any, arguments: tuple[Any, ...]) -> None:
        """End the step before a callback, and begin the next one."""
        # First, as the recorder also sees the code of this method.
        code = self._recorder.take()
        task = _asyncio_compat.task_of_step(callback)
        if task is None or _is_first_step(task):
            is_time = self._step is not None and not isinstance(self._step.key, int)
            if is_time and callback is WAKE_SLEEPER:
                return
            self._end_step(code, ((callback, arguments),))
            self._note_plain(callback, arguments)
        else:
            self._end_step(code, is_next_known=self._chosen is not None)
            self._begin_step(task)
        if self._has_ended:
            self._note_end(callback, arguments)

    def _note_plain(self, callback: Any, arguments: tuple[Any, ...]) -> None:
        if not stepping.count_left(callback, arguments):
            if self._chosen is not None:
                self._is_wild = True
            else:
                self._on_step(None, ANYTHING)

    def _note_end(self, callback: Any, arguments: tuple[Any, ...]) -> None:
        """Stop at the end of the program, and doubt if the turn decides which steps still run."""
        plain = self._loop.facts().plain
        left = [(callback, arguments), *((each.callback, each.args) for each in plain)]
        is_clear = len(self._loop.ready()) == len(plain) and all(
            stepping.ends_run(function) or stepping.count_left(function, given)
            for function, given in left
        )
        if not is_clear:
            self._on_doubt()
        self._step = None
        self.stop()

    def _begin_step(self, task: asyncio.Task[Any]) -> None:
        before = self._loop.facts()
        is_late = self._chosen is not None and self._recorder.instances.made > self._made
        is_wild = self._is_wild or is_late or not _is_seen(task)
        is_wild = is_wild or not all(map(_only_counts, before.plain))
        self._step = _CurrentStep(hash(task), task, before, is_wild)
        self._chosen, self._is_wild = None, False
        self._recorder.take()

    def _end_step(
        self,
        code: Effects,
        removed: tuple[tuple[Any, tuple[Any, ...]], ...] = (),
        *,
        is_next_known: bool = True,
    ) -> None:
        """Report the current step, which has ended, if there is one.

        Args:
            code: the effects of its code.
            removed: the next plain callback, which the loop has taken out of its queue.
            is_next_known: False if the loop has taken the next resumption out of its queue too.
        """
        step, self._step = self._step, None
        if step is None:
            return
        after = self._loop.facts()
        is_late = after.is_overdue or any(isinstance(each, Sleep) for each in after.plain)
        is_seen_between = self._loop.is_looked_at
        is_outside = self._loop.depends_on_threads or self._loop.has_network
        if is_late or self._recorder.is_misled or is_outside or is_seen_between:
            self._on_doubt()
        if step.is_wild or code.is_wild:
            effects = ANYTHING
        else:
            plain = [*removed, *((each.callback, each.args) for each in after.plain)]
            effects = self._effects(step, code, after, plain, is_next_known)
        self._on_step(step.key, effects)

    def _effects(
        self,
        step: _CurrentStep,
        code: Effects,
        after: Facts,
        plain: list[tuple[Any, tuple[Any, ...]]],
        is_next_known: bool,
    ) -> Effects:
        before, task = step.before, step.task
        if task is None or after.numbers != before.numbers or after.jumps != before.jumps:
            return ANYTHING
        timers = after.timers - before.timers
        if timers > 1 or (timers and not self._loop.is_sleep_ahead(after.timers)):
            return ANYTHING
        counted = [stepping.count_left(callback, arguments) for callback, arguments in plain]
        if not all(counted):
            return ANYTHING
        reads, writes = set(code.reads), set(code.writes)
        if task.done():
            if not stepping.has_ended_well(task):
                return ANYTHING
            writes.add(ENDED)
        elif not _is_seen(task):
            return ANYTHING
        has_moved = after.jumps > 0
        if after.patient > before.patient or (has_moved and not is_next_known):
            writes.add(PATIENCE)
        added = after.added - before.added
        left = 0
        if added:
            # While a callback is left, time may not pass. That makes no difference if it may not
            # pass anyway, because no resumption older than the callback has waited.
            if after.patient or (has_moved and not is_next_known):
                return ANYTHING
            reads.add(PATIENCE)
            left = min(counted[-added:])
        return Effects(
            frozenset(reads), frozenset(writes), False, left, code.reads_of, code.writes_of
        )


def _is_first_step(task: asyncio.Task[Any]) -> bool:
    coroutine: Any = task.get_coro()
    return (
        inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == "CORO_CREATED"
    ) or (inspect.isgenerator(coroutine) and inspect.getgeneratorstate(coroutine) == "GEN_CREATED")


def _only_counts(handle: Any) -> bool:
    return stepping.count_left(handle.callback, handle.args) > 0


def _is_seen(task: asyncio.Task[Any]) -> bool:
    """Whether the recorder sees all functions of a task, from the outermost to the innermost."""
    current: Any = task.get_coro()
    while current is not None:
        if not isinstance(current, _SEEN):
            return _is_future(current)
        awaited: Any = getattr(current, "cr_await", None)
        current = awaited if awaited is not None else getattr(current, "gi_yieldfrom", None)
    return True


def _is_future(awaited: Any) -> bool:
    """Whether an awaited object is a future, or the iterator of one."""
    kind = type(awaited)
    is_iterator = kind.__module__ == "_asyncio" and kind.__name__ == "FutureIter"
    return is_iterator or asyncio.isfuture(awaited)


class Place:
    """A choice that runs have met.

    Attributes:
        sleep: the steps that need not be tried there.
        tried: the steps that were tried there, with their effects.
        signature: that of the instances which the run had made before.
    """

    __slots__ = ("signature", "sleep", "tried")

    def __init__(self, sleep: SleepSet, signature: int) -> None:
        self.sleep = sleep
        self.tried: SleepSet = {}
        self.signature = signature

    def check(self, signature: int) -> None:
        """Forget which objects steps were about if a run has other instances when it comes here."""
        if signature != self.signature:
            self.sleep = without_objects(self.sleep)
            self.tried = without_objects(self.tried)
            self.signature = signature


class Reduction:
    """Keeps the sleep set of one run.

    Args:
        loop: its loop.
        recorder: records what code does.
        on_doubt: called when the branches skipped so far have to be tried after all.

    Attributes:
        sleep: the steps that need not be tried now.
        is_redundant: whether the run is equivalent to another one, no matter how it continues.
    """

    def __init__(
        self, loop: SimulatedLoop, recorder: AccessRecorder, on_doubt: Callable[[], object]
    ) -> None:
        self.sleep: SleepSet = {}
        self.is_redundant = False
        self._recorder = recorder
        self._observer = StepObserver(loop, recorder, self._pass_step, on_doubt)
        # The choice whose step has not run yet, and the key that was chosen there.
        self._place: Place | None = None
        self._key: Hashable = None

    def begin_run(self) -> None:
        """Number the instances that the run makes, as the runs before it have."""
        self._recorder.begin_run()

    def start(self, place: Place | None) -> bool:
        """Start observing the run; return whether that is possible.

        Args:
            place: the next choice; None at the beginning of a run.
        """
        if place is not None:
            place.check(self._recorder.instances.signature)
            self.sleep = {**place.sleep, **place.tried}
        return self._observer.start()

    def before_choice(self) -> Place | None:
        """The next choice; None if nothing is known about it."""
        self._observer.before_choice()
        if not self._observer.is_observing or self.is_redundant:
            return None
        return Place(self.sleep, self._recorder.instances.signature)

    def after_choice(self, place: Place, choice: int, options: Options) -> None:
        """Note the option chosen there."""
        self._key = options.key(choice)
        self._place = place
        self._observer.after_choice(choice, options)

    def _pass_step(self, key: Hashable, step: Effects) -> None:
        if self._place is not None:
            # Another task goes on if the program interferes with its loop.
            self._place.tried[self._key] = step if key == self._key else ANYTHING
            self._place = None
        if key in self.sleep:
            self.is_redundant = True
        self.sleep = pass_step(self.sleep, step)

    def end(self) -> None:
        """Stop observing: the run has ended."""
        self._observer.stop()
