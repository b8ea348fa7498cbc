"""Records where, and by which test, connections, servers and clients of libraries were made.

By identity, as weak references to an object in a cycle are cleared before its finalizer runs, which
is when Python and libraries warn that it is unclosed. It also records what closes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._imports import AfterImport
from aldente._own_errors import contained, containing
from aldente._records import Finding, SourcePlace
from aldente._rules import open_resources
from aldente._source import is_users, place_of


class Making:
    """The origin of an object that must be closed.

    Attributes:
        made: returns the object while it is alive and not about to be finalized.
        key: its identity.
        kind: its type.
        place: the user's line; None when the user's code did not lead to it directly.
        test: the node id of the test that made it.
        watcher: the watcher that recorded it.
        loop: returns the loop that was running; None when there was none, or it is not known.
        is_reported: whether it was reported.
        is_closed_by_code: whether code closed it, not only its peer.
        is_client: whether it is a client of a library, which holds what is made for it.
        if_left: the finding if no code closes it, although its other end has ended it.
        descriptor: that of a socket or file; None for all else.
    """

    __slots__ = (
        "descriptor",
        "if_left",
        "is_client",
        "is_closed_by_code",
        "is_reported",
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
        self.is_reported = False
        self.is_closed_by_code = False
        self.if_left: Finding | None = None
        self.descriptor: int | None = None

    def is_of(self, made: object) -> bool:
        """Whether it is about an object of the same identity."""
        alive = self.made()
        return alive is made or (alive is None and self.kind is type(made))


class Makings:
    """Keeps the origins of objects while these are alive; keeps no object alive.

    Attributes:
        recent: the latest ones; see `take_recent`.
    """

    def __init__(self) -> None:
        # Reentrant, as finalizers may run at any point and make resources themselves.
        self._lock = threading.RLock()
        self._known: dict[int, Making] = {}
        self._is_collecting = False
        # Objects that the collector is about to finalize.
        self._going: list[Making] = []
        self._last_client: Making | None = None
        self.recent: list[Making] = []

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_collecting(self) -> bool:
        """Whether the garbage collector is running, which it may in any test."""
        return self._is_collecting

    def on_collection(self, phase: str, information: dict[str, int]) -> None:
        """Record that the collector begins or ends; a callback for `gc.callbacks`."""
        self._is_collecting = phase == "start"
        if not self._is_collecting and self._going:
            going, self._going = self._going, []
            for making in going:
                self._drop(making)

    def note(self, made: Any, making: Making) -> None:
        """Keep the origin of an object."""
        key = making.key
        making.made = weakref.ref(made, functools.partial(self._on_gone, key))
        with self._lock:
            # At the end, so that the order is that of creation.
            self._known.pop(key, None)
            self._known[key] = making
            self.recent.append(making)

    def of(self, made: object) -> Making | None:
        """The origin of an object, which may be about to be freed."""
        making = self._known.get(id(made))
        return making if making is not None and making.is_of(made) else None

    def take_recent(self, watcher: object) -> list[Making]:
        """The live objects that a watcher recorded since its last call.

        Those of other watchers stay: a test may run pytest in its own process. What both runs
        recorded belongs to the inner one.
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
        """All live objects and their origins, in the order of creation."""
        # The lock blocks other threads, but not the garbage collector on this one.
        known = [(making.made(), making) for making in self.all()]
        return [(made, making) for made, making in known if made is not None]

    def all(self) -> list[Making]:
        """All origins, including those of freed objects with something left to report."""
        with self._lock:
            return list(self._known.values())

    def forget(self, making: Making) -> None:
        """Drop an origin."""
        with self._lock:
            if self._known.get(making.key) is making:
                del self._known[making.key]

    def place_of_dropped_client(self, test: str | None) -> SourcePlace | None:
        """Where the client was made that is freed along with a connection; None if not sure.

        Args:
            test: the test that made both.
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
            # Its finalizer has not run yet.
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
        # There is none, or its class does not support weak references.
        return None


def users_place_in_step(frame: FrameType | None) -> SourcePlace | None:
    """The user's line in the running callback of the loop, called directly or through libraries."""
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        if is_users(frame.f_code.co_filename):
            return place_of(frame)
        frame = frame.f_back
    return None


# What was made while a watcher was installed. It outlives the watcher, because a wide loop outlives
# the tests in which its connections are made.
makings = Makings()


