"""The sockets of datagrams, which behave as Linux's do, errors included."""

from __future__ import annotations

import collections
import errno
import socket
from functools import partial

from aldente._simulation.choices import Deliveries
from aldente._simulation.network.addresses import Address, fail
from aldente._simulation.network.kernel import Endpoint, Kernel, check_how

# What programs call.
_CONNECT, _SEND = "socket.connect()", "socket.sendto()"
# How much of memory those may take that wait to be read.
_BUFFER = 212_992
# How many bytes one may have.
_MOST = {socket.AF_INET: 65_507, socket.AF_INET6: 65_527, socket.AF_UNIX: _BUFFER - 32}
# How many wait at most to be read at a Unix socket.
_QUEUE = 11


class DatagramEndpoint(Endpoint):
    """A UDP socket."""

    kind = socket.SOCK_DGRAM

    def __init__(self, network: Kernel, family: int) -> None:
        super().__init__(network, family)
        self._arrived: collections.deque[tuple[bytes, Address]] = collections.deque()
        # Those that come after the next one, or when nothing else can happen.
        self._held: collections.deque[tuple[bytes, Address]] = collections.deque()
        self._size = 0
        self._is_read_shut = False
        self._is_write_shut = False

    @property
    def is_readable(self) -> bool:
        return bool(self._arrived or self.error or self._is_read_shut)

    @property
    def is_writable(self) -> bool:
        return True

    @property
    def is_connected(self) -> bool:
        return self.remote is not None

    def connect(self, address: Address) -> bool:
        """Send to one address only, and receive from no other."""
        self.remote = self.network.reachable(self, address, _CONNECT)
        own = self.addresses.address_towards(self.family, self.remote)
        if self.local is None:
            self.addresses.bind(self, own)
        elif self.addresses.is_any(self.local):
            self.local = (own[0], *self.local[1:])
        return True

    def shut_down(self, how: int) -> None:
        check_how(how)
        self._is_read_shut |= how != socket.SHUT_WR
        self._is_write_shut |= how != socket.SHUT_RD
        self.changed()
        if not self.is_connected:
            fail(errno.ENOTCONN)

    def _check_sending(self) -> None:
        self.raise_error()
        if self._is_write_shut:
            fail(errno.EPIPE)

    def send_to(self, data: bytes, address: Address) -> int | None:
        """Send a datagram; None for the address it is connected with.

        Returns:
            How many bytes were sent; None if it would block.
        """
        if address is None and self.remote is None:
            fail(errno.EDESTADDRREQ)
        if len(data) > _MOST[self.family]:
            fail(errno.EMSGSIZE)
        if address is not None and not address[1]:
            fail(errno.EINVAL)
        self._check_sending()
        target = self.remote
        if address is not None:
            target = self.network.reachable(self, address, _SEND)
        if self.local is None:
            self.addresses.bind(self, self.addresses.any_address(self.family))
        source = self.addresses.source_of(self, target)
        receiver = self._receiver(target, source)
        if receiver is None:
            self.network.check_outside(self, target, _SEND)
        self._send(receiver, target, source, data)
        return len(data)

    def _receiver(self, target: Address, source: Address) -> DatagramEndpoint | None:
        """What receives datagrams at an address."""
        found = self.network.route(self.addresses, target)
        return None if found is None else found.receiver_of(self, target, source)

    def _send(
        self, receiver: DatagramEndpoint | None, target: Address, source: Address, data: bytes
    ) -> None:
        """Deliver a datagram, now or later as the strategy chooses."""
        come = partial(self._reach, target, source, data)
        name = self.network.named
        what = f"a datagram of {len(data):,} bytes from {name(source)} to {name(target)}"
        wire = self.network.wire
        way = self.network.way(self.addresses, self.network.route(self.addresses, target))
        if way is not None:
            way.note_sending()
            if way.is_closed or way.is_lost(what):
                return
            if way.may_delay:
                wire.come_after(way.delay(len(data)), come, None)
                return
        if wire.pick(Deliveries(2, f"datagram {name(source)}")):
            wire.note_delivery(f"{what} comes after the next one")
            if receiver is None:
                come()
            else:
                receiver.keep((data, source))
                wire.hold(receiver.release)
        elif not wire.is_late(come, None, what):
            come()

    def _reach(self, target: Address, source: Address, data: bytes) -> None:
        receiver = self._receiver(target, source)
        way = self.network.way(self.addresses, self.network.route(self.addresses, target))
        if receiver is not None:
            receiver.arrive(data, self.addresses.seen_from(receiver.family, source))
        elif self.remote is not None and (way is None or not way.is_closed):
            self.error = errno.ECONNREFUSED
            self.changed()

    def arrive(self, data: bytes, source: Address) -> None:
        """Take a datagram, and those that had to come after it."""
        self._put(data, source)
        self.release()

    def keep(self, datagram: tuple[bytes, Address]) -> None:
        """Hold a datagram back until the next one has come."""
        self._held.append(datagram)

    def release(self) -> None:
        """Take those that were held back."""
        while self._held:
            self._put(*self._held.popleft())

    def _put(self, data: bytes, source: Address) -> None:
        is_wanted = self.remote is None or source == self.remote
        # What comes when more than that waits is lost, as in Linux.
        if not self.is_closed and is_wanted and self._size <= _BUFFER:
            self._take(data, source)

    def _take(self, data: bytes, source: Address) -> None:
        self._size += _memory(len(data))
        self._arrived.append((data, source))
        self.changed()

    def receive_from(self, *, is_peek: bool = False) -> tuple[bytes, Address] | None:
        """The next datagram and where it comes from; None if it would block."""
        self.raise_error()
        if not self._arrived:
            return None
        if is_peek:
            return self._arrived[0]
        data, source = self._arrived.popleft()
        self._size -= _memory(len(data))
        return data, source

    def on_close(self) -> None:
        self._arrived.clear()
        self._held.clear()

    def on_crash(self) -> None:
        self.on_close()


