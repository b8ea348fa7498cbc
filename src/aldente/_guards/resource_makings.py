"""Where, and by which test, connections, servers and clients of libraries were made.

They are known by their identity, as a weak reference to one that is in a cycle is cleared before
its finalizer runs, which is when Python and libraries tell that it is unclosed.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._records import Finding, SourcePlace
from aldente._source import is_users, place_of


class Making:
    """How something was made that has to be closed.

    Attributes:
        made: gives it while it is alive, and not about to be finalized.
        key: its identity.
        kind: its type.
        place: the user's line; None when no code of the user's has led to it directly.
        test: the node id of the test that made it.
        watcher: whose watching has recorded it.
        loop: gives the loop that was running; None when there was none, or it is not known.
        is_told: whether it has been found.
        is_closed_by_code: whether somebody has closed it, not only its other end.
        is_client: whether it is a client of a library, which holds what is made for it.
        if_left: what is found in the end if nobody closes it, although its other end has ended it.
        descriptor: that of a socket or file; None for all else.
    """

    __slots__ = (
        "descriptor",
        "if_left",
        "is_client",
        "is_closed_by_code",
        "is_told",
        "key",
        "kind",
        "loop",
        "made",
        "place",
        "test",
        "watcher",
    )

    def __init__(
        self, made: Any, place: SourcePlace | None, test: str | None, watcher: object
    ) -> None:
        self.made: weakref.ref[Any] = weakref.ref(made)
        self.key = id(made)
        self.kind = type(made)
        self.place = place
        self.test = test
        self.watcher = watcher
        self.loop = _reference_to_running_loop()
        self.is_client = False
        self.is_told = False
        self.is_closed_by_code = False
        self.if_left: Finding | None = None
        self.descriptor: int | None = None

    def is_of(self, made: object) -> bool:
        """Whether it is about an object of the same identity."""
        alive = self.made()
        return alive is made or (alive is None and self.kind is type(made))


class Makings:
    """Remembers makings while what was made is alive; keeps nothing alive.

    Attributes:
        recent: those that were noted of late; see `take_recent`.
    """

    def __init__(self) -> None:
        # Finalizers may come in between, and make something themselves.
        self._lock = threading.RLock()
        self._known: dict[int, Making] = {}
        self._is_collecting = False
        # What the collector is about to finalize.
        self._going: list[Making] = []
        self._last_client: Making | None = None
        self.recent: list[Making] = []

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_collecting(self) -> bool:
        """Whether the garbage collector is at work, which comes in any test."""
        return self._is_collecting

    def on_collection(self, phase: str, information: dict[str, int]) -> None:
        """The collector begins or ends; for `gc.callbacks`."""
        self._is_collecting = phase == "start"
        if not self._is_collecting and self._going:
            going, self._going = self._going, []
            for making in going:
                self._drop(making)

    def note(self, made: Any, making: Making) -> None:
        """Remember how something was made."""
        key = making.key
        making.made = weakref.ref(made, functools.partial(self._on_gone, key))
        with self._lock:
            # The last, so that the order is that of the making.
            self._known.pop(key, None)
            self._known[key] = making
            self.recent.append(making)

    def of(self, made: object) -> Making | None:
        """How something was made, which may be about to be freed."""
        making = self._known.get(id(made))
        return making if making is not None and making.is_of(made) else None

    def take_recent(self, watcher: object) -> list[Making]:
        """What was noted by a watcher since it has asked last, and is alive.

        Those of others stay: a test may run pytest in its own process. What both runs have noted is
        the inner one's.
        """
        with self._lock:
            recent, self.recent = self.recent, []
            self.recent += [making for making in recent if making.watcher is not watcher]
        return [
            making
            for making in recent
            if making.watcher is watcher and self._known.get(making.key) is making
        ]

    def of_descriptor(self, descriptor: int) -> Making | None:
        """How the socket or file was made that has a descriptor, and may be about to be freed."""
        for making in reversed(self.all()):
            if making.descriptor == descriptor:
                alive = making.made()
                if alive is None or alive.fileno() == descriptor:
                    return making
        return None

    def alive(self) -> list[tuple[Any, Making]]:
        """What is alive of all that was made, in the order of the making."""
        # The lock keeps out other threads, but no garbage collection on this one.
        known = [(making.made(), making) for making in self.all()]
        return [(made, making) for made, making in known if made is not None]

    def all(self) -> list[Making]:
        """Of all that is known, what is gone and left something to tell included."""
        with self._lock:
            return list(self._known.values())

    def forget(self, making: Making) -> None:
        """Remember no longer how something was made."""
        with self._lock:
            if self._known.get(making.key) is making:
                del self._known[making.key]

    def place_of_dropped_client(self, test: str | None) -> SourcePlace | None:
        """Where the client was made with which a connection is being freed; None if not sure.

        Args:
            test: the test that has made both.
        """
        clients = [making for making in self._going if making.is_client]
        if not clients and self._last_client is not None:
            clients = [self._last_client]
        places = {making.place for making in clients if making.test == test}
        return places.pop() if len(places) == 1 else None

    def _on_gone(self, key: int, reference: weakref.ref[Any]) -> None:
        making = self._known.get(key)
        if making is None or making.made is not reference:
            return
        if making.is_client:
            self._last_client = making
        if self._is_collecting:
            # Its finalizer is yet to run.
            self._going.append(making)
        else:
            self._drop(making)

    def _drop(self, making: Making) -> None:
        if making.if_left is None:
            self.forget(making)


def _reference_to_running_loop() -> weakref.ref[asyncio.AbstractEventLoop] | None:
    try:
        return weakref.ref(asyncio.get_running_loop())
    except (RuntimeError, TypeError):
        # There is none, or it is of a class that can't be referred to.
        return None


def users_place_in_step(frame: FrameType | None) -> SourcePlace | None:
    """Where the user's code stands that the loop has called back, directly or by others."""
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        if is_users(frame.f_code.co_filename):
            return place_of(frame)
        frame = frame.f_back
    return None
