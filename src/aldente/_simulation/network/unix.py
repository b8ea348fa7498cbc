"""`UnixEndpoint`: the ends of simulated connections by Unix sockets, and those that listen.

They behave as Linux's do, errors included.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from aldente._simulation.network.addresses import Address, fail
from aldente._simulation.network.endpoints import StreamEndpoint
from aldente._simulation.network.kernel import Stage, check_how


class UnixEndpoint(StreamEndpoint):
    """A Unix socket of a stream: what its peer does to it is known at once, and nothing is lost."""

    @property
    def is_connected(self) -> bool:
        return self._outgoing is not None

    @property
    def holds_address(self) -> bool:
        return False

    def listen(self, backlog: int) -> None:
        if self.local is None:
            fail(errno.EINVAL)
        super().listen(backlog)

    def connect(self, address: Address) -> bool:
        listener = self.addresses.found_at_path(self, address)
        if not listener.is_listening:
            fail(errno.ECONNREFUSED)
        if not listener.has_room:
            fail(errno.EAGAIN)
        if self._stage is Stage.CONNECTED:
            fail(errno.EISCONN)
        if self.is_listening:
            fail(errno.EINVAL)
        self._stage = Stage.CONNECTED
        self.remote = listener.local
        listener.take(self)
        return True

    def receive(self, most: int, *, is_peek: bool = False) -> bytes | None:
        pipe = self._incoming
        if pipe is None:
            fail(errno.EINVAL)
        if pipe.has_data:
            return pipe.receive(most, is_peek=is_peek)
        self.raise_error()
        return b"" if pipe.has_ended or self._is_read_shut else None

    def send(self, buffers: Sequence[bytes], address: Address = None) -> int | None:
        pipe, peer = self._outgoing, self.peer
        if address is not None:
            fail(errno.EOPNOTSUPP if pipe is None else errno.EISCONN)
        if pipe is None or peer is None:
            fail(errno.ENOTCONN)
        if self._is_write_shut:
            fail(errno.EPIPE)
        if not any(buffers):
            return 0
        self.raise_error()
        return pipe.send(buffers) if pipe.room else None

    def shut_down(self, how: int) -> None:
        check_how(how)
        if self.is_listening and how != socket.SHUT_WR:
            self._stop_listening()
        if how != socket.SHUT_WR:
            self._is_read_shut = True
            if isinstance(self.peer, UnixEndpoint):
                self.peer.on_peer_deaf()
        if how != socket.SHUT_RD and not self._is_write_shut:
            self._is_write_shut = True
            if self._outgoing is not None:
                self._outgoing.end()
        self.changed()

    def on_close(self) -> None:
        if self.is_listening:
            self._stop_listening()
        if self._incoming is None or self._outgoing is None:
            return
        has_unread = self._incoming.has_data or self.is_abortive
        self._incoming.close()
        if isinstance(self.peer, UnixEndpoint):
            self.peer.on_peer_deaf()
        if has_unread:
            self._outgoing.reset(is_lossy=False)
        elif not self._is_write_shut:
            self._outgoing.end()

    def on_crash(self) -> None:
        self.is_abortive = True
        self.on_close()

    def on_peer_deaf(self) -> None:
        """The peer does not read any more."""
        self._is_write_shut = True
        self.changed()

    def on_refused(self) -> None:
        self.on_peer_deaf()

    def on_arrival(self) -> None:
        pipe = self._incoming
        if pipe is not None and pipe.is_reset:
            pipe.is_reset, pipe.has_ended = False, True
            self.error = errno.ECONNRESET
        self.changed()
