"""Which threads beside that of a loop are left out when it is asked what could wake the loop."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator


class Bystanders:
    """Threads that are taken to wake no loop, by their identifiers, as long as they live.

    Who makes them knows why: they run tools' own code, or were there before the loop. The system
    gives the identifier of a thread that has ended to the next one.

    Args:
        identifiers: those of threads that are alive now.

    >>> threading.get_ident() in Bystanders([threading.get_ident()])
    True
    """

    def __init__(self, identifiers: Iterable[int] = ()) -> None:
        known = {thread.ident: thread for thread in threading.enumerate()}
        # None for threads that are none of threading's, of which it isn't known when they end.
        self._threads: dict[int, weakref.ref[threading.Thread] | None] = {
            identifier: weakref.ref(known[identifier]) if identifier in known else None
            for identifier in identifiers
        }

    def __contains__(self, identifier: object) -> bool:
        if not isinstance(identifier, int) or identifier not in self._threads:
            return False
        reference = self._threads[identifier]
        if reference is None:
            return True
        thread = reference()
        return thread is not None and thread.is_alive()

    def __iter__(self) -> Iterator[int]:
        return (identifier for identifier in self._threads if identifier in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
