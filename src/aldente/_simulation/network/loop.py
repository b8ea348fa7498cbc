"""`NetworkLoop`: the part of the simulated loop that asyncio's code for sockets calls."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aldente import _asyncio_compat
from aldente._asyncio_compat.selector_loop import SocketLoop
from aldente._asyncio_compat.stepping import StepHandle
from aldente._simulation.durations import NETWORK
from aldente._simulation.explored import LimitedLoop, StoryEvent
from aldente._simulation.network import names, refusals
from aldente._simulation.network.creation import Sockets, adopt, close_all
from aldente._simulation.network.disk import Disk
from aldente._simulation.network.faults import Faults
from aldente._simulation.network.hosts import Hosts
from aldente._simulation.network.kernel import Kernel
from aldente._simulation.network.unix import simulate_pair
from aldente._simulation.outside import STREAMS
from aldente._simulation.ready import OutsideHandle
from aldente.errors import OutsideSimulation


class NetworkLoop(LimitedLoop, SocketLoop):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The part of the simulated loop that has a network.

    Args and attributes as for `LimitedLoop`, and:

    Attributes:
        faults: how often each kind of fault has happened, by its name; 0 for those that may.
        skews: how far ahead the clocks of hosts are, in seconds, by their names.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Made when it is first needed: most programs have none.
        self._network: Kernel | None = None
        # How often each kind of fault has happened, by its name.
        self.faults: dict[str, int] = {}
        # How far ahead the clock of each host is, in seconds, if it is not right.
        self.skews: dict[str, float] = {}
        self._hosts: Hosts | None = None
        self._fault_rules: Faults | None = None
        self._disks: dict[str, Disk] = {}
        # What comes when nothing else can happen.
        self._held: list[Callable[[], object]] = []

    @property
    def network(self) -> Kernel:
        """The network of the run."""
        if self._network is None:
            self._network = Kernel(self, self._io)
        return self._network

    @property
    def has_network(self) -> bool:
        """Whether the program has made or used a socket."""
        return self._network is not None

    @property
    def hosts(self) -> Hosts:
        """The hosts of the run."""
        if self._hosts is None:
            self._hosts = Hosts(self, self.network)
            self._hosts.on_crash.append(self.crash_parts)
        return self._hosts

    @property
    def fault_rules(self) -> Faults:
        """The faults that may happen."""
        if self._fault_rules is None:
            self._fault_rules = Faults(self, self.network, self.hosts)
        return self._fault_rules

    def callbacks_from_outside(self) -> list[object]:
        """What the network may call, whatever code sends something or has a host crash."""
        found: list[object] = [] if self._network is None else [*self._network.callbacks()]
        return [*found, self._hosts] if self._hosts is not None else found

    @property
    def has_hosts(self) -> bool:
        """Whether the program has hosts of its own."""
        return self._hosts is not None

    @contextlib.contextmanager
    def removing_disks(self) -> Iterator[None]:
        """Remove the files of hosts in the end, however a run ends."""
        try:
            yield
        finally:
            for disk in self._disks.values():
                disk.remove()

    def disk_of(self, host: str) -> Disk:
        """The files of a host."""
        if host not in self._disks:
            self._disks[host] = Disk(self, host)
        return self._disks[host]

    def crash_parts(self, host: str) -> None:
        """Do what the crash of a host means for other parts than its tasks and sockets."""
        if host in self._disks:
            self._disks[host].crash()

    def end_program(self, *, in_step: bool = False) -> None:
        """Like the base class's; no fault happens any more."""
        if self._fault_rules is not None:
            self._fault_rules.end()
        super().end_program(in_step=in_step)

    def poll(self) -> None:
        """Queue what waits for sockets that are ready; a turn begins."""
        network = self._network
        if network is not None:
            network.poll(self.queue_outside)

    def make_watch_handle(self, callback: Any, args: Any, context: Any) -> StepHandle:
        """Like the base class's."""
        self._check_closed()  # type: ignore[attr-defined]
        return OutsideHandle(callback, args, self, context)

    def watch(self, descriptor: Any, handle: StepHandle, *, is_writer: bool) -> None:
        """Like the base class's."""
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if number not in self.network:
            # One of a pair, else it is refused below.
            simulate_pair(descriptor, self.network)
        if number not in self.network:
            method = "loop.add_writer()" if is_writer else "loop.add_reader()"
            raise OutsideSimulation(method, refusals.SOCKET, refusals.users_line(), STREAMS)
        self.network.watch(number, handle, is_writer=is_writer)

    def adopt(self, given: Any) -> None:
        """Like the base class's: a socket that was not simulated so far is so from now on."""
        adopt(given, self.network)

    def unwatch(self, descriptor: Any, *, is_writer: bool) -> bool:
        """Like the base class's."""
        if self.is_closed():
            return False
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        return self.network.watch(number, None, is_writer=is_writer)

    def events_of(self, descriptor: int) -> int:
        """Like the base class's."""
        return self.network.events_of(descriptor)

    # What is on its way.

    @property
    def may_be_late(self) -> bool:
        """Whether something that takes no time may take some: while a sleep is near."""
        return bool(self._sleeps)

    def hold(self, release: Callable[[], object]) -> None:
        """Call a function when nothing else can happen, as if from outside."""
        self._held.append(release)

    def brings(self) -> bool:
        """Like the base class's; delivers what waits until nothing else can happen."""
        return bool(self._io) or self.release()

    def release(self) -> bool:
        """Deliver what was held first; return whether there was anything."""
        if not self._held:
            return False
        self.call_outside(self._held.pop(0))
        return True

    def note_delivery(self, text: str) -> None:
        """Note for the story that something is delivered differently from how it was written."""
        if self.on_event is not None:
            self.on_event(StoryEvent(NETWORK, text, is_choice=True, is_place_named=False))

    def note_change(self, text: str) -> None:
        """Note for the story that the program has changed something of the network."""
        if self.on_event is not None:
            self.on_event(StoryEvent(NETWORK, text, is_choice=False, is_place_named=True))

    def note_fault(self, kind: str, text: str, *, is_choice: bool) -> None:
        """Count a fault of the network or of a host, and note it for the story."""
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if self.on_event is not None:
            self.on_event(
                StoryEvent(NETWORK, text, is_choice=is_choice, is_place_named=not is_choice)
            )

    # Names.

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> Sequence[Any]:
        """Like asyncio's; there is only this machine."""
        try:
            return names.resolve(
                host,
                port,
                self.network.known,
                family=family,
                kind=type,
                proto=proto,
                flags=flags,
            )
        except names.UnknownHost as unknown:
            refusals.refuse_name(
                str(unknown), () if self._network is None else self._network.served
            )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Like asyncio's."""
        return names.describe(sockaddr, flags, self.network.known)

    def leave_sockets(self, *, has_failed: bool) -> None:
        """Release everything that the run has left open; the loop is closed.

        Args:
            has_failed: whether to close it, too, without the warnings that would hide the failure.
        """
        network = self._network
        if network is None:
            return
        if has_failed:
            self.abandon_transports()
            close_all(network)
        # All sockets of the process are known by what is behind them, which would keep these.
        self._held.clear()
        network.stop_watching()

    def explained(self, error: BaseException) -> BaseException:
        """An error of the run; OutsideSimulation if it needs what only a real network has."""
        network = self._network
        if network is None:
            return error
        refusals.note_hosts(error, network.refused_by_hosts)
        return refusals.explained(error, network.refused, network.served)


def _adopting(method: str) -> Callable[..., Any]:
    """A method of asyncio's that first takes a socket from outside into the run."""
    original = getattr(SocketLoop, method)

    @functools.wraps(original)
    async def call(self: NetworkLoop, *args: Any, **kwargs: Any) -> Any:
        for given in (kwargs.get("sock"), *args[:2]):
            adopt(given, self.network)
        return await original(self, *args, **kwargs)

    return call


for _method in (
    *("sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall"),
    *("sock_sendto", "sock_connect", "sock_accept", "connect_accepted_socket"),
    *("create_connection", "create_server", "create_datagram_endpoint"),
    *("create_unix_connection", "create_unix_server"),
):
    if hasattr(SocketLoop, _method):
        setattr(NetworkLoop, _method, _adopting(_method))


class SimulatedSockets(Sockets):
    """Simulates the sockets that a thread makes while a simulated loop runs in it."""

    def __init__(self) -> None:
        super().__init__(_network_here)


def _network_here() -> Kernel | None:
    """The network of the simulated loop that runs in this thread; None without one."""
    loop = _asyncio_compat.loop_running_here()
    return loop.network if isinstance(loop, NetworkLoop) else None
