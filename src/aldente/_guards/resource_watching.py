"""Records where resources are made, and sees who closes them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from aldente import _asyncio_compat
from aldente._guards import library_clients, open_resources
from aldente._guards.resource_makings import Making, Makings, users_place_in_step
from aldente._own_errors import contained, containing
from aldente._records import Finding

# What was made while somebody was watching. It outlives that, because a wide loop outlives the
# tests in which its connections are made.
makings = Makings()


class Watching:
    """Watches classes while `installed` is entered.

    Args:
        current_test: gives the node id of the test that is running.
        on_dropped: called with a `asyncio.StreamWriter` or `asyncio.Transport` that is about to be
            freed.
        describe: gives the finding for a connection that nobody closes.
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
        """While entered, what is made is recorded."""
        for owner in (asyncio.BaseTransport, asyncio.Server, asyncio.StreamWriter):
            self._replace(owner, "__init__", self._recording)
        self._replace(asyncio.StreamWriter, "__del__", self._looking_at_dropped)
        self._replace(asyncio.BaseEventLoop, "__del__", self._finalizing)
        gc.callbacks.append(makings.on_collection)
        self._undo.callback(_forget_collections)
        self._undo.callback(makings.take_recent, self)
        self.watch_libraries()
        with self._undo:
            yield
        self._replaced.clear()

    def watch_libraries(self) -> None:
        """Watch the clients of the libraries that have been imported by now."""
        for kind in library_clients.KINDS:
            if kind.package in sys.modules:
                loaded = kind.loaded()
                if isinstance(loaded, type):
                    self._replace(loaded, "__init__", self._recording)
                    self._replace(loaded, "__del__", self._finalizing)

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
            original(made, *args, **kwargs)
            self._note(made, inspect.currentframe())

        return __init__

    @containing("noting where a connection is made", None)
    def _note(self, made: Any, frame: FrameType | None) -> None:
        is_asyncios = type(made).__module__.startswith("asyncio.")
        if isinstance(made, (asyncio.BaseTransport, asyncio.Server)):
            # The loop of others' classes is not known.
            if not is_asyncios:
                return
            if isinstance(made, asyncio.Transport):
                self._watch_transports_like(made)
            self._watch_finalizers_of(type(made))
        making = Making(made, users_place_in_step(frame), self._current_test(), self)
        making.is_client = library_clients.kind_of(made) is not None
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
            # A writer whose making has failed has no transport.
            if isinstance(made, asyncio.Transport) or "_transport" in vars(made):
                with contained("looking at a connection that is dropped"):
                    self._on_dropped(made)
            self._finalize(original, made, **stand_ins)

        return __del__

    def _finalizing(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def __del__(made: Any, **stand_ins: object) -> None:  # noqa: N807
            self._finalize(original, made, **stand_ins)

        return __del__

    def _noting_who_closes(self, original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def close(transport: Any) -> None:
            frame = _caller_of_close(inspect.currentframe())
            making = makings.of(transport)
            if making is not None and frame is not None:
                # A transport whose other end is closed closes itself.
                is_itself = frame.f_globals.get("__name__") == type(transport).__module__
                making.is_closed_by_code = making.is_closed_by_code or not is_itself
                if frame.f_code in _CLOSING_ALL:
                    self._on_closed_by_server(transport)
            original(transport)

        return close

    @containing("looking which client a server closes", None)
    def _on_closed_by_server(self, transport: Any) -> None:
        """A server closes a connection because its other end has not; note what that is."""
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
                and not _minds_end(made)
            ):
                making.if_left = self._describe(made)


def _forget_collections() -> None:
    # A test may have emptied the list.
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


def _minds_end(transport: asyncio.BaseTransport) -> bool:
    """Whether a protocol of the user's does something about the end of its connection."""
    kind = type(transport.get_protocol())
    owners = {
        next(owner for owner in kind.__mro__ if name in vars(owner))
        for name in ("connection_lost", "eof_received")
        if hasattr(kind, name)
    }
    return any(not owner.__module__.startswith("asyncio.") for owner in owners)
