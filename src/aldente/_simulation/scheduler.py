"""`ChoosingLoop`: runs asyncio's steps in an order that a strategy decides.

The strategy picks the next resumption; plain callbacks older than that one run before it. Option 0
is always the oldest resumption, which stock asyncio would run next.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import STEP_TYPE, WAKE_SLEEPER, WAKE_UP_TYPE, StepTimer
from aldente._python_compat import identity_of
from aldente._simulation.choices import Durations, Options, Picks, Strategy
from aldente._simulation.durations import (
    UNTIMED,
    Arrival,
    End,
    Late,
    Reach,
    ends_of,
    soonest,
)
from aldente._simulation.ready import ReadyLoop
from aldente._simulation.timers import AHEAD, NO_CONTEXT, Sleep, SleepEntry, TimeOut
from aldente.errors import AldenteError


class ChoosingLoop(ReadyLoop):
    """The part of the simulated loop that runs ready callbacks and lets time pass.

    Args:
        strategy: decides whenever the run can go on in more than one way.
        holds_all: as for `ReadyLoop`.
        slack: as for `ReadyLoop`.

    Attributes:
        choices: the number of the option chosen at each choice so far.
        counts: how many options each of these choices had.
        steps: how many steps were taken, at least; counted by turns.
        on_late: called with what takes longer than it has to; None without a listener.
    """

    def __init__(self, strategy: Strategy, *, holds_all: bool, slack: float) -> None:
        super().__init__(holds_all=holds_all, slack=slack)
        self.choices: list[int] = []
        self.counts: list[int] = []
        self.steps = 0
        self.on_late: Callable[[Late], object] | None = None
        self._strategy = strategy
        self._is_stopping = False
        # Set by tests that inspect the loop after each turn.
        self._is_stepwise = False
        # Past this many steps, `on_limit` decides whether the run may go on.
        self._limit = 0
        # Past this many jumps, or this time, `on_time_limit` does.
        self._jumps_limit = 0
        self._time_limit = math.inf
        self._on_step: Callable[[Any, tuple[Any, ...]], object] | None = None
        self._after_step: Callable[[Any], object] | None = None
        self._hooks: list[Callable[[Any, tuple[Any, ...]], object]] = []
        self._after_hooks: list[Callable[[Any], object]] = []
        # What may be ready among what the loop watches.
        self._io: dict[int, None] = {}
        self._options = Options(self._pending, self.may_time_pass, self.choices)

    def stop(self) -> None:
        """Like asyncio's."""
        super().stop()
        self._is_stopping = True

    def run_forever(self) -> None:
        """Like asyncio's."""
        try:
            super().run_forever()
        finally:
            self._is_stopping = False

    # Hooks around steps.

    def add_hook(self, hook: Callable[[Any, tuple[Any, ...]], object]) -> None:
        """Call a function before each step, with the step's callback and its arguments."""
        self._hooks.append(hook)
        self._note_hooks()

    def remove_hook(self, hook: Callable[[Any, tuple[Any, ...]], object]) -> None:
        """Undo `add_hook`."""
        if hook in self._hooks:
            self._hooks.remove(hook)
        self._note_hooks()

    def _note_hooks(self) -> None:
        hooks = self._hooks
        self._on_step = None if not hooks else hooks[0] if len(hooks) == 1 else self._call_hooks

    def _call_hooks(self, callback: Any, args: tuple[Any, ...]) -> None:
        for hook in list(self._hooks):
            hook(callback, args)

    def add_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Call a function after each step, with the step's callback.

        An exception that it raises ends the run.
        """
        self._after_hooks.append(hook)
        self._after_step = self._call_after_hooks

    def remove_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Undo `add_after_hook`."""
        if hook in self._after_hooks:
            self._after_hooks.remove(hook)
        self._after_step = self._call_after_hooks if self._after_hooks else None

    def drop_ready(self, is_dead: Callable[[Any, Context | None], bool]) -> None:
        """Like the base class's."""
        super().drop_ready(is_dead)
        self._options.moves += 1

    @property
    def is_looked_at(self) -> bool:
        """Whether a hook or a guest can see the program's state between its steps."""
        return bool(self._after_hooks or self._guests)

    def _call_after_hooks(self, callback: Any) -> None:
        for hook in list(self._after_hooks):
            hook(callback)

    def put_intruders_last(self) -> None:
        """Move intruders behind the resumptions of the program."""
        super().put_intruders_last()
        self._options.moves += 1

    def remove_intruder(self, callback: Any) -> None:
        """Undo `add_intruder`, if its callback has not run."""
        super().remove_intruder(callback)
        self._options.moves += 1

    def pick(self, options: Picks) -> int:
        """Let the strategy decide something other than the next step."""
        if self._is_over:
            # What the run has left open, such as a socket, is freed at any time after it.
            return 0
        count = options.size
        try:
            index = self._strategy.choose(count, options)
        except AldenteError as error:
            # A callback may be calling this, and an exception from a callback doesn't end the run.
            self.fail(error)
            return 0
        self.choices.append(index)
        self.counts.append(count)
        return index

    def fail(self, error: AldenteError) -> None:
        """End the run with an error."""
        raise NotImplementedError

    def on_limit(self) -> None:
        """Raise, or set another limit: the run has taken more steps than the limit allows."""
        raise NotImplementedError

    def run_turns(self) -> None:
        """Run turns until the loop is stopped.

        As in asyncio, a turn takes as many steps as there were ready callbacks when it began.
        """
        # One long function with local names, because a run spends most of its time here.
        plain, pending, sleeps, alarms = self._plain, self._pending, self._sleeps, self._alarms
        choose, options, last_steps = self._strategy.choose, self._options, self._last_steps
        note_choice, note_count = self.choices.append, self.counts.append
        infinity, io = math.inf, self._io
        while True:
            if self.steps > self._limit:
                self.on_limit()
            if io:
                self.poll()
            if not plain and not pending and not self._is_stopping:
                self.wait()
            if (sleeps and sleeps[0][0] <= self._now) or (alarms and alarms[0][0] <= self._now):
                self._queue_due()
            todo = len(plain) + len(pending)
            self.steps += todo
            while todo > 0:
                todo -= 1
                # `_added - len(plain)` is the number of the oldest plain callback. It runs now if
                # it became ready before the oldest resumption: asyncio's queue has it in front, and
                # no choice may move a resumption past it.
                if not pending or (plain and self._added - len(plain) < pending[0][0]):
                    if not plain:
                        break
                    if (
                        self._guests
                        and 0 < self._intruders < len(pending)
                        and (pending[0][0] == infinity)
                    ):
                        # The oldest entry is an intruder, whose mark is infinite: all plain
                        # callbacks would run before the program's resumptions behind it.
                        self.put_intruders_last()
                        todo += 1
                        continue
                    self._run_plain(plain.popleft())
                    continue
                count = len(pending) if self._end_of_turn is None else self.count_of_turn()
                # What the network brings comes before time passes, and a turn begins with it.
                if self._guests and not plain and self._intruders == count and self.brings():
                    break
                # "Let time pass" is one more option when only intruders are ready.
                if self._guests and self.may_time_pass():
                    count += 1
                if count == 1:
                    mark, callback, context, args = pending.pop(0)
                else:
                    index = choose(count, options)
                    note_choice(index)
                    note_count(count)
                    if index == len(pending):
                        self._let_time_pass()
                        continue
                    mark, callback, context, args = pending.pop(index)
                if plain and mark == infinity:
                    # An intruder comes after the plain callbacks that are ready now, but not after
                    # those that these add: else it might never come.
                    mark = self._added
                # Plain callbacks keep their place before the resumption that was chosen.
                while plain and self._added - len(plain) < mark:
                    todo -= 1
                    self._run_plain(plain.popleft())
                # Before time first moves each task has waited for 0 s, so nothing is recorded.
                if self.jumps:
                    last_steps[identity_of(callback.__self__)] = self._now
                if self._on_step is not None:
                    self._on_step(callback, args)
                try:
                    # A resumption has at most one argument.
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
                # Else this frame keeps the objects alive during the next step, and so does the
                # traceback of an exception.
                callback = context = args = None
            if self._is_stopping or self._is_stepwise:
                return

    def _run_plain(self, handle: Any) -> None:
        if handle.is_cancelled:
            return
        callback: Any = handle.callback
        if self.jumps and (type(callback) is STEP_TYPE or type(callback) is WAKE_UP_TYPE):
            # Other objects of these types have an identity that no task has, so the entry that they
            # leave does no harm.
            self._last_steps[identity_of(callback.__self__)] = self._now
        if self._on_step is not None:
            self._on_step(callback, handle.args)
        try:
            self._is_outside = handle.is_outside
            if callback is WAKE_SLEEPER:
                # The sleep can't cancel this callback once another has set its future.
                if not handle.args[0].done():
                    callback(*handle.args)
            else:
                handle.run()
            if self._after_step is not None:
                self._after_step(callback)
        finally:
            self._is_outside = False
            # The traceback of an exception keeps this frame alive, and so these objects.
            handle = callback = None

    def poll(self) -> None:
        """Queue the callbacks of what is ready among what the loop watches; a turn begins."""

    def wait(self) -> None:
        """Wait for threads, or else let time pass: nothing is ready."""
        self.let_time_pass()

    def let_time_pass(self) -> None:
        """Let time pass to the next timer."""
        self._forget_done_sleeps()
        sleeps, alarms = self._sleeps, self._alarms
        if sleeps and not (alarms and alarms[0][0] <= sleeps[0][0]):
            # Ending a sleep runs no code of the program, so its future can be set at once; an alarm
            # may run any code, so `_queue_due` queues it in order with the sleeps of its time.
            self._let_time_pass()
        elif alarms:
            self.move_to(alarms[0][0])
        else:
            self.give_up()

    def give_up(self) -> None:
        """End the run: nothing is ready, no timer is set and no thread can call in."""
        raise NotImplementedError

    def move_to(self, when: float) -> None:
        """Move time forward, no further than to the next timer."""
        self.jumps += 1
        if when > self._now:
            self._now = when
            self._overdue = 0
        if self.jumps >= self._jumps_limit or when > self._time_limit:
            self.on_time_limit()

    def on_time_limit(self) -> None:
        """Raise, or set other limits: time has moved further, or more often, than they allow."""
        raise NotImplementedError

    def _queue_due(self) -> None:
        """Queue the callbacks of all timers that are due, by time and then by number."""
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
                if type(timer) is TimeOut:
                    self.time_outs_fired += 1
            else:
                if not sleeps or sleeps[0][0] > now:
                    return
                entry = heappop(sleeps)
                if entry[2].done():
                    continue
                if self._takes_longer(entry):
                    continue
                if entry[4] == AHEAD:
                    self._end_sleep(entry)
                    continue
                timer = Sleep(entry[0], WAKE_SLEEPER, (entry[2], entry[3]), self, NO_CONTEXT)
            self._plain.append(timer)
            self._added += 1

    def may_time_pass(self) -> bool:
        """Whether time may pass to the next timer while something is ready.

        It may when only intruders are ready, unless a future waits for the loop to settle.
        """
        if self._settling or self._plain or not 0 < self._intruders == len(self._pending):
            return False
        self._forget_done_sleeps()
        return bool(self._sleeps or self._alarms)

    def _forget_done_sleeps(self) -> None:
        """Drop cancelled sleeps from the front of the heap."""
        sleeps = self._sleeps
        while sleeps and sleeps[0][2].done():
            heappop(sleeps)

    def _let_time_pass(self) -> None:
        """End the next sleep and all others due at its time, or queue the next alarm."""
        sleeps, alarms = self._sleeps, self._alarms
        if alarms and not (sleeps and sleeps[0][0] < alarms[0][0]):
            self.move_to(alarms[0][0])
            self._queue_due()
            return
        when = sleeps[0][0]
        # `move_to` inlined, for speed.
        self.jumps += 1
        if when > self._now:
            self._now = when
            self._overdue = 0
        if self.jumps >= self._jumps_limit or when > self._time_limit:
            self.on_time_limit()
        while True:
            entry = heappop(sleeps)
            if not entry[2].done() and not self._takes_longer(entry):
                self._end_sleep(entry)
            if not sleeps or sleeps[0][0] > when:
                return

    def _end_sleep(self, entry: SleepEntry) -> None:
        """End a sleep at once, which runs no code of the program."""
        if self._on_step is not None:
            self._on_step(WAKE_SLEEPER, (entry[2], entry[3]))
        self._is_sleep_ending = True
        entry[2].set_result(entry[3])
        self._is_sleep_ending = False

    # Durations.

    def _takes_longer(self, entry: SleepEntry) -> bool:
        """Let the strategy choose how long a sleep takes; whether it takes longer than it has to.

        A sleep that is alone, so that nothing can happen before it ends, takes as long as it has
        to: if it took longer, all that follows would only come later.
        """
        when, number, future, result, since, due = entry
        if when > due or not due > since or not self._slack:
            return False
        self._forget_done_sleeps()
        sleeps, alarms = self._sleeps, self._alarms
        is_alone = not (sleeps or alarms or self._plain)
        if is_alone and len(self._pending) == self._intruders:
            return False
        self._durations += 1
        most = self._slack * (due - since)
        last = min(due + most, math.nextafter(self._end_of_pace(), -math.inf))
        reach = Reach(due, number, most, last, self._durations)
        others = [each[0] for each in soonest(sleeps) if not each[2].done()]
        timers = [End(*each[:2]) for each in soonest(alarms) if not each[2].is_cancelled]
        awaited = future.awaited if isinstance(future, Arrival) else future
        end = self._pick_end(ends_of(reach, others, timers), awaited, due - since)
        if end is None:
            return False
        since = AHEAD if end.is_ahead else since
        heappush(sleeps, (end.when, end.number, future, result, since, due))
        return True

    def _pick_end(
        self, ends: list[End], awaited: asyncio.Future[Any] | None, seconds: float, what: str = ""
    ) -> End | None:
        """Let the strategy choose one of several ends; None for the first, when it is due.

        Args:
            ends: the ends.
            awaited: done at the end; None if it is not known.
            seconds: how long it takes to the first end.
            what: as for `is_late`.
        """
        if len(ends) == 1:
            return None
        end = ends[self.pick(Durations([each.when for each in ends], awaited))]
        due = ends[0].when
        if end.when == due:
            return None
        if self.on_late is not None:
            self.on_late(Late(awaited, seconds, end, due, what))
        return end

    def is_late(
        self, come: Callable[[], object], awaited: asyncio.Future[Any] | None, what: str = ""
    ) -> bool:
        """Let the strategy choose whether something that takes no time takes some; whether it does.

        It may do so while a sleep of another task is near, and never as long as the next timer of
        another kind or sleep of the test function needs: any time-out is generous for it.

        Args:
            come: called when it comes, if it takes some time; else it comes now.
            awaited: the future that is done by it; None if that is not known.
            what: what it is, in words; empty for what a task waits for.
        """
        self._forget_done_sleeps()
        now, sleeps = self._now, self._sleeps
        if not sleeps or not self._slack:
            return False
        most = self._slack * UNTIMED
        limits = [when for when, _, timer in self._alarms if not timer.is_cancelled]
        # Sleeps of the test function, which have begun when they end.
        limits += [
            when
            for when, _, future, _, since, due in sleeps
            if when == since == due and not future.done()
        ]
        last = min([now + most, *(math.nextafter(when, -math.inf) for when in limits)])
        others = [each[0] for each in soonest(sleeps) if not each[2].done()]
        if not (last > now and others[0] <= last):
            return False
        self._durations += 1
        self._timers += 1
        reach = Reach(now, self._timers, most, last, self._durations)
        end = self._pick_end(ends_of(reach, others, ()), awaited, 0.0, what)
        if end is None:
            return False
        heappush(sleeps, (end.when, end.number, Arrival(come, awaited, self), None, now, now))
        return True

    def come_after(
        self, seconds: float, come: Callable[[], object], awaited: asyncio.Future[Any] | None
    ) -> Arrival:
        """Have something from outside come after a while, which may take longer as a sleep may.

        Args:
            seconds: how long it has to take; positive.
            come: called when it comes.
            awaited: as for `is_late`.

        Returns:
            What comes; it does not if that is cancelled.
        """
        self._timers += 1
        now = self._now
        due = now + seconds
        arrival = Arrival(come, awaited, self)
        heappush(self._sleeps, (due, self._timers, arrival, None, now, due))
        return arrival
