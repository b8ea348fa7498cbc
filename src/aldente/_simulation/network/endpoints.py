"""`StreamEndpoint`: the ends of simulated connections, and listening sockets.

They behave as Linux's TCP does, errors included.
"""

from __future__ import annotations

import collections
import errno
import socket
from collections.abc import Sequence

from aldente._simulation.network.addresses import Address, Addresses, fail
from aldente._simulation.network.kernel import Endpoint, Kernel, Stage, check_how
from aldente._simulation.network.pipes import Breaking, Pipe

# What a backlog that is negative stands for.
_MOST_WAITING = 4_096


# How long a connection is tried that nothing answers, in seconds: as long as by Linux.
_PATIENCE = 127.0

# What programs call.
_CONNECT = "socket.connect()"


class StreamEndpoint(Endpoint):
    """A TCP socket: an end of a connection, or a listening socket.

    Attributes:
        peer: the other end; None without a connection.
    """

    kind = socket.SOCK_STREAM

    def __init__(self, network: Kernel, family: int) -> None:
        super().__init__(network, family)
        self.peer: StreamEndpoint | None = None
        self._incoming: Pipe | None = None
        self._outgoing: Pipe | None = None
        self._stage = Stage.UNCONNECTED
        self._is_connecting = False
        # Until when it tries to connect.
        self._patience_ends = 0.0
        # Shut by the program, or by what has come.
        self._is_read_shut = False
        self._is_write_shut = False
        # Whether the connection has ended: both streams have ended, or it was refused or reset.
        self._is_over = False
        # Whether its stream has ended before that of its peer.
        self._has_ended_first = False
        # Connections that were not accepted; and those for which there is no room.
        self._backlog: collections.deque[StreamEndpoint] = collections.deque()
        self._most = 0
        self._waiting: collections.deque[StreamEndpoint] = collections.deque()

    # States.

    @property
    def is_readable(self) -> bool:
        if self.is_listening:
            return bool(self._backlog)
        pipe = self._incoming
        if pipe is None:
            return not self._is_connecting
        return bool(self.error or pipe.has_data or pipe.has_ended or self._is_read_shut)

    @property
    def is_writable(self) -> bool:
        if self._outgoing is None:
            return not (self._is_connecting or self.is_listening)
        return bool(self.error or self._is_write_shut or self._outgoing.room)

    @property
    def is_connected(self) -> bool:
        return self._outgoing is not None and not self._is_over

    @property
    def holds_address(self) -> bool:
        return self.is_connected

    # Connecting.

    def listen(self, backlog: int) -> None:
        """Accept connections from now on."""
        if self._stage is not Stage.UNCONNECTED:
            fail(errno.EINVAL)
        if not self.is_listening:
            if self.local is None:
                self.addresses.bind(self, self.addresses.any_address(self.family))
            self.addresses.listen(self)
            self.is_listening = True
        # Linux lets one more than that wait; it takes what is negative as a large number.
        self._most = (backlog if backlog >= 0 else _MOST_WAITING) + 1

    def accept(self) -> StreamEndpoint | None:
        """The next connection; None without one."""
        if not self.is_listening:
            fail(errno.EINVAL)
        if not self._backlog:
            return None
        accepted = self._backlog.popleft()
        if self._waiting:
            self._waiting.popleft().establish()
        return accepted

    def connect(self, address: Address) -> bool:
        """Connect it; return whether it is connected now.

        A call after the one that has begun to connect reports the result of that one.
        """
        if self.is_listening or self._stage is Stage.CONNECTED:
            fail(errno.EISCONN)
        if self._is_connecting:
            fail(errno.EALREADY)
        if self._stage is Stage.CONNECTING:
            if self._is_over:
                number = self.take_error() or errno.ECONNABORTED
                self._begin_anew()
                fail(number)
            self._stage = Stage.CONNECTED
            return True
        self.remote = self.network.reachable(self, address, _CONNECT)
        if self.local is None:
            self.addresses.bind(self, self.addresses.address_towards(self.family, self.remote))
        elif self.addresses.is_any(self.local):
            own = self.addresses.address_towards(self.family, self.remote)
            self.local = (own[0], *self.local[1:])
        if self._target.listener_for(self) is None:
            self.network.check_outside(self, self.remote, _CONNECT)
            self.network.note_unserved(self, self.remote)
        self._stage = Stage.CONNECTING
        self._is_connecting = True
        self._patience_ends = self.network.wire.time() + _PATIENCE
        self._reach_out()
        return False

    @property
    def _target(self) -> Addresses:
        """The addresses of the host that it connects to."""
        found = self.network.route(self.addresses, self.remote)
        # `reachable` has found it.
        assert found is not None
        return found

    def _reach_out(self) -> None:
        """Establish the connection when the first packets have gone there and back."""
        way = self.network.way(self.addresses, self._target)
        wire = self.network.wire
        if way is not None:
            way.note_sending()
        if way is None or not (way.is_closed or way.may_delay):
            ends = f"from {self.network.named(self.local)} to {self.network.named(self.remote)}"
            what = f"the connection {ends}"
            if not wire.is_late(self.establish, None, what):
                self.establish()
        elif way.is_closed:
            left = self._patience_ends - wire.time()
            if left <= 0:
                self._give_up_connecting()
                return
            patience = wire.come_after(left, self._give_up_connecting, None)

            def go() -> None:
                patience.cancel()
                if self._is_connecting:
                    self._reach_out()

            way.wait(go)
        else:
            wire.come_after(2 * way.delay_of_part(0), self.establish, None)

    def _give_up_connecting(self) -> None:
        if self._is_connecting:
            self._is_connecting = False
            self._end_with(errno.ETIMEDOUT)

    def establish(self) -> None:
        """Reach the listener, or find that there is none."""
        if self.is_closed or not self._is_connecting:
            return
        way = self.network.way(self.addresses, self._target)
        if way is not None and way.is_closed:
            # Since the first packets have left; the answer does not come, so that it tries again.
            self._reach_out()
            return
        listener = self._target.listener_for(self)
        if listener is not None and not listener.has_room:
            listener.keep_waiting(self)
            return
        self._is_connecting = False
        if listener is None:
            self._end_with(errno.ECONNREFUSED)
        else:
            listener.take(self)

    def _begin_anew(self) -> None:
        """Reset the state to that of a socket that was never connected."""
        self._stage = Stage.UNCONNECTED
        self._is_connecting = self._is_over = False
        self._is_read_shut = self._is_write_shut = False
        self._incoming = self._outgoing = self.peer = self.remote = None
        self.error = 0
        if not self.has_chosen_address:
            self.addresses.unbind(self)
            self.local = None

    @property
    def has_room(self) -> bool:
        """Whether a listening socket takes one more connection."""
        return len(self._backlog) < self._most

    @property
    def waiting_clients(self) -> int:
        return len(self._backlog) + len(self._waiting)

    def keep_waiting(self, client: StreamEndpoint) -> None:
        """Connect a client later, when there is room."""
        self._waiting.append(client)

    def take(self, client: StreamEndpoint) -> None:
        """Take a connection, to be accepted later."""
        accepted = type(self)(self.network, self.family)
        accepted.addresses = self.addresses
        accepted.handles = 0
        accepted.may_reuse_address = self.may_reuse_address
        accepted.may_share_port = self.may_share_port
        accepted.has_chosen_address = True
        accepted.local = self.local
        accepted.remote = client.local
        if self.family != socket.AF_UNIX:
            accepted.local = self.addresses.seen_from(self.family, client.remote)
            accepted.remote = self.addresses.seen_from(self.family, client.local)
            self.addresses.occupy(accepted)
        join(client, accepted)
        self._backlog.append(accepted)
        self.changed()
        client.changed()

    def join(self, peer: StreamEndpoint, incoming: Pipe, outgoing: Pipe) -> None:
        """Become an end of a connection."""
        if self._stage is Stage.UNCONNECTED:
            # Accepted: nothing waits for it to be connected.
            self._stage = Stage.CONNECTED
        self.peer, self._incoming, self._outgoing = peer, incoming, outgoing

    # Reading and writing.

    def receive(self, most: int, *, is_peek: bool = False) -> bytes | None:
        """Read what has arrived: empty at the end of the stream, None if it would block."""
        pipe = self._incoming
        if pipe is not None and pipe.has_data:
            data = pipe.receive(most, is_peek=is_peek)
            if not self.is_readable:
                self.network.note_read(self)
            return data
        if pipe is not None and pipe.has_ended:
            return b""
        self.raise_error()
        if self._is_read_shut and not self.is_listening:
            return b""
        if pipe is None and not self._is_connecting:
            fail(errno.ENOTCONN)
        return None

    def send(self, buffers: Sequence[bytes], address: Address = None) -> int | None:
        """Send bytes; return how many, or None if it would block."""
        if self.error:
            self.raise_error()
        if self._is_connecting:
            return None
        pipe = self._outgoing
        if pipe is None or self._is_write_shut:
            fail(errno.EPIPE)
        if not any(buffers):
            return 0
        return pipe.send(buffers) if pipe.room else None

    # Ending.

    def shut_down(self, how: int) -> None:
        check_how(how)
        if self.is_listening:
            if how != socket.SHUT_WR:
                self._stop_listening()
            return
        if self._is_connecting:
            self._begin_anew()
            return
        if self._stage is Stage.CONNECTING:
            self._stage = Stage.CONNECTED
        is_connected = self.is_connected
        if how != socket.SHUT_WR:
            self._is_read_shut = True
        if how != socket.SHUT_RD and not self._is_write_shut:
            self._is_write_shut = True
            if is_connected:
                self._send_end()
        if self._incoming is not None:
            self._incoming.is_refusing = self._is_read_shut and self._is_write_shut
        self.changed()
        if not is_connected:
            fail(errno.ENOTCONN)

    def _send_end(self) -> None:
        assert self._incoming is not None
        assert self._outgoing is not None
        self._is_write_shut = True
        self._has_ended_first = not self._incoming.has_ended
        self._outgoing.end()

    def on_close(self) -> None:
        if self.is_listening:
            self._stop_listening()
        if self._incoming is None or self._outgoing is None:
            return
        has_unread = self._incoming.has_data
        self._incoming.close()
        if self._is_over:
            return
        if has_unread or self.is_abortive:
            self._is_over = True
            self._outgoing.reset()
        elif not self._is_write_shut:
            self._send_end()

    def _stop_listening(self) -> None:
        self.is_listening = False
        self.addresses.stop_listening(self)
        clients = (*self._backlog, *self._waiting)
        self._backlog.clear()
        self._waiting.clear()
        for client in clients:
            client.drop()

    def drop(self) -> None:
        """Lose a connection that nothing accepts any more."""
        if self._is_connecting:
            # Linux tries again until it finds that nothing listens.
            self.establish()
        else:
            self.is_abortive = True
            self.is_closed = True
            self.on_close()
            self.addresses.unbind(self)

    def _end_with(self, number: int) -> None:
        """End the connection, with an error unless the number is 0."""
        self._is_over = self._is_read_shut = self._is_write_shut = True
        self.network.forget(self)
        if number:
            self.error = number
        if self.is_closed or not self.has_chosen_address:
            self.addresses.unbind(self)
        self.changed()

    def on_crash(self) -> None:
        if self.is_listening:
            self._crash_listening()
        pipe = self._incoming
        if pipe is None or self._outgoing is None:
            return
        pipe.close()
        if self.peer is not None and self.peer.addresses is self.addresses:
            # It has crashed as well.
            self._is_over = True
        if not self._is_over:
            self._is_over = True
            if self.addresses.is_silent:
                # The peer is not notified.
                self._outgoing.abandon()
            else:
                self._outgoing.reset()
        self.network.forget(self)

    def _crash_listening(self) -> None:
        accepted, waiting = list(self._backlog), list(self._waiting)
        self._backlog.clear()
        self._waiting.clear()
        self.is_listening = False
        self.addresses.stop_listening(self)
        for one in accepted:
            one.crash()
        for client in waiting:
            client.try_again()

    def try_again(self) -> None:
        """Connect to what listens now, unless nothing answers."""
        if self._is_connecting:
            self._reach_out()

    def break_connection(self) -> None:
        """Reset the connection from between its ends: what is on its way is lost."""
        for each in self.ends:
            each.lose()

    def lose(self) -> None:
        """Lose what it has sent that is on its way, and its connection."""
        if self._outgoing is not None:
            self._outgoing.lose()
            self.on_reset()

    @property
    def is_over(self) -> bool:
        """Whether its connection has ended."""
        return self._is_over

    @property
    def ends(self) -> list[StreamEndpoint]:
        """Both ends of its connection."""
        return [self] if self.peer is None else [self, self.peer]

    def let_break(self, breaking: Breaking) -> None:
        """Let the explorer break the connection whenever this end sends."""
        if self._outgoing is not None:
            self._outgoing.breaking.append(breaking)

    def forbid_break(self, allowed: object) -> None:
        """Undo `let_break`.

        Args:
            allowed: what has allowed it.
        """
        if self._outgoing is not None:
            kept = [each for each in self._outgoing.breaking if each.allowed is not allowed]
            self._outgoing.breaking[:] = kept

    # Called by its pipes.

    def on_given_up(self) -> None:
        """What was sent has not arrived for too long."""
        if not self._is_over:
            if self._incoming is not None:
                self._incoming.is_refusing = True
            self._end_with(errno.ETIMEDOUT)

    def on_refused(self) -> None:
        """What was sent has found that the peer does not read any more."""
        self.on_reset()
        if self.peer is not None:
            self.peer.on_reset()

    def on_reset(self) -> None:
        """A reset has arrived."""
        if not self._is_over:
            # A peer that has ended its stream is known to be gone: that is a broken pipe.
            has_ended = self._incoming is not None and self._incoming.has_ended
            is_broken = has_ended and not self._is_write_shut
            self._end_with(errno.EPIPE if is_broken else errno.ECONNRESET)

    def on_arrival(self) -> None:
        """Something has arrived."""
        incoming, outgoing = self._incoming, self._outgoing
        assert incoming is not None
        if incoming.is_reset:
            self.on_reset()
        elif incoming.has_ended and outgoing and outgoing.has_ended and not self._is_over:
            for each in (self, self.peer):
                if each is not None:
                    each.on_ends()
        self.changed()

    def on_ends(self) -> None:
        """Both streams have ended."""
        if not self._is_over:
            self._end_with(0)
            if self._has_ended_first and self.has_chosen_address:
                # The one that ends first keeps the address of the connection for a while.
                self.addresses.linger(self)


def join(one: StreamEndpoint, other: StreamEndpoint) -> None:
    """Connect two ends."""
    wire = one.network.wire
    there = Pipe(wire, _from(one), other.on_arrival, one.changed, one.on_refused, one.on_given_up)
    back = Pipe(
        wire, _from(other), one.on_arrival, other.changed, other.on_refused, other.on_given_up
    )
    there.path = one.network.way(one.addresses, other.addresses)
    back.path = one.network.way(other.addresses, one.addresses)
    one.join(other, back, there)
    other.join(one, there, back)
    one.network.note_connection(one)


def _from(endpoint: StreamEndpoint) -> str:
    name = endpoint.network.named
    return f"from {name(endpoint.local)} to {name(endpoint.remote)}"
