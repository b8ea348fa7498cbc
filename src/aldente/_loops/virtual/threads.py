"""Which other threads may call in on a loop.

Nothing tells what a thread is about to do. So threads are taken for what they do now: one that
runs, or does a job for the loop, is waited for in real time; one that sleeps is listened to for a
while.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping
from types import FrameType
from typing import NamedTuple

from aldente import _python_compat
from aldente._loops.waiting_threads import can_only_wait, is_worker


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
        bystanders: identifiers of threads that have to do with no loop.
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
            and _waits_for_a_lock(thread)
            and any(map(is_worker, _callers(frame)))
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
            not _is_idle(thread, frames) and not _waits_for_a_lock(thread)
            for thread, frames in self._others()
        )

    def note_before(self) -> None:
        """The loop is about to listen to them."""
        self._before = self._states()

    def are_running(self, seconds: float) -> bool:
        """Whether a thread is running, or has for the most part of the time of listening.

        One that computes waits for the interpreter's lock when it is looked at.

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
            thread not in self._old and _system_call(thread)[:1] in _NAPS
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
        frames = _python_compat.frames_of_threads()
        return [(thread, frames) for thread in others]


def waits_for_a_lock(thread: threading.Thread) -> bool | None:
    """Whether only another thread can wake a thread, which waits without a time-out; None where
    the system does not tell."""
    return _waits_for_a_lock(thread) if _FUTEX and _system_call(thread) else None


def _is_idle(thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
    """Whether a thread waits for another one, and has not been woken from that right now.

    One that is woken shows the same frame until it has its turn.
    """
    call = _system_call(thread)
    return can_only_wait(frames.get(thread.ident or 0)) and (
        not call or not _FUTEX or _waits_for_a_lock(thread)
    )


def _callers(frame: FrameType) -> Iterator[FrameType]:
    caller = frame.f_back
    while caller is not None:
        yield caller
        caller = caller.f_back


def _waits_for_a_lock(thread: threading.Thread) -> bool:
    """Whether a thread waits, without a time-out, for another to release a lock, on Linux.

    This is how threads wait for their next job in C too, as in `queue.SimpleQueue`.
    """
    call = _system_call(thread)
    if call[:1] != [_FUTEX]:
        return False
    _, operation, value, time_out = (int(argument, 16) for argument in call[1:5])
    # The C library's own locks, as that around Python's global one, are held for a moment only: a
    # thread that has been woken, and waits for such a lock, goes on by itself.
    is_for_a_moment = operation & _OPERATION == _WAIT and value == _CONTENDED
    return time_out == 0 and not is_for_a_moment


def _system_call(thread: threading.Thread) -> list[str]:
    """The number and the arguments of the system call a thread is in; ``running``, or nothing."""
    if sys.platform != "linux":
        return []
    try:
        with open(f"/proc/self/task/{thread.native_id}/syscall", encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


# The numbers of the system call with which threads wait for one another, and of that of
# ``time.sleep()``, by machine.
_NUMBERS = {
    "x86_64": ("202", "230"),
    "aarch64": ("98", "115"),
    "riscv64": ("98", "115"),
    "ppc64le": ("221", "248"),
    "s390x": ("238", "262"),
}
# How glibc waits for its own locks (``lll_lock_wait``): the operation without its flags, and the
# value of a lock for which somebody waits. It waits for semaphores with another operation.
_OPERATION, _WAIT, _CONTENDED = 0x7F, 0, 2

_FUTEX, _NAP = _NUMBERS.get(os.uname().machine if sys.platform == "linux" else "", ("", ""))
_NAPS = [[_NAP]] if _NAP else []


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
