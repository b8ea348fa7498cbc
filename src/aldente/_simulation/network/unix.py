"""`UnixEndpoint`: the ends of simulated connections by Unix sockets, and those that listen.

They behave as Linux's do, errors included. The two ends of ``socket.socketpair`` become such ends
once one of them is given to a simulated loop. Until then they are the system's: code may use them
without the loop, as between threads and processes, and nothing is known of that.
"""

from __future__ import annotations

import errno
import functools
import socket
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from aldente._simulation.network.addresses import Address, fail
from aldente._simulation.network.datagrams import UnixDatagramEndpoint
from aldente._simulation.network.endpoints import StreamEndpoint, join
from aldente._simulation.network.kernel import Kernel, Stage, check_how
from aldente._simulation.network.sockets import endpoints_behind, give


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


# The other end of each, of those that a thread with a simulated loop has made.
_others: weakref.WeakKeyDictionary[socket.socket, weakref.ref[socket.socket]] = (
    weakref.WeakKeyDictionary()
)

_End = UnixEndpoint | UnixDatagramEndpoint

# How much is read at once of what the system has taken.
_CHUNK = 65_536


@functools.lru_cache(maxsize=8)
def noting(original: Any, is_meant: Callable[[], bool]) -> Any:
    """A function for ``socket.socketpair`` that notes which ends belong together.

    Args:
        original: the function whose place it takes.
        is_meant: whether to note it, asked at each call.
    """

    @functools.wraps(original)
    def socketpair(*args: Any, **kwargs: Any) -> tuple[socket.socket, socket.socket]:
        one, other = original(*args, **kwargs)
        if is_meant():
            _others[one], _others[other] = weakref.ref(other), weakref.ref(one)
        return one, other

    return socketpair


def simulate_pair(given: object, network: Kernel) -> bool:
    """Simulate both ends of a pair from now on, with what is on its way between them.

    Args:
        given: one of them; other objects, such as descriptors, are none.
        network: the network of the run.

    Returns:
        Whether it is one of a pair that is known.
    """
    if not isinstance(given, socket.socket) or given not in _others:
        return False
    if given.family != socket.AF_UNIX:
        return False
    other = _others.pop(given)()
    if other is not None:
        _others.pop(other, None)
    if given.type == socket.SOCK_STREAM:
        own, its = UnixEndpoint(network, given.family), UnixEndpoint(network, given.family)
        join(own, its)
        _simulate(given, own, other, its)
    elif given.type == socket.SOCK_DGRAM:
        receiver = UnixDatagramEndpoint(network, given.family)
        sender = UnixDatagramEndpoint(network, given.family)
        receiver.pair_with(sender)
        sender.pair_with(receiver)
        _simulate(given, receiver, other, sender)
    else:
        return False
    return True


def _simulate(given: socket.socket, own: _End, other: socket.socket | None, its: _End) -> None:
    waiting = _read_all(given)
    back = [] if other is None or other.fileno() < 0 else _read_all(other)
    give(given, own, is_counted=True)
    if other is not None and other.fileno() >= 0:
        give(other, its, is_counted=True)
    _send_all(its, waiting)
    _send_all(own, back)
    if other is None or other.fileno() not in endpoints_behind:
        its.close()


def _read_all(made: socket.socket) -> list[bytes]:
    """What the system has taken for a socket; an empty one last for the end of a stream."""
    found: list[bytes] = []
    while True:
        try:
            data = made.recv(_CHUNK, socket.MSG_DONTWAIT)
        except OSError:
            # Nothing more; an error comes again when the program reads.
            return found
        found.append(data)
        if not data and made.type == socket.SOCK_STREAM:
            return found


def _send_all(end: _End, parts: list[bytes]) -> None:
    for data in parts:
        if not isinstance(end, UnixEndpoint):
            end.send_to(data, None)
        elif data:
            end.send([data])
        else:
            end.shut_down(socket.SHUT_WR)