class Watching:
    """Records what is made of the watched classes while `installed` is entered.

    Args:
        current_test: returns the node id of the running test.
        on_dropped: called with an `asyncio.StreamWriter`, `asyncio.Transport` or client of a
            library, which does not report to its loop, that is about to be freed.
        describe: gives the finding for a connection that no code closes.
        finalize: calls a ``__del__`` with what is about to be freed, and further arguments.
    """

    def __init__(
        self,
        current_test: Callable[[], str | None],
        on_dropped: Callable[[Any], None],
        describe: Callable[[Any], Finding],
        finalize: Callable[..., None],
    ) -> None:
        self._current_test = current_test
        self._on_dropped = on_dropped
        self._describe = describe
        self._finalize = finalize
        self._undo = contextlib.ExitStack()
        self._replaced: set[tuple[type, str]] = set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, record what is made."""
        for owner in (asyncio.BaseTransport, asyncio.Server, asyncio.StreamWriter):
            self._replace(owner, "__init__", self._recording)
        self._replace(asyncio.StreamWriter, "__del__", self._looking_at_dropped)
        self._replace(asyncio.BaseEventLoop, "__del__", self._finalizing)
        gc.callbacks.append(makings.on_collection)
        self._undo.callback(_forget_collections)
        self._undo.callback(makings.take_recent, self)
        self.watch_libraries()
        libraries = {kind.package for kind in open_resources.KINDS}
        self._undo.enter_context(AfterImport(libraries, self.watch_libraries).installed())
        with self._undo:
            yield
        self._replaced.clear()

    @containing("watching the clients of libraries", None)
    def watch_libraries(self) -> None:
        """Watch the clients of the libraries that are imported by now."""
        for kind in open_resources.KINDS:
            if kind.package in sys.modules:
                loaded = kind.loaded()
                if isinstance(loaded, type):
                    self._replace(loaded, "__init__", self._recording)
                    finalizing = (
                        self._finalizing if kind.is_reported_to_loop else self._looking_at_dropped
                    )
                    self._replace(loaded, "__del__", finalizing)

    def _replace(self, owner: type, name: str, replacing: Callable[[Any], Any]) -> None:
        if (owner, name) in self._replaced or name not in vars(owner):
            return
        self._replaced.add((owner, name))
        original = vars(owner)[name]
        replacement = replacing(original)
        setattr(owner, name, replacement)

        def undo() -> None:
            # A later replacement by something else must stay.
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)

        self._undo.callback(undo)

    def _recording(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __init__(made: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            original(made, *args, **kwargs)
            self._note(made, inspect.currentframe())

        return __init__

    @containing("noting where a connection is made", None)
    def _note(self, made: Any, frame: FrameType | None) -> None:
        is_asyncios = type(made).__module__.startswith("asyncio.")
        if isinstance(made, (asyncio.BaseTransport, asyncio.Server)):
            # For classes that are not asyncio's the loop is not known.
            if not is_asyncios:
                return
            if isinstance(made, asyncio.Transport):
                self._watch_transports_like(made)
            self._watch_finalizers_of(type(made))
        making = Making(made, users_place_in_step(frame), self._current_test(), self)
        making.is_client = open_resources.kind_of(made) is not None
        makings.note(made, making)
        if isinstance(made, asyncio.Server):
            # It has no finalizer; its sockets warn.
            note_parts(made)

    def _watch_finalizers_of(self, kind: type) -> None:
        for owner in kind.__mro__:
            if "__del__" in vars(owner) and owner.__module__.startswith("asyncio."):
                self._replace(owner, "__del__", self._finalizing)

    def _watch_transports_like(self, made: asyncio.Transport) -> None:
        wanted = (
            ("close", self._noting_who_closes),
            ("abort", self._noting_who_closes),
            ("__del__", self._looking_at_dropped),
        )
        for name, replacing in wanted:
            owner = next((owner for owner in type(made).__mro__ if name in vars(owner)), None)
            if owner is not None and owner.__module__ == type(made).__module__:
                self._replace(owner, name, replacing)

    def _looking_at_dropped(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __del__(made: Any, **stand_ins: object) -> None:  # noqa: N807
            __tracebackhide__ = True
            # A writer whose making has failed has no transport.
            if not isinstance(made, asyncio.StreamWriter) or "_transport" in vars(made):
                with contained("looking at a connection that is dropped"):
                    self._on_dropped(made)
            self._finalize(original, made, **stand_ins)

        return __del__

    def _finalizing(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __del__(made: Any, **stand_ins: object) -> None:  # noqa: N807
            __tracebackhide__ = True
            self._finalize(original, made, **stand_ins)

        return __del__

    def _noting_who_closes(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def close(transport: Any) -> None:
            __tracebackhide__ = True
            frame = _caller_of_close(inspect.currentframe())
            making = makings.of(transport)
            if making is not None and frame is not None:
                # A transport closes itself when its peer has closed.
                is_itself = frame.f_globals.get("__name__") == type(transport).__module__
                making.is_closed_by_code = making.is_closed_by_code or not is_itself
                if frame.f_code in _CLOSING_ALL:
                    self._on_closed_by_server(transport)
            original(transport)

        return close

    @containing("finding which client a server closes", None)
    def _on_closed_by_server(self, transport: Any) -> None:
        """Record the client of a connection that a server closes because the client did not."""
        loop, peer = (
            _asyncio_compat.loop_of(transport),
            open_resources.address(transport, "peername"),
        )
        for made, making in makings.alive():
            if (
                isinstance(made, asyncio.BaseTransport)
                and making.if_left is None
                and _asyncio_compat.loop_of(made) is loop
                and open_resources.address(made, "sockname") == peer
                and open_resources.is_open(made)
                and not open_resources.is_accepted(made)
                and not _notices_end(made)
            ):
                making.if_left = self._describe(made)


def _forget_collections() -> None:
    # A test may have cleared the list.
    with contextlib.suppress(ValueError):
        gc.callbacks.remove(makings.on_collection)


def note_parts(made: asyncio.BaseTransport | asyncio.Server) -> None:
    """Note what a transport or server consists of, which the collector may finalize before it."""
    making = makings.of(made)
    if making is not None:
        for part in open_resources.parts_of(made):
            of_part = Making(part, making.place, making.test, making.watcher)
            of_part.descriptor = open_resources.descriptor_of(part)
            makings.note(part, of_part)


# The methods of a server that close what it has accepted; Python has them since 3.13.
_CLOSING_ALL = {
    method.__code__
    for name in ("close_clients", "abort_clients")
    if (method := vars(asyncio.Server).get(name)) is not None
}


def _caller_of_close(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back
    return frame


def _notices_end(transport: asyncio.BaseTransport) -> bool:
    """Whether a protocol of the user's reacts to the end of its connection."""
    kind = type(transport.get_protocol())
    owners = {
        next(owner for owner in kind.__mro__ if name in vars(owner))
        for name in ("connection_lost", "eof_received")
        if hasattr(kind, name)
    }
    return any(not owner.__module__.startswith("asyncio.") for owner in owners)
