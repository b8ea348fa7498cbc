"""Which other threads may call in on a loop.

Nothing tells what a thread is about to do. So threads are taken for what they do now: one that
runs, or does a job for the loop, is waited for in real time; one that sleeps is listened to for a
while.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Collection, Mapping
from types import FrameType
from typing import NamedTuple

from aldente._loops.waiting_threads import (
    FUTEX,
    NAPS,
    can_only_wait,
    does_job,
    is_in_futex,
    is_worker,
    system_call,
)
from aldente._stacks import frames_of_threads


class _State(NamedTuple):
    """What Linux tells of a thread.

    Attributes:
        is_running: whether it runs, or could.
        switches: how often it has gone to sleep.
        seconds: how long it has run, or waited for a processor.
    """

    is_running: bool
    switches: int
    seconds: float


class Threads:
    """The threads of the process but the loop's own.

    Args:
        loop: the loop.
        bystanders: identifiers of threads that are taken to wake no loop.
        old: the threads that were there before the loop; None for those that are there now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bystanders: Collection[int],
        old: Collection[threading.Thread] | None = None,
    ) -> None:
        self._loop = loop
        self._bystanders = bystanders
        self._old = weakref.WeakSet(threading.enumerate() if old is None else old)
        # The states at the end of the last silence, and at the beginning of this one.
        self._silent: dict[int, _State] = {}
        self._before: dict[int, _State] = {}

    def is_alone(self) -> bool:
        """Whether there is no other thread but bystanders."""
        return threading.active_count() == 1 or not self._threads()

    def are_at_work(self) -> bool:
        """Whether a thread does a job for the loop, as those of anyio do."""
        return any(
            getattr(thread, "loop", None) is self._loop and not _is_idle(thread, frames)
            for thread, frames in self._others()
        )

    def waiting_in_jobs(self) -> int:
        """How many threads of executors do a job, and can only wait for another thread in it."""
        return sum(
            (frame := frames.get(thread.ident or 0)) is not None
            and not is_worker(frame)
            and can_only_wait(frame)
            and is_in_futex(thread)
            and does_job(frame)
            for thread, frames in self._others()
        )

    def may_call_in(self) -> bool:
        """Whether there are threads of which nobody knows that they sleep."""
        return any(
            not _is_idle(thread, frames) and not self._has_slept(thread)
            for thread, frames in self._others()
        )

    def may_ever_call_in(self) -> bool:
        """Whether a thread does anything but wait for another one to hand it something.

        It may be asleep in the middle of a job, for longer than any silence.
        """
        return any(
            not _is_idle(thread, frames) and not is_in_futex(thread)
            for thread, frames in self._others()
        )

    def note_before(self) -> None:
        """The loop is about to listen to them."""
        self._before = self._states()

    def are_running(self, seconds: float) -> bool:
        """Whether a thread is running, or has for the most part of the time of listening.

        One that computes waits for the GIL when it is looked at.

        Args:
            seconds: how long the loop has listened.
        """
        return any(
            state.is_running
            or (
                number in self._before
                and state.seconds - self._before[number].seconds > seconds / 3
            )
            for number, state in self._states().items()
        )

    def are_napping(self) -> bool:
        """Whether a thread that is younger than the loop is in ``time.sleep()``, on Linux.

        It goes on by itself in a while, as one does that stands in for something slow.
        """
        return any(
            thread not in self._old and system_call(thread)[:1] in NAPS
            for thread, _ in self._others()
        )

    def note_silence(self) -> None:
        """Nothing has been heard for a while: threads that sleep now have done so all the time."""
        self._silent = self._states()

    def _has_slept(self, thread: threading.Thread) -> bool:
        """Whether a thread has slept ever since the last silence.

        Whoever hands it something wakes it: it is running then, or has gone to sleep once more.
        """
        state = _state_of(thread)
        return (
            state is not None
            and not state.is_running
            and self._silent.get(thread.native_id or 0) == state
        )

    def _states(self) -> dict[int, _State]:
        return {
            thread.native_id: state
            for thread in self._threads()
            if thread.native_id is not None and (state := _state_of(thread)) is not None
        }

    def _threads(self) -> list[threading.Thread]:
        here = threading.get_ident()
        return [
            thread
            for thread in threading.enumerate()
            if thread.ident != here and thread.ident not in self._bystanders
        ]

    def _others(self) -> list[tuple[threading.Thread, dict[int, FrameType]]]:
        others = self._threads()
        if not others:
            return []
        frames = frames_of_threads()
        return [(thread, frames) for thread in others]


def _is_idle(thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
    """Whether a thread waits for another one, and has not been woken from that right now.

    One that is woken shows the same frame until it has its turn.
    """
    call = system_call(thread)
    return can_only_wait(frames.get(thread.ident or 0)) and (
        not call or not FUTEX or is_in_futex(thread)
    )


def _state_of(thread: threading.Thread) -> _State | None:
    """What the system tells of a thread; None where it tells nothing."""
    folder = f"/proc/self/task/{thread.native_id}"
    try:
        with open(f"{folder}/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        with open(f"{folder}/schedstat", encoding="ascii") as file:
            ran, waited, _ = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    is_running = lines["State"].strip()[0] in "RD"
    return _State(is_running, int(lines["voluntary_ctxt_switches"]), (ran + waited) / 1e9)
