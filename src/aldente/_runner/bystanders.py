"""Threads to leave out when looking for what could wake a loop."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator

from aldente import _python_compat


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
