"""`Kernel`: the endpoints of a run, and which of them are ready."""

from __future__ import annotations

import enum
import errno
import selectors
import socket
from collections.abc import Callable, Mapping

from aldente._asyncio_compat.stepping import StepHandle
from aldente._simulation.network import names, refusals
from aldente._simulation.network.addresses import Address, Addresses, Ports, fail, named
from aldente._simulation.network.links import Link, Way
from aldente._simulation.network.names import LIFE, Life
from aldente._simulation.network.pipes import Wire
from aldente.errors import HostCrashed


def check_how(how: int) -> None:
    """Raise if a direction to shut down is none."""
    if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
        fail(errno.EINVAL)


class Stage(enum.Enum):
    """The state of connecting a socket, as far as the program has been notified."""

    UNCONNECTED = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()


class Endpoint:
    """What is behind a simulated socket.

    Args:
        network: the network of the run.
        family: the family of its addresses.

    Attributes:
        family: as the argument.
        addresses: those of its host: the one whose code has made it.
        local: its own address; None as long as it has none.
        remote: the address of what it is connected with; None without one.
        error: the number of the error that the next operation raises; 0 without one.
        handles: how many sockets use it.
        descriptors: the file descriptors that stand for it.
        is_closed: whether none does any more.
        is_listening: whether it accepts connections.
        has_chosen_address: whether the program has given it its address.
        may_reuse_address, may_share_port: whether others may have its port too.
        is_for_six_only: whether it is one of IPv6 that does without IPv4.
        is_abortive: whether closing it resets its connection.
    """

    kind: socket.SocketKind

    def __init__(self, network: Kernel, family: int) -> None:
        self.network = network
        self.addresses = network.addresses_here()
        self.family = socket.AddressFamily(family)
        self.local: Address = None
        self.remote: Address = None
        self.error = 0
        self.handles = 1
        self.descriptors: list[int] = []
        self.is_closed = False
        self.is_listening = False
        self.has_chosen_address = False
        self.may_reuse_address = False
        self.may_share_port = False
        self.is_for_six_only = False
        self.is_abortive = False

    @property
    def is_readable(self) -> bool:
        """Whether reading would not block."""
        raise NotImplementedError

    @property
    def is_writable(self) -> bool:
        """Whether writing would not block."""
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Whether there is something that it is connected with."""
        raise NotImplementedError

    @property
    def holds_address(self) -> bool:
        """Whether its address is taken even after it was closed."""
        return False

    @property
    def waiting_clients(self) -> int:
        """How many connections wait to be accepted."""
        return 0

    def changed(self) -> None:
        """Notify the network that the socket may have become ready."""
        self.network.note_change(self)

    def take_error(self) -> int:
        """Return the number of its error, and clear it; 0 without one."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise its error, if it has one."""
        if self.error:
            fail(self.take_error())

    def bind(self, address: Address) -> None:
        """Give it an address."""
        if self.local is not None:
            fail(errno.EINVAL)
        self.addresses.bind(self, address)
        self.has_chosen_address = True

    def connect(self, address: Address) -> bool:
        """Connect it; return whether it is connected now."""
        raise NotImplementedError

    def shut_down(self, how: int) -> None:
        """Shut down one or both directions."""
        raise NotImplementedError

    def close(self) -> None:
        """Count one socket less that uses it."""
        self.handles -= 1
        if not self.handles and not self.is_closed:
            self.is_closed = True
            self.network.forget(self)
            self.on_close()
            if not self.holds_address:
                self.addresses.unbind(self)

    def on_close(self) -> None:
        """Handle the effects of its closing."""
        raise NotImplementedError

    def crash(self) -> None:
        """End it, because its host has crashed."""
        self.is_closed = True
        self.on_crash()
        self.addresses.unbind(self)

    def on_crash(self) -> None:
        """Do what a crash of its host means for others."""
        raise NotImplementedError


# The host of all code that runs on no other: that of the test.
TEST = "test"

# As many as the range of addresses has, which are those of documents.
MOST_HOSTS = 254


