"""`Addresses`: which sockets of a host have which addresses, and what is at one."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

from aldente._simulation.network import names
from aldente._simulation.network.pipes import Wire

# The first port that is given to a socket without one, as on Linux.
_FIRST_PORT = 32_768
_LAST_PORT = 60_999


# How long the address of a connection is kept when it is over, in seconds.
_LINGERING = 60.0

Address = Any


def fail(number: int) -> NoReturn:
    """Raise the OSError of an error number."""
    raise OSError(number, os.strerror(number))


def named(address: Address) -> str:
    """An address in words."""
    if not address:
        return "a client"
    if isinstance(address, tuple):
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return os.fsdecode(address)


class Bound(Protocol):
    """What has an address; as the attributes of `Endpoint`."""

    kind: socket.SocketKind
    family: socket.AddressFamily
    local: Address
    remote: Address
    is_listening: bool
    may_reuse_address: bool
    may_share_port: bool
    is_for_six_only: bool

    @property
    def waiting_clients(self) -> int:
        """How many connections wait to be accepted."""
        ...


_E = TypeVar("_E", bound=Bound)


def _file_at(path: Address) -> Any:
    """What stands for the file at a path, or for a name without a file.

    Raises:
        OSError: there is no such file.
    """
    text: bytes = os.fsencode(path)
    if not text:
        fail(errno.EINVAL)
    if text.startswith(b"\0"):
        return text
    found = os.stat(text)
    return found.st_dev, found.st_ino


class Ports:
    """Gives sockets their ports: the same ones in the same order in all runs."""

    def __init__(self) -> None:
        self._next = _FIRST_PORT

    def next(self) -> int:
        """The next port; after the last one the first."""
        port = self._next
        self._next = port + 1 if port < _LAST_PORT else _FIRST_PORT
        return port


class Addresses:
    """The addresses of a host.

    Args:
        wire: the loop.
        host: the name of the host.
        own: its addresses, by their families, besides those that every host has.
        known: the addresses of all hosts of the run, by their names; none as long as there is only
            the host of the test.
        served: the addresses of the run at which something has listened.
        ports: gives the ports of all hosts.

    Attributes:
        wire, host, own: as the arguments.
        is_silent: whether it has crashed and sends nothing any more, not even a reset.
    """

    def __init__(
        self,
        wire: Wire,
        host: str,
        own: Mapping[int, str],
        known: Mapping[str, Mapping[int, str]],
        served: dict[str, None],
        ports: Ports,
    ) -> None:
        self.wire = wire
        self.host = host
        self.own = own
        self.is_silent = False
        self._known = known
        self._served = served
        self._ports = ports
        self._at_port: dict[tuple[socket.SocketKind, int], list[Bound]] = {}
        self._occupied: set[tuple[socket.SocketKind, int]] = set()
        self._at_path: dict[Any, Bound] = {}
        self._listening: dict[int, list[Bound]] = {}
        # Addresses of connections that are over, with the end of the time in which they are kept.
        self._lingering: dict[int, list[tuple[float, Bound]]] = {}

    def has(self, address: str) -> bool:
        """Whether an address is one of this host."""
        is_own = bool(self._known) and address in self.own.values()
        return is_own or names.is_of_every_host(address)

    def any_address(self, family: int) -> Address:
        """The address of a socket that is bound to no host, with a port to be chosen."""
        return self.full(family, names.ANY[socket.AddressFamily(family)], 0)

    def is_any(self, address: Address) -> bool:
        """Whether an address is of no host."""
        return isinstance(address, tuple) and address[0] in names.ANY.values()

    def address_towards(self, family: int, remote: Address) -> Address:
        """The own address of a socket that connects to another, with a port to be chosen."""
        host = remote[0] if self.has(remote[0]) else self.own[family]
        return self.full(family, host, 0)

    def source_of(self, sender: Bound, target: Address) -> Address:
        """The address that the receiver of a datagram sees."""
        if self.is_any(sender.local):
            return (self.address_towards(sender.family, target)[0], *sender.local[1:])
        return sender.local

    def full(self, family: int, host: str, port: int) -> Address:
        """An address with all its parts."""
        return (host, port, 0, 0) if family == socket.AF_INET6 else (host, port)

    # Ports.

    def bind(self, endpoint: Bound, address: Address) -> None:
        """Give an endpoint an address.

        Raises:
            OSError: another one has it, or it is not an address of this machine.
        """
        if endpoint.family == socket.AF_UNIX:
            endpoint.local = address
            self._at_path[_file_at(address)] = endpoint
            return
        host, port = address[0], address[1]
        ((_, found), *_) = names.addresses_of(host, endpoint.family, self._known, is_passive=True)
        if not self.has(found):
            fail(errno.EADDRNOTAVAIL)
        full = self.full(endpoint.family, found, port or self._free_port(endpoint.kind))
        if port and self._is_taken(endpoint, full):
            fail(errno.EADDRINUSE)
        endpoint.local = full
        self.occupy(endpoint)

    def occupy(self, endpoint: Bound) -> None:
        """Note that an endpoint has the port of its address."""
        self._occupied.add((endpoint.kind, endpoint.local[1]))
        self._at_port.setdefault((endpoint.kind, endpoint.local[1]), []).append(endpoint)

    def was_occupied(self, kind: socket.SocketKind, address: Address) -> bool:
        """Whether something in the run has, or has had, the port of an address."""
        return (kind, address[1]) in self._occupied

    def unbind(self, endpoint: Bound) -> None:
        """Free the address of an endpoint."""
        if endpoint.local is None:
            return
        if endpoint.family == socket.AF_UNIX:
            for key in [key for key, each in self._at_path.items() if each is endpoint]:
                del self._at_path[key]
            return
        key = (endpoint.kind, endpoint.local[1])
        found = self._at_port.get(key, [])
        if endpoint in found:
            found.remove(endpoint)
            if not found:
                del self._at_port[key]

    def linger(self, endpoint: Bound) -> None:
        """Keep the address of a connection that is over for a while."""
        until = self.wire.time() + _LINGERING
        self._lingering.setdefault(endpoint.local[1], []).append((until, endpoint))

    def listen(self, endpoint: Bound) -> None:
        """Note that something listens at an address.

        Raises:
            OSError: something else listens there.
        """
        self._served[named(endpoint.local)] = None
        if endpoint.family != socket.AF_UNIX:
            if self._is_taken(endpoint, endpoint.local):
                fail(errno.EADDRINUSE)
            self._listening.setdefault(endpoint.local[1], []).append(endpoint)

    def stop_listening(self, endpoint: Bound) -> None:
        """Note that something no longer listens."""
        if endpoint.family != socket.AF_UNIX:
            self._listening[endpoint.local[1]].remove(endpoint)

    def _is_taken(self, endpoint: Bound, address: Address) -> bool:
        """Whether an address is that of another endpoint that does not share it."""
        port = address[1]
        others = list(self._at_port.get((endpoint.kind, port), ()))
        if endpoint.kind == socket.SOCK_STREAM and port in self._lingering:
            now = self.wire.time()
            kept = [each for each in self._lingering[port] if each[0] > now]
            self._lingering[port] = kept
            others += [each for _, each in kept]
        return any(
            each is not endpoint
            and self._overlap(each, each.local, endpoint, address)
            and not (each.may_share_port and endpoint.may_share_port)
            and not (
                each.may_reuse_address and endpoint.may_reuse_address and not each.is_listening
            )
            for each in others
        )

    def _overlap(self, one: Bound, own: Address, other: Bound, address: Address) -> bool:
        """Whether two addresses have something in common."""
        if one.family == other.family:
            return own[0] == address[0] or self.is_any(own) or self.is_any(address)
        six, its = (one, own) if one.family == socket.AF_INET6 else (other, address)
        return self._is_for_both(six, its)

    def _is_for_both(self, endpoint: Bound, address: Address) -> bool:
        """Whether an endpoint of IPv6 has the addresses of IPv4 too."""
        is_six = endpoint.family == socket.AF_INET6 and not endpoint.is_for_six_only
        return is_six and self.is_any(address)

    def _free_port(self, kind: socket.SocketKind) -> int:
        """The next port that nothing uses."""
        for _ in range(_LAST_PORT - _FIRST_PORT):
            port = self._ports.next()
            if (kind, port) not in self._at_port and port not in self._lingering:
                return port
        fail(errno.EADDRINUSE)

    # Who is at an address.

    def listener_for(self, client: _E) -> _E | None:
        """What listens where a client connects to; of several that share the port, the idlest."""
        found: Any = self._at(self._listening.get(client.remote[1], ()), client, client.remote)
        # As Linux prefers the address itself to any, and the own family to the other.
        return min(
            found,
            key=lambda each: (
                each.family != client.family,
                self.is_any(each.local),
                each.waiting_clients,
            ),
            default=None,
        )

    def _at(self, among: Iterable[Bound], sender: Bound, target: Address) -> list[Bound]:
        """Those that have an address to which something connects or sends."""
        return [
            each
            for each in among
            if (each.local[0] == target[0] or self.is_any(each.local))
            and (each.family == sender.family or self._is_for_both(each, each.local))
        ]

    def seen_from(self, family: int, address: Address) -> Address:
        """An address as a socket of some family gives it."""
        if family == socket.AF_INET6 and len(address) == 2:
            return (f"::ffff:{address[0]}", address[1], 0, 0)
        return address

    def found_at_path(self, sender: _E, path: Address) -> _E:
        """What is bound to a path.

        Raises:
            OSError: there is no such file, or nothing of the kind is bound to it.
        """
        found: Any = self._at_path.get(_file_at(path))
        if found is None:
            fail(errno.ECONNREFUSED)
        if found.kind != sender.kind:
            fail(errno.EPROTOTYPE)
        return found  # type: ignore[no-any-return]

    def receiver_of(self, sender: _E, target: Address, source: Address) -> _E | None:
        """What receives datagrams at an address: of several, the one that was bound last.

        Sockets that are connected with another address than the sender's do not count.
        """
        found: Any = self._at(self._at_port.get((socket.SOCK_DGRAM, target[1]), ()), sender, target)
        return max(
            (
                each
                for each in reversed(found)
                if each.remote is None or each.remote == self.seen_from(each.family, source)
            ),
            key=lambda each: (
                each.remote is not None,
                each.family == sender.family,
                not self.is_any(each.local),
            ),
            default=None,
        )