def _memory(length: int) -> int:
    """How much of memory a datagram takes: about as much as in Linux."""
    needed = length + 400
    return (1 << needed.bit_length() if needed > 512 else 512) + 256


class UnixDatagramEndpoint(DatagramEndpoint):
    """A Unix socket of datagrams: nothing is lost, and a sender gets an error at once."""

    def __init__(self, network: Kernel, family: int) -> None:
        super().__init__(network, family)
        self._peer: UnixDatagramEndpoint | None = None
        # How many are on their way to it or wait to be read, and what waits for room.
        self._count = 0
        self._full: UnixDatagramEndpoint | None = None
        self._waiting: list[UnixDatagramEndpoint] = []

    @property
    def is_writable(self) -> bool:
        return self._full is None or self._full.has_room

    @property
    def has_room(self) -> bool:
        """Whether it takes one more datagram."""
        return self.is_closed or self._count < _QUEUE

    def pair_with(self, peer: UnixDatagramEndpoint) -> None:
        """Become one of two sockets without names that are connected with each other."""
        self._peer, self.remote = peer, ""

    def connect(self, address: Address) -> bool:
        peer = self.addresses.found_at_path(self, address)
        self._check_may_send(peer)
        self._peer, self.remote = peer, peer.local
        return True

    def _check_may_send(self, target: UnixDatagramEndpoint) -> None:
        if not target.may_get_from(self):
            fail(errno.EPERM)

    def may_get_from(self, sender: UnixDatagramEndpoint) -> bool:
        """Whether it receives from another one: not if it is connected with a third."""
        return self._peer is None or self._peer is sender

    def queue(self, sender: UnixDatagramEndpoint) -> bool:
        """Take one more datagram; if there is no room, notify the sender when there is."""
        if self._is_read_shut:
            fail(errno.EPIPE)
        if not self.has_room and self._peer is not sender:
            self._waiting.append(sender)
            return False
        self._count += 1
        return True

    def shut_down(self, how: int) -> None:
        check_how(how)
        self._is_read_shut |= how != socket.SHUT_WR
        self._is_write_shut |= how != socket.SHUT_RD
        self.changed()

    def send_to(self, data: bytes, address: Address) -> int | None:
        if address is None and self._peer is None:
            fail(errno.ENOTCONN)
        if len(data) > _MOST[self.family]:
            fail(errno.EMSGSIZE)
        self._check_sending()
        target = self._peer if address is None else self.addresses.found_at_path(self, address)
        assert target is not None
        if target.is_closed:
            self._peer = self.remote = None
            fail(errno.ECONNREFUSED)
        self._check_may_send(target)
        is_taken = target.queue(self)
        self._full = None if is_taken else target
        if not is_taken:
            return None
        self._send(target, target.local, self.local, data)
        return len(data)

    def _send(
        self, receiver: DatagramEndpoint | None, target: Address, source: Address, data: bytes
    ) -> None:
        # It is there at once, and in order.
        assert receiver is not None
        receiver.arrive(data, source)

    def _put(self, data: bytes, source: Address) -> None:
        if not self.is_closed:
            self._take(data, source)

    def receive_from(self, *, is_peek: bool = False) -> tuple[bytes, Address] | None:
        found = super().receive_from(is_peek=is_peek)
        if found is not None and not is_peek:
            self._count -= 1
            self._notify_waiting()
        return found

    def _notify_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.changed()

    def on_close(self) -> None:
        super().on_close()
        self._notify_waiting()