class Kernel:
    """The network of a run.

    Args:
        wire: the loop.
        ready: the loop looks whether it is empty.

    Attributes:
        wire: as the argument.
        hosts: the addresses of each host, by its name; of the test's first.
        known: the same as they are looked up; empty as long as there is no other host.
        connections: the clients' ends of the connections that are open.
        crashes: how often each host has crashed, by its name.
        on_connection: called with the client's end of each new connection.
        ready: the file descriptors that may be ready, in the order in which they became so.
        refused: the addresses that were not served when something connected to them, each with the
            user's line.
        refused_by_hosts: the same of hosts of the run.
        served: the addresses at which something has listened.
    """

    def __init__(self, wire: Wire, ready: dict[int, None]) -> None:
        self.wire = wire
        self.ready = ready
        self.refused: dict[str, str] = {}
        self.refused_by_hosts: dict[str, str] = {}
        self.served: dict[str, None] = {}
        self.known: dict[str, Mapping[int, str]] = {}
        self.connections: dict[Endpoint, None] = {}
        self.on_connection: list[Callable[[Endpoint], object]] = []
        self._ports = Ports()
        self._test = self._addresses_for(TEST)
        self.hosts = {TEST: self._test}
        self.crashes: dict[str, int] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._endpoints: dict[int, Endpoint] = {}
        self._readers: dict[int, StepHandle] = {}
        self._writers: dict[int, StepHandle] = {}
        # The descriptors that were closed while something waited for them.
        self._left: set[int] = set()

    # Hosts and what is between them.

    def _addresses_for(self, host: str, number: int = 1) -> Addresses:
        own: dict[int, str] = {
            socket.AF_INET: f"192.0.2.{number}",
            socket.AF_INET6: f"2001:db8::{number:x}",
        }
        return Addresses(self.wire, host, own, self.known, self.served, self._ports)

    def add_host(self, name: str) -> Addresses:
        """Add a host, with addresses that are those of documents (RFC 5737, RFC 3849)."""
        made = self.hosts[name] = self._addresses_for(name, len(self.hosts) + 1)
        self.known.update((each.host, each.own) for each in self.hosts.values())
        return made

    def addresses_here(self) -> Addresses:
        """The addresses of the host on which the running code runs.

        Raises:
            HostCrashed: it has crashed since that code began to run there.
        """
        if not self.known:
            return self._test
        life = LIFE.get()
        if life is None:
            return self._test
        if life.number != self.crashes.get(life.host, 0):
            # Such as the block of a test that has entered the host before.
            raise HostCrashed(life.host)
        return self.hosts[life.host]

    def life_on(self, host: str) -> Life:
        """The value in the context of code that runs on a host from now on."""
        return Life(host, self.crashes.get(host, 0), LIFE.get())

    def route(self, origin: Addresses, address: Address) -> Addresses | None:
        """The addresses among which one is that a host sends to; None if no host has it."""
        if origin.has(address[0]):
            return origin
        if not self.known:
            return None
        found = (each for each in self.hosts.values() if address[0] in each.own.values())
        return next(found, None)

    def link(self, one: str, other: str) -> Link:
        """The link between two hosts."""
        first, second = sorted((one, other))
        found = self._links.get((first, second))
        if found is None:
            found = self._links[first, second] = Link(self.wire, first, second)
        return found

    @property
    def links(self) -> list[Link]:
        """All links that something has asked for, in that order."""
        return list(self._links.values())

    def named(self, address: Address) -> str:
        """An address in words, with the name of its host if that is one of the run."""
        if self.known and isinstance(address, tuple):
            for host, own in self.known.items():
                if address[0] in own.values():
                    return f"{host}:{address[1]}"
        return named(address)

    def way(self, origin: Addresses, target: Addresses | None) -> Way | None:
        """The way from a host to another one; None on the same host."""
        if target is None or target is origin:
            return None
        return self.link(origin.host, target.host).way(origin, target)

    def go_on(self) -> None:
        """Release what has waited for hosts and links that work again."""
        for link in list(self._links.values()):
            link.go_on()

    def endpoints_at(self, addresses: Addresses) -> list[Endpoint]:
        """The sockets of a host, in the order in which they were made."""
        found = dict.fromkeys(self._endpoints.values())
        return [endpoint for endpoint in found if endpoint.addresses is addresses]

    def note_connection(self, client: Endpoint) -> None:
        """Note that a connection was established."""
        self.connections[client] = None
        for listener in list(self.on_connection):
            listener(client)

    def forget(self, endpoint: Endpoint) -> None:
        """Note that a connection is over, or closed by its client."""
        self.connections.pop(endpoint, None)

    # Endpoints and what waits for them.

    def add(self, descriptor: int, endpoint: Endpoint) -> None:
        """Map a file descriptor to an endpoint."""
        self._endpoints[descriptor] = endpoint
        endpoint.descriptors.append(descriptor)

    def remove(self, descriptor: int) -> None:
        """Remove the endpoint of a file descriptor."""
        endpoint = self._endpoints.pop(descriptor, None)
        self.ready.pop(descriptor, None)
        if descriptor in self._readers or descriptor in self._writers:
            self._left.add(descriptor)
        if endpoint is not None:
            endpoint.descriptors.remove(descriptor)

    def callbacks(self) -> list[StepHandle]:
        """What is called when sockets are ready."""
        return [*self._readers.values(), *self._writers.values()]

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._endpoints

    def watch(self, descriptor: int, handle: StepHandle | None, *, is_writer: bool) -> bool:
        """Call a handle when a descriptor is ready, instead of an earlier one; None for none.

        Returns:
            Whether there was an earlier one.

        Raises:
            FileNotFoundError: something has waited for it when it was closed, and still does.
        """
        handles = self._writers if is_writer else self._readers
        if descriptor in self._left:
            self._change_left(descriptor, handles, is_added=handle is not None)
        before = handles.pop(descriptor, None)
        if before is not None:
            before.cancel()
        if handle is not None:
            handles[descriptor] = handle
            self.ready[descriptor] = None
        return before is not None

    def stop_watching(self) -> None:
        """Call and keep no handles any more: the loop is closed."""
        self._readers.clear()
        self._writers.clear()
        self.ready.clear()

    def events_of(self, descriptor: int) -> int:
        """What of a descriptor is watched, as the events of `selectors`."""
        reading = selectors.EVENT_READ if descriptor in self._readers else 0
        return reading | (selectors.EVENT_WRITE if descriptor in self._writers else 0)

    def _change_left(
        self, descriptor: int, handles: dict[int, StepHandle], *, is_added: bool
    ) -> None:
        """Do what asyncio's selectors do for a descriptor that was closed while it was watched.

        Its number may be that of another socket by now. The system does not know it: it reports
        changes, and without a change it never reports that the socket is ready.
        """
        if (descriptor in handles) == is_added:
            return
        self._left.discard(descriptor)
        others = self._readers if handles is self._writers else self._writers
        if descriptor in others:
            for each in (handles, others):
                each.pop(descriptor, None)
            fail(errno.ENOENT)

    def note_change(self, endpoint: Endpoint) -> None:
        """Look at an endpoint when a turn begins."""
        for descriptor in endpoint.descriptors:
            if descriptor in self._readers or descriptor in self._writers:
                self.ready[descriptor] = None

    def note_read(self, endpoint: Endpoint) -> None:
        """Stop looking at an endpoint whose received data was all read."""
        for descriptor in endpoint.descriptors:
            if descriptor not in self._writers:
                self.ready.pop(descriptor, None)

    def poll(self, queue: Callable[[StepHandle], object]) -> None:
        """Queue the handles of all that is ready; a turn begins."""
        endpoints, readers, writers = self._endpoints, self._readers, self._writers
        for descriptor in list(self.ready):
            endpoint = endpoints.get(descriptor)
            is_ready = False
            if endpoint is not None and descriptor not in self._left:
                if descriptor in readers and endpoint.is_readable:
                    queue(readers[descriptor])
                    is_ready = True
                if descriptor in writers and endpoint.is_writable:
                    queue(writers[descriptor])
                    is_ready = True
            if not is_ready:
                del self.ready[descriptor]

    # Addresses.

    def reachable(self, endpoint: Endpoint, address: Address, method: str) -> Address:
        """The full address of something in the run; that of any host is the own host.

        Args:
            endpoint: what sends there.
            address: the address.
            method: what the program calls.

        Raises:
            OutsideSimulation: it is not in the run.
        """
        family = endpoint.family
        host, port = address[0], address[1]
        try:
            ((_, found), *_) = names.addresses_of(host, family, self.known, is_passive=False)
        except names.UnknownHost:
            refusals.refuse_peer(method, f"{host}:{port}", self.served)
        if self.route(endpoint.addresses, (found, port)) is None:
            refusals.refuse_peer(method, named((found, port)), self.served)
        if found in names.ANY.values():
            found = names.LOOPBACK[socket.AddressFamily(family)]
        return endpoint.addresses.full(family, found, port)

    def check_outside(self, endpoint: Endpoint, address: Address, method: str) -> None:
        """Look whether something real is at an address where the run has nothing.

        Raises:
            OutsideSimulation: so it is.
        """
        if self._is_of_hosts(endpoint, address):
            return
        kind = endpoint.kind
        # The run's own ports may also be those of something real, which nothing here means.
        if not self._test.was_occupied(kind, address) and refusals.is_served_outside(kind, address):
            refusals.refuse_peer(method, named(address), self.served)

    def _is_of_hosts(self, endpoint: Endpoint, address: Address) -> bool:
        """Whether nothing real can be meant: from another host, or at the address of one."""
        return endpoint.addresses is not self._test or not names.is_of_every_host(address[0])

    def note_unserved(self, endpoint: Endpoint, address: Address) -> None:
        """Note that nothing listens at an address to which something connects."""
        if self._is_of_hosts(endpoint, address):
            self.refused_by_hosts.setdefault(self.named(address), refusals.users_line())
            return
        self.refused.setdefault(named(address), refusals.users_line())
