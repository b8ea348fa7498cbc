"""`ChoosingLoop`: takes asyncio's steps in an order that somebody chooses.

The chooser is asked which of the resumptions is next, and plain callbacks that are older than that
run before it. Option 0 is always the oldest one, as stock asyncio would have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import STEP_TYPE, WAKE_SLEEPER, WAKE_UP_TYPE, StepTimer
from aldente._simulation.choices import Chooser, Options, Picks
from aldente._simulation.ready import ReadyLoop
from aldente._simulation.timers import NO_CONTEXT, Sleep
from aldente.errors import AldenteError


class ChoosingLoop(ReadyLoop):
    """The part of the simulated loop that runs what is ready, and lets time pass.

    Args:
        chooser: is asked whenever there is more than one way to go on.
        holds_all: as for `ReadyLoop`.
        slack: as for `ReadyLoop`.

    Attributes:
        choices: the options that were chosen so far.
        counts: among how many, each time.
        steps: how many steps were taken, at least; counted by turns.
    """

    def __init__(self, chooser: Chooser, *, holds_all: bool, slack: float) -> None:
        super().__init__(holds_all=holds_all, slack=slack)
        self.choices: list[int] = []
        self.counts: list[int] = []
        self.steps = 0
        self._chooser = chooser
        self._is_stopping = False
        # For tests that look at each turn.
        self._is_stepwise = False
        # Beyond so many steps it is looked whether the run may go on.
        self._limit = 0
        # And beyond so many jumps, or such a time.
        self._jumps_limit = 0
        self._time_limit = math.inf
        self._on_step: Callable[[Any, tuple[Any, ...]], object] | None = None
        self._after_step: Callable[[Any], object] | None = None
        self._hooks: list[Callable[[Any, tuple[Any, ...]], object]] = []
        self._after_hooks: list[Callable[[Any], object]] = []
        self._options = Options(self._pending, self.may_time_pass)

    def stop(self) -> None:
        """As asyncio's."""
        super().stop()
        self._is_stopping = True

    def run_forever(self) -> None:
        """As asyncio's."""
        try:
            super().run_forever()
        finally:
            self._is_stopping = False

    # What is told of its steps.

    def add_hook(self, hook: Callable[[Any, tuple[Any, ...]], object]) -> None:
        """Have a function called before each step, with what is called and its arguments."""
        self._hooks.append(hook)
        self._on_step = self._call_hooks

    def remove_hook(self, hook: Callable[[Any, tuple[Any, ...]], object]) -> None:
        """Undo `add_hook`."""
        if hook in self._hooks:
            self._hooks.remove(hook)
        self._on_step = self._call_hooks if self._hooks else None

    def _call_hooks(self, callback: Any, args: tuple[Any, ...]) -> None:
        for hook in list(self._hooks):
            hook(callback, args)

    def add_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Have a function called after each step, with what was called.

        What it raises ends the run.
        """
        self._after_hooks.append(hook)
        self._after_step = self._call_after_hooks

    def remove_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Undo `add_after_hook`."""
        if hook in self._after_hooks:
            self._after_hooks.remove(hook)
        self._after_step = self._call_after_hooks if self._after_hooks else None

    @property
    def is_looked_at(self) -> bool:
        """Whether anybody sees what the program is like between its steps."""
        return bool(self._after_hooks or self._guests)

    def _call_after_hooks(self, callback: Any) -> None:
        for hook in list(self._after_hooks):
            hook(callback)

    def pick(self, options: Picks) -> int:
        """Have something chosen that is no step: one of several ways to go on."""
        count = len(options)
        try:
            index = self._chooser.choose(count, options)
        except AldenteError as error:
            # This may be called from a callback, whose exceptions don't end the run.
            self.fail(error)
            return 0
        self.choices.append(index)
        self.counts.append(count)
        return index

    def fail(self, error: AldenteError) -> None:
        """Have the run end with an error."""
        raise NotImplementedError

    def on_limit(self) -> None:
        """More steps were taken than the limit says: raise, or set another limit."""
        raise NotImplementedError

    def run_turns(self) -> None:
        """Take turns until the loop is stopped.

        A turn takes as many steps as things were ready at its beginning, as asyncio's does.
        """
        # All in one function, as this is where the time of a run is spent.
        plain, pending, sleeps, alarms = self._plain, self._pending, self._sleeps, self._alarms
        choose, options, last_steps = self._chooser.choose, self._options, self._last_steps
        note_choice, note_count = self.choices.append, self.counts.append
        infinity = math.inf
        while True:
            if self.steps > self._limit:
                self.on_limit()
            if not plain and not pending and not self._is_stopping:
                self.wait()
            if (sleeps and sleeps[0][0] <= self._now) or (alarms and alarms[0][0] <= self._now):
                self._queue_due()
            todo = len(plain) + len(pending)
            self.steps += todo
            while todo > 0:
                todo -= 1
                if not pending or (plain and self._added - len(plain) < pending[0][0]):
                    if not plain:
                        break
                    if (
                        self._guests
                        and 0 < self._intruders < len(pending)
                        and (pending[0][0] == infinity)
                    ):
                        self.put_intruders_last()
                        todo += 1
                        continue
                    self._run_plain(plain.popleft())
                    continue
                count = len(pending)
                if (
                    self._patient == count
                    and not plain
                    and (sleeps or alarms)
                    and self._may_time_pass()
                ):
                    count += 1
                if count == 1:
                    mark, callback, context, args, deadline = pending.pop()
                else:
                    index = choose(count, options)
                    note_choice(index)
                    note_count(count)
                    if index == len(pending):
                        self._let_time_pass()
                        continue
                    mark, callback, context, args, deadline = pending.pop(index)
                if deadline:
                    self._patient -= 1
                    if not self._patient:
                        self._earliest, self._earliest_count = math.inf, 0
                    elif deadline == self._earliest:
                        self._earliest_count -= 1
                if plain and mark == infinity:
                    # Not for what is added meanwhile.
                    mark = self._added
                while plain and self._added - len(plain) < mark:
                    todo -= 1
                    self._run_plain(plain.popleft())
                if self.jumps:
                    last_steps[id(callback.__self__)] = self._now
                if self._on_step is not None:
                    self._on_step(callback, args)
                try:
                    # None has more than one.
                    if args:
                        context.run(callback, args[0])
                    else:
                        context.run(callback)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    _asyncio_compat.report_failed_step(self, callback, args, context, error)
                if self._after_step is not None:
                    self._after_step(callback)
                # Not kept alive by the next step, or by the traceback of an exception.
                callback = context = args = None
            if self._is_stopping or self._is_stepwise:
                return

    def _run_plain(self, handle: Any) -> None:
        if handle.is_cancelled:
            return
        callback: Any = handle.callback
        if self.jumps and (type(callback) is STEP_TYPE or type(callback) is WAKE_UP_TYPE):
            # What else has this type is a key that no task has.
            self._last_steps[id(callback.__self__)] = self._now
        if self._on_step is not None:
            self._on_step(callback, handle.args)
        try:
            self._is_outside = handle.is_outside
            if callback is WAKE_SLEEPER:
                # Who sleeps can't take this back if somebody else has ended the sleep.
                if not handle.args[0].done():
                    callback(*handle.args)
            else:
                handle.run()
            if self._after_step is not None:
                self._after_step(callback)
        finally:
            self._is_outside = False
            # This frame lives on with the traceback of what was raised in it.
            handle = callback = None

    def wait(self) -> None:
        """Nothing is ready: wait for what is outside, or else let time pass."""
        self.let_time_pass()

    def let_time_pass(self) -> None:
        """Let time pass to the next timer."""
        self._forget_done_sleeps()
        sleeps, alarms = self._sleeps, self._alarms
        if sleeps and not (alarms and alarms[0][0] <= sleeps[0][0]):
            # Only sleeps end, so that no code of the program runs before its tasks do.
            self._let_time_pass()
        elif alarms:
            self.move_to(alarms[0][0])
        else:
            self.give_up()

    def give_up(self) -> None:
        """Nothing can happen any more."""
        raise NotImplementedError

    def move_to(self, when: float) -> None:
        """Let time pass, up to a moment that is no later than the next timer."""
        self.jumps += 1
        if when > self._now:
            self._now = when
            self._overdue = 0
        if self.jumps >= self._jumps_limit or when > self._time_limit:
            self.on_time_limit()

    def on_time_limit(self) -> None:
        """Time has moved further, or more often, than the limits say."""
        raise NotImplementedError

    def _queue_due(self) -> None:
        """Have the timers called whose time has come, in the order of their times and numbers."""
        now, sleeps, alarms = self._now, self._sleeps, self._alarms
        while True:
            if alarms and not (sleeps and sleeps[0][:2] < alarms[0][:2]):
                if alarms[0][0] > now:
                    return
                timer: StepTimer = heappop(alarms)[2]
                timer.is_scheduled = False
                if timer.is_cancelled:
                    self._cancelled -= 1
                    continue
            else:
                if not sleeps or sleeps[0][0] > now:
                    return
                when, _, future, result, _ = heappop(sleeps)
                timer = Sleep(when, WAKE_SLEEPER, (future, result), self, NO_CONTEXT)
            self._plain.append(timer)
            self._added += 1

    # How long a resumption may be held back.

    def _earliest_deadline(self) -> float:
        """Until when all that is ready may be held, when all of it has waited.

        It is known, and looked for only when the last that had it is gone: seldom, as what has
        waited for less is younger, or as many have waited equally long.
        """
        if not self._earliest_count:
            deadlines = [entry[4] for entry in self._pending]
            self._earliest = min(deadlines)
            self._earliest_count = deadlines.count(self._earliest)
        return self._earliest

    def may_time_pass(self) -> bool:
        """Whether time may pass to the next timer while something is ready.

        That is so if it is a sleep that is over before any resumption has been held for too long,
        or if nothing is ready that the program has to do with.
        """
        return (
            bool(self._sleeps or self._alarms)
            and not self._plain
            and bool(self._pending)
            and self._patient == len(self._pending)
            and self._may_time_pass()
        )

    def _may_time_pass(self) -> bool:
        """As `may_time_pass`, when something is ready and all of it has waited."""
        if self._guests:
            # Time stands still while somebody waits for the loop to settle.
            if self._settling:
                return False
            if self._intruders == len(self._pending):
                self._forget_done_sleeps()
                return bool(self._sleeps or self._alarms)
        sleeps, alarms = self._sleeps, self._alarms
        while sleeps:
            when, _, future, _, _ = sleeps[0]
            if when > (self._earliest if self._earliest_count else self._earliest_deadline()):
                return False
            if alarms and alarms[0][0] <= when:
                return False
            if not future.done():
                return True
            heappop(sleeps)
        return False

    def _forget_done_sleeps(self) -> None:
        """Have the next sleep be one that nobody has cancelled."""
        sleeps = self._sleeps
        while sleeps and sleeps[0][2].done():
            heappop(sleeps)

    def _let_time_pass(self) -> None:
        """Have the next sleep end, and others that end with it; or have another timer ring."""
        sleeps, alarms = self._sleeps, self._alarms
        if alarms and not (sleeps and sleeps[0][0] < alarms[0][0]):
            self.move_to(alarms[0][0])
            self._queue_due()
            return
        when = sleeps[0][0]
        # As `move_to`.
        self.jumps += 1
        if when > self._now:
            self._now = when
            self._overdue = 0
        if self.jumps >= self._jumps_limit or when > self._time_limit:
            self.on_time_limit()
        while True:
            _, _, future, result, since = heappop(sleeps)
            if not future.done():
                if self._on_step is not None:
                    self._on_step(WAKE_SLEEPER, (future, result))
                self._asleep_since = since
                future.set_result(result)
            if not sleeps or sleeps[0][0] > when:
                self._asleep_since = None
                return
