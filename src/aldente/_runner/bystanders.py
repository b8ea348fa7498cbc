"""Threads to leave out when looking for what could wake a loop."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator
from types import FrameType

from aldente import _python_compat
from aldente._runner.threads import can_only_wait, does_job
from aldente._source import is_programs
from aldente._stacks import frames_of_threads, with_callers


class Bystanders:
    """Threads that are known to wake no loop, by their identifiers, while they live.

    They run code of tools, or are older than the loop. When a thread has ended, the system gives
    its identifier to a new one.

    Args:
        identifiers: those of threads that are alive now.

    >>> threading.get_ident() in Bystanders([threading.get_ident()])
    True
    """

    def __init__(self, identifiers: Iterable[int] = ()) -> None:
        # None for threads without a threading.Thread, whose end is not seen until a new thread that
        # has one gets the identifier.
        self._threads: dict[int, weakref.ref[threading.Thread] | None] = {}
        self.add(identifiers)

    def add(self, identifiers: Iterable[int]) -> None:
        """Leave out more threads that are alive now."""
        known = {thread.ident: thread for thread in threading.enumerate()}
        for identifier in identifiers:
            thread = known.get(identifier)
            self._threads[identifier] = None if thread is None else weakref.ref(thread)

    def __contains__(self, identifier: object) -> bool:
        if not isinstance(identifier, int) or identifier not in self._threads:
            return False
        reference = self._threads[identifier]
        if reference is None:
            # One that `threading` knows now has got the identifier of another that has ended.
            return _python_compat.thread_with(identifier) is None
        thread = reference()
        # Before CPython 3.13 a thread that other code has started counts as alive for ever.
        newest = _python_compat.thread_with(identifier) or thread
        return thread is not None and thread is newest and thread.is_alive()

    def __iter__(self) -> Iterator[int]:
        return (identifier for identifier in self._threads if identifier in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def busy_threads() -> list[threading.Thread]:
    """The threads that do something of their own now, such as a server or a timer.

    All others wait for another thread, such as an executor's thread without a job. A program can
    give them work, and what they do then is a part of that program.
    """
    if threading.active_count() == 1:
        return threading.enumerate()
    frames = frames_of_threads()
    return [
        thread
        for thread in threading.enumerate()
        if not _waits_for_work(frames.get(thread.ident or 0))
    ]


def _waits_for_work(frame: FrameType | None) -> bool:
    if frame is None:
        return False
    if can_only_wait(frame):
        return True
    # The job of an executor's thread has returned, and the thread is about to wait for the next.
    stack = with_callers(frame)
    return does_job(frame) and not any(is_programs(each.f_code.co_filename) for each in stack)
