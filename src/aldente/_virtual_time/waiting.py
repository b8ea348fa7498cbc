"""The selector of a virtual-time loop, which lets time jump instead of sleeping.

A loop calls its selector when nothing is ready. This one decides whether anything outside of the
loop can still make something ready; if nothing can, time jumps.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aldente import _asyncio_compat
from aldente._runner import outside, peers
from aldente._runner.peers import Peers
from aldente._runner.settle import SettlingLoop
from aldente._runner.threads import Threads
from aldente._system import monotonic
from aldente._virtual_time.clock import pending_timers
from aldente._virtual_time.polling import PollingWatch
from aldente.errors import AldenteError, DeadlockError, EndlessTimeError

# How long in all, in real seconds, a loop waits for threads that are in time.sleep(). Some threads
# sleep repeatedly, as SQLite does until another connection releases its lock: it gives up after
# five seconds, and time should long have jumped to where the lock is released.
NAPS = 2.0

# After how many jumps to check whether only timers go on; then after twice as many, and so on.
JUMPS_UNTIL_LOOK = 1_000

# How long, in real seconds, a loop waits for other processes before it checks again whether one may
# still act: one that ends without a word wakes no loop.
UNTIL_LOOK = 0.5

# The longest wait of a selector, in seconds; asyncio has the same maximum.
LONGEST = 86_400.0
# How late a wait may end on a busy machine, in real seconds.
_LATEST = 0.5

Events = list[tuple[selectors.SelectorKey, int]]


class JumpingLoop(SettlingLoop, asyncio.SelectorEventLoop):
    """A loop whose selector moves its time, as the selector sees it.

    Attributes:
        jobs: how many jobs of executors are running and not abandoned.
        limits: how far time may advance, in seconds of loop time, and in how many jumps.
        on_stuck: called with an error when nothing can happen any more; None to raise it.
        is_stuck_beside_timers: whether no timer can make the main task of the run continue.
    """

    jobs: int
    limits: tuple[float, int]
    on_stuck: Callable[[JumpingLoop, AldenteError], bool] | None
    is_stuck_beside_timers: Callable[[JumpingLoop], bool]
    _held: int
    _children: set[asyncio.SubprocessTransport]

    @property
    def is_held(self) -> bool:
        """Whether a child process runs or the executor is shutting down, so that time is real."""
        if self._children:
            self._children = {child for child in self._children if _is_running(child)}
        return self._held > 0 or bool(self._children)

    @property
    def is_alone(self) -> bool:
        """Whether surely nothing runs outside, and no task waits for the loop to settle."""
        return not (self._held or self.jobs or self._children or self._settling)

    def move_to(self, when: float) -> None:
        """Let time pass, up to a moment that is no later than the next timer."""
        raise NotImplementedError


def _passed_since(began: float, at_most: float) -> float:
    """How much real time has passed for threads while this one waited.

    Args:
        began: when the wait began, by `monotonic`.
        at_most: how long it was to take at most, in seconds.

    On a busy machine this thread runs late. When it runs much later still, the machine or the whole
    process has stood still, and no other thread could do anything in that time.
    """
    return min(monotonic() - began, at_most + _LATEST)


def _is_running(transport: asyncio.SubprocessTransport) -> bool:
    return transport.get_returncode() is None and not transport.is_closing()


class VirtualSelector(selectors.BaseSelector):
    """A selector that lets loop time pass where others would sleep.

    Args:
        real: the selector of the platform.
        loop: the loop that has this selector.
        patience: how long nothing must come from outside before time jumps, in real seconds.
        bystanders: identifiers of threads that are known to wake no loop.
        polling: counts each round; an attribute too.
    """

    def __init__(
        self,
        real: selectors.BaseSelector,
        loop: JumpingLoop,
        *,
        patience: float,
        bystanders: Collection[int],
        polling: PollingWatch,
    ) -> None:
        self.polling = polling
        self._count_round = polling.count_round
        self._real = real
        self._loop = loop
        self._patience = patience
        self._peers = Peers()
        present = outside.present_threads()
        self._threads = Threads(loop, bystanders, present.busy, present.idle)
        self._handlers_before = outside.signal_handlers()
        self._naps = NAPS
        self._jumps = 0
        self._next_look = JUMPS_UNTIL_LOOK
        self._end: float | None = None

    def start_anew(self, patience: float | None = None) -> None:
        """Forget how far time has advanced, and which code has read clocks.

        Args:
            patience: how long nothing must come from outside before time jumps, in real seconds;
                None to leave it.
        """
        self._forget_jumps()
        self.polling.start_anew()
        if patience is not None:
            self._patience = patience

    def _forget_jumps(self) -> None:
        self._jumps = 0
        self._next_look = JUMPS_UNTIL_LOOK
        self._end = None

    # Most methods are the platform selector's.

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Like the platform's selector."""
        key = self._real.register(fileobj, events, data)
        self._peers.add(key.fd)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Like the platform's selector."""
        key = self._real.unregister(fileobj)
        self._peers.remove(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Like the platform's selector."""
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        """Like the platform's selector."""
        self._real.close()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """Like the platform's selector."""
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Like the platform's selector."""
        return self._real.get_map()

    def select(self, timeout: float | None = None) -> Events:
        """Return the events; if there are none, let time pass instead."""
        self._count_round()
        if timeout is not None and timeout <= 0:
            return self._real.select(timeout)
        if self._is_alone():
            when = self._next_timer()
            if when is not None:
                self._jump(when)
                return []
        events = self._real.select(0)
        if events or _asyncio_compat.may_have_ready_callbacks(self._loop):
            # Something is ready if another thread has called in since the loop checked.
            return events
        return self._wait()

    def _is_alone(self) -> bool:
        """Whether surely nothing but timers can happen, as in most programs of sleeps."""
        return (
            self._peers.is_only_wake_up
            and self._loop.is_alone
            and self._threads.is_alone()
            and not _asyncio_compat.may_have_ready_callbacks(self._loop)
            and not _asyncio_compat.handles_signals(self._loop)
            and not outside.is_alarm_set()
        )

    def _next_timer(self) -> float | None:
        """The time of the next timer; None if there is none, or it is infinite."""
        when = _asyncio_compat.next_timer(self._loop)
        return None if when == math.inf else when

    def _wait(self) -> Events:
        """Wait for events from outside, or else let time jump."""
        loop = self._loop
        when = self._next_timer()
        if self._peers.hurry():
            events = self._real.select(0)
            if events:
                return events
        if loop.is_held or outside.is_alarm_set():
            return self._follow_real_time(when)
        if self._threads.are_at_work() or self._are_jobs_running() or self._peers.are_tried_again():
            # Not longer, as a job may begin to wait for this very loop.
            return self._follow_real_time(when, at_most=self._patience)
        if self._has_to_await_naps():
            began = monotonic()
            events = self._follow_real_time(when, at_most=self._patience)
            self._naps -= _passed_since(began, self._patience)
            return events
        may_hear = self._peers.may_be_heard() or self._threads.may_call_in()
        if may_hear:
            began = monotonic()
            events = self._listen()
            if events or _asyncio_compat.may_have_ready_callbacks(loop):
                return events
            listened = _passed_since(began, self._patience)
            if self._threads.are_running(listened):
                # It slept all the time, as far as is known.
                passed = loop.time() + listened
                loop.move_to(passed if when is None else min(passed, when))
                return []
            if self._has_to_await_naps():
                # A thread that had not begun before.
                return []
        events = self._real.select(0)
        if events or _asyncio_compat.may_have_ready_callbacks(loop):
            # Poll after checking the threads: one may have called in and ended just before the
            # check.
            return events
        if loop.is_awaited_to_settle:
            loop.notify_settled()
        elif when is not None:
            self._jump(when)
        elif (
            self._peers.may_be_heard()
            or self._handles_signals()
            or self._peers.may_be_called(self._patience, self._real)
        ):
            return self._real.select(UNTIL_LOOK)
        elif self._threads.may_ever_call_in():
            # Until one does, or all of them wait themselves.
            return self._real.select(self._patience)
        else:
            # Poll once more, as one may have called in and ended meanwhile.
            return self._real.select(0) or self._give_up()
        return []

    def _handles_signals(self) -> bool:
        return _asyncio_compat.handles_signals(self._loop) or outside.handles_signals(
            self._handlers_before
        )

    def _has_to_await_naps(self) -> bool:
        return self._naps > 0 and self._threads.are_napping()

    def _are_jobs_running(self) -> bool:
        """Whether a job of an executor does anything but wait, maybe for this very loop."""
        jobs = self._loop.jobs
        return jobs > 0 and jobs > self._threads.waiting_in_jobs()

    def _listen(self) -> Events:
        """Wait for other processes and threads, while loop time stands still."""
        self._threads.note_before()
        events = self._real.select(self._patience)
        if not events:
            self._threads.note_silence()
        return events

    def _follow_real_time(self, when: float | None, at_most: float = LONGEST) -> Events:
        """Wait like any loop, and let the same loop time pass."""
        now = self._loop.time()
        remaining = math.inf if when is None else when - now
        began = monotonic()
        events = self._real.select(min(remaining, at_most))
        # Exactly to the timer, whenever this thread wakes up.
        is_over = not events and remaining <= at_most
        passed = remaining if is_over else min(_passed_since(began, at_most), remaining)
        self._loop.move_to(now + passed if passed < remaining or when is None else when)
        return events

    def _jump(self, when: float) -> None:
        seconds, jumps = self._loop.limits
        if self._end is None:
            self._end = self._loop.time() + seconds
        self._jumps += 1
        if self._jumps >= self._next_look:
            # Less and less often, as the check is slow.
            self._next_look = 2 * self._jumps
            if self._is_stuck() and self._ends(DeadlockError("the program", 0.0, True)):
                return
        if when > self._end or self._jumps > jumps:
            is_too_long = when > self._end
            # What is being ended now may need some time.
            self._forget_jumps()
            timers = [str(timer) for timer in pending_timers(self._loop)]
            if self._ends(EndlessTimeError(seconds if is_too_long else None, jumps, timers)):
                return
        self._loop.move_to(when)

    def _is_stuck(self) -> bool:
        """Whether neither timers nor anything outside can ever help."""
        return not (
            self._peers.may_be_heard()
            or self._handles_signals()
            or self._threads.may_ever_call_in()
            or self._are_jobs_running()
            or peers.may_act()
        ) and self._loop.is_stuck_beside_timers(self._loop)

    def _give_up(self) -> Events:
        """End the run, as nothing can happen any more."""
        if self._ends(DeadlockError("the program", 0.0)):
            return []
        # The rule is off or allowed, so wait for ever.
        return self._real.select(None)

    def _ends(self, error: EndlessTimeError | DeadlockError) -> bool:
        """End the run with an error; return whether it ends."""
        if self._loop.on_stuck is None:
            raise error
        return self._loop.on_stuck(self._loop, error)
