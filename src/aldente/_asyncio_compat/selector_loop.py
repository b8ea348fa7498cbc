"""asyncio's own code for sockets, for a loop that watches them itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import selectors
import sys
import weakref
from asyncio import base_events, selector_events
from typing import Any

from aldente._asyncio_compat.stepping import StepHandle
from aldente._checked_pythons import private


class _Watched:
    """Takes the place of a loop's selector where transports ask what it watches."""

    def __init__(self, loop: SocketLoop) -> None:
        self._loop = weakref.ref(loop)

    def close(self) -> None:
        """Nothing, as it holds nothing."""

    def get_key(self, descriptor: int) -> selectors.SelectorKey:
        """Like a selector's."""
        loop = self._loop()
        events = 0 if loop is None else loop.events_of(descriptor)
        if not events:
            raise KeyError(descriptor)
        return selectors.SelectorKey(descriptor, descriptor, events, None)


# The name of the function whose tasks make transports of connections that a server has accepted.
# Checked on CPython 3.11 to 3.15.
_accepting = private(selector_events.BaseSelectorEventLoop, "_accept_connection2")
ACCEPTING: str = getattr(_accepting, "__qualname__", "")


def _abandon(transport: Any) -> Any:
    """Stop a transport without a warning; return its socket."""
    # Else a stream's writer that is freed later warns.
    transport._closing = True
    # Else a write would need the socket.
    transport._conn_lost = getattr(transport, "_conn_lost", 0) + 1
    given, transport._sock = transport._sock, None
    # TLS has a transport above it, which warns for itself.
    above = getattr(transport.get_protocol(), "_app_transport", None)
    if above is not None:
        above._closed = True
    return given


def _end_stream(protocol: Any, error: Exception) -> None:
    """Make the reader and writer of a connection raise an error; other protocols are not called.

    Args:
        protocol: the one of the connection, which may be that of TLS.
        error: the error.
    """
    above = getattr(protocol, "_app_protocol", protocol)
    if isinstance(above, asyncio.StreamReaderProtocol):
        above.connection_lost(error)


class SocketLoop(selector_events.BaseSelectorEventLoop):
    """A loop with the methods of asyncio's selector loops, but without a selector.

    Its subclass says which sockets are ready. The private methods and attributes of the base class
    are the only seam between asyncio's transports and the selector. Checked on CPython 3.11 to
    3.15.
    """

    def __init__(self) -> None:
        # Without a selector and the pair of sockets with which other threads wake it.
        base_events.BaseEventLoop.__init__(self)

    # Made when they are first needed: most simulated programs have no sockets.

    @functools.cached_property
    def _transports(self) -> Any:
        return weakref.WeakValueDictionary()

    @functools.cached_property
    def _unix_server_sockets(self) -> dict[Any, int]:
        """What `create_unix_server` keeps of the files that it has made, from CPython 3.13 on."""
        return {}

    @functools.cached_property
    def _selector(self) -> Any:
        """For the reprs of transports."""
        return _Watched(self)

    def abandon_transports(self) -> None:
        """Close the sockets of all transports, which give no warning then; the loop is closed."""
        for transport in list(self._transports.values()):
            given = _abandon(transport)
            if given is not None:
                given.close()

    def abandon_some(self, descriptors: set[int], error: Exception) -> None:
        """Stop the transports of some sockets, without a warning.

        Args:
            descriptors: the file descriptors of the sockets, which stay open.
            error: what their streams raise in code that still uses them.
        """
        for descriptor, transport in list(self._transports.items()):
            if descriptor in descriptors:
                _abandon(transport)
                _end_stream(transport.get_protocol(), error)
                server, transport._server = transport._server, None
                if server is not None:
                    # It counts its connections, and waits for them.
                    server._detach(*([transport] if sys.version_info >= (3, 13) else []))

    def _close_self_pipe(self) -> None:
        pass

    def watch(self, descriptor: Any, handle: StepHandle, *, is_writer: bool) -> None:
        """Run a handle whenever a descriptor is ready."""
        raise NotImplementedError

    def make_watch_handle(self, callback: Any, args: Any, context: Any) -> StepHandle:
        """The handle of a callback that is called when a descriptor is ready."""
        raise NotImplementedError

    def unwatch(self, descriptor: Any, *, is_writer: bool) -> bool:
        """Undo `watch`; return whether there was something to undo."""
        raise NotImplementedError

    def events_of(self, descriptor: int) -> int:
        """What of a descriptor is watched, as the events of `selectors`."""
        raise NotImplementedError

    # With a context from CPython 3.15 on.

    def _add_reader(self, fd: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = self.make_watch_handle(callback, args, context)
        self.watch(fd, handle, is_writer=False)
        return handle

    def _remove_reader(self, fd: Any) -> bool:
        return self.unwatch(fd, is_writer=False)

    def _add_writer(self, fd: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = self.make_watch_handle(callback, args, context)
        self.watch(fd, handle, is_writer=True)
        return handle

    def _remove_writer(self, fd: Any) -> bool:
        return self.unwatch(fd, is_writer=True)

    def adopt(self, given: Any) -> None:
        """Take a socket that asyncio is about to use, and has not given to a method before."""
        raise NotImplementedError

    def _start_serving(self, protocol_factory: Any, sock: Any, *args: Any, **kwargs: Any) -> None:
        self.adopt(sock)
        super()._start_serving(protocol_factory, sock, *args, **kwargs)  # type: ignore[misc]

    def _make_datagram_transport(self, sock: Any, *args: Any, **kwargs: Any) -> Any:
        self.adopt(sock)
        return super()._make_datagram_transport(sock, *args, **kwargs)  # type: ignore[misc]

    def _stop_serving(self, sock: Any) -> None:
        """Like asyncio's loop on Unix, which removes the file of a server from CPython 3.13 on."""
        number = self._unix_server_sockets.pop(sock, None)
        path = None if number is None else sock.getsockname()
        super()._stop_serving(sock)  # type: ignore[misc]
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == number:
                    os.unlink(path)

    # The system would send files past the simulation.

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: Any, count: Any) -> Any:
        try:
            os.fstat(file.fileno())
        except (AttributeError, OSError) as error:
            raise asyncio.SendfileNotAvailableError("not a regular file") from error
        fallback: Any = super()._sock_sendfile_fallback  # type: ignore[misc]
        return await fallback(sock, file, offset, count)

    if sys.platform != "win32":
        create_unix_connection = asyncio.SelectorEventLoop.create_unix_connection
        create_unix_server = asyncio.SelectorEventLoop.create_unix_server
