"""`Network`: the network of a simulated run, as programs see it: its hosts, links and faults."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NoReturn, TypeGuard

from aldente._simulation.api import loop_here
from aldente._simulation.host_api import Host
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.network import faults
from aldente._simulation.network.endpoints import StreamEndpoint
from aldente._simulation.network.faults import MayBreak, MayHappen, MayPartition
from aldente._simulation.network.kernel import MOST_HOSTS, Endpoint
from aldente._simulation.network.links import Link
from aldente._simulation.network.sockets import endpoints_behind
from aldente._validation import parse_count, parse_duration
from aldente.errors import InvalidSetting, NotSimulated


class Connection:
    """A connection of the simulated network that is open, or was.

    Attributes:
        client, server: its ends, as ``"host:port"``.
    """

    def __init__(self, loop: SimulatedLoop, end: StreamEndpoint) -> None:
        self._loop = loop
        self._end = end
        self.client = end.network.named(end.local)
        self.server = end.network.named(end.remote)

    def reset(self) -> None:
        """Break it: both ends see a `ConnectionResetError`, and what is on its way is lost.

        An end sees a `BrokenPipeError` where the other one had ended its stream.
        """
        faults.break_connection(self._loop, self._end, is_choice=False)

    def __repr__(self) -> str:
        return f"<connection from {self.client} to {self.server}>"


# What stands for a host in arguments.
AnyHost = Host | str


class Network:
    """The network of a simulated run.

    Without hosts of its own a program runs on one host, which is called "test". Tests run there
    too, with all that they start, except what they start on another host.
    """

    def host(self, name: str) -> Host:
        """The host of a name, which is made at the first call.

        Args:
            name: its name, which resolves to its address.

        Raises:
            InvalidSetting: the name can't be one of a host, or there are too many.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().host")
        allowed = (
            "The name of a host consists of lower-case letters, digits, '-' and '.', and is not an "
            "address; 'localhost' is each host's name for itself."
        )
        if not _is_host_name(name):
            raise InvalidSetting("name", name, allowed)
        if name not in loop.network.hosts:
            if len(loop.network.hosts) == MOST_HOSTS:
                allowed = (
                    f"A network has at most {MOST_HOSTS} hosts, including the host of the test."
                )
                raise InvalidSetting("name", name, allowed)
            loop.hosts.add(name)
        return Host(loop, name)

    @property
    def here(self) -> Host:
        """The host on which the running code runs."""
        loop = _loop("network().here")
        return Host(loop, loop.network.addresses_here().host)

    # Links.

    def link(
        self,
        one: AnyHost,
        other: AnyHost,
        *,
        latency: float = 0.0,
        loss: float = 0.0,
        bandwidth: float | None = None,
    ) -> None:
        """Set what is between two hosts.

        Args:
            one, other: the hosts, or their names.
            latency: how long what is sent takes, in seconds; the schedule may let it take longer.
            loss: the probability with which a datagram is lost, or a part of a stream, which is
                then sent again after 0.2 s, 0.4 s and so on; the schedule chooses.
            bandwidth: how many bytes pass in a second, in each direction; None for any number.

        Raises:
            InvalidSetting: an argument has a value that is not allowed.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().link")
        seconds = parse_duration("latency", latency)
        if not _is_probability(loss):
            allowed = (
                "It must be a probability of at least 0 and less than 1; for 1, use partition()."
            )
            raise InvalidSetting("loss", loss, allowed)
        if bandwidth is not None and not _is_positive(bandwidth):
            allowed = (
                "It must be a number of bytes per second greater than 0, or None for no limit."
            )
            raise InvalidSetting("bandwidth", bandwidth, allowed)
        link = self._link(loop, one, other)
        link.latency, link.loss, link.bandwidth = seconds, float(loss), bandwidth
        if loss:
            loop.faults.setdefault("loss", 0)

    def partition(
        self, one: AnyHost | Iterable[AnyHost], other: AnyHost | Iterable[AnyHost] | None = None
    ) -> None:
        """Let nothing pass between hosts, until `heal` is called.

        Streams wait, as their senders try again; datagrams are lost. Neither side is notified.

        Args:
            one: a host, its name, or several of them.
            other: the same; None for all others that there are by now.

        Raises:
            InvalidSetting: there is no such host, one of them is on both sides, or none is on one.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().partition")
        faults.cut(loop, self._links(loop, one, other), is_choice=False)

    def heal(
        self,
        one: AnyHost | Iterable[AnyHost] | None = None,
        other: AnyHost | Iterable[AnyHost] | None = None,
    ) -> None:
        """Let what is sent pass again between hosts: between all of them by default.

        Args:
            one, other: as for `partition`; None for all.

        Raises:
            InvalidSetting: there is no such host, or one of them is on both sides.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().heal")
        if one is None:
            one, other = other, None
        links = loop.network.links if one is None else self._links(loop, one, other)
        faults.heal(loop, [link for link in links if link.is_cut])

    # Connections.

    def connections(
        self, one: AnyHost | None = None, other: AnyHost | None = None
    ) -> list[Connection]:
        """The connections that are open, in the order in which they were made.

        Args:
            one: only those of a host.
            other: only those between both hosts.

        Raises:
            InvalidSetting: there is no such host.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().connections")
        wanted = {self._name(loop, each) for each in (one, other) if each is not None}
        return [
            Connection(loop, client)
            for client in loop.network.connections
            if isinstance(client, StreamEndpoint) and wanted <= _hosts_of(client)
        ]

    def connection(self, of: Any) -> Connection:
        """The connection of a stream's writer, a transport or a socket.

        Args:
            of: the writer, transport or socket.

        Raises:
            InvalidSetting: it is none of them, or has no connection of this network.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().connection")
        get = getattr(of, "get_extra_info", None)
        given = of if get is None else get("socket")
        number = given.fileno() if hasattr(given, "fileno") else -1
        end = endpoints_behind[number][0] if number in endpoints_behind else None
        if not isinstance(end, StreamEndpoint) or not end.is_connected:
            allowed = (
                "It must be the writer of a stream, a transport or a socket, and be connected."
            )
            raise InvalidSetting("connection", of, allowed)
        return Connection(loop, end)

    # What the explorer may do.

    def may_break(
        self, one: AnyHost | None = None, other: AnyHost | None = None, *, times: int = 1
    ) -> MayHappen:
        """Let the explorer reset a connection, whenever something is sent through it.

        Args:
            one: only connections of a host.
            other: only those between both hosts.
            times: how many resets there may be in a run.

        Returns:
            A context manager; at the end of its block, and of the test, no connection breaks any
            more.

        Raises:
            InvalidSetting: an argument has a value that is not allowed.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().may_break")
        wanted = {self._name(loop, each) for each in (one, other) if each is not None}
        count = parse_count("times", times)

        def is_meant(client: Endpoint) -> bool:
            return isinstance(client, StreamEndpoint) and wanted <= _hosts_of(client)

        return MayBreak(loop.fault_rules, count, is_meant)

    def may_partition(
        self,
        one: AnyHost | Iterable[AnyHost],
        other: AnyHost | Iterable[AnyHost] | None = None,
        *,
        seconds: float | None = None,
        times: int = 1,
    ) -> MayHappen:
        """Let the explorer begin a partition, whenever something is sent between the hosts.

        Args:
            one, other: as for `partition`.
            seconds: after how long it heals, in seconds of loop time; None until `heal` is called.
            times: how many partitions there may be in a run.

        Returns:
            A context manager; at the end of its block, and of the test, none begins any more.

        Raises:
            InvalidSetting: an argument has a value that is not allowed.
            NotSimulated: the caller is not in a simulated run.
        """
        loop = _loop("network().may_partition")
        length = None if seconds is None else parse_duration("seconds", seconds)
        count = parse_count("times", times)
        return MayPartition(loop.fault_rules, count, self._links(loop, one, other), length)

    # Arguments.

    def _name(self, loop: SimulatedLoop, given: object) -> str:
        known = loop.network.hosts
        name = given.name if isinstance(given, Host) else given
        if not isinstance(name, str) or name not in known:
            _refuse_host(given, known)
        return name

    def _names(self, loop: SimulatedLoop, given: AnyHost | Iterable[AnyHost]) -> list[str]:
        if isinstance(given, Host | str):
            return [self._name(loop, given)]
        if not isinstance(given, Iterable):
            _refuse_host(given, loop.network.hosts)
        return [self._name(loop, each) for each in given]

    def _link(self, loop: SimulatedLoop, one: AnyHost, other: AnyHost) -> Link:
        first, second = self._name(loop, one), self._name(loop, other)
        if first == second:
            allowed = "A link connects two different hosts."
            raise InvalidSetting("host", first, allowed)
        return loop.network.link(first, second)

    def _links(
        self,
        loop: SimulatedLoop,
        one: AnyHost | Iterable[AnyHost],
        other: AnyHost | Iterable[AnyHost] | None,
    ) -> list[Link]:
        ours = self._names(loop, one)
        theirs = (
            [name for name in loop.network.hosts if name not in ours]
            if other is None
            else self._names(loop, other)
        )
        if not ours or not theirs:
            allowed = "One side has no host. Make both first: network.host(name)."
            raise InvalidSetting("host", one if other is None or not ours else other, allowed)
        return [self._link(loop, first, second) for first in ours for second in theirs]

    def __repr__(self) -> str:
        return "<network of the run>"


def network() -> Network:
    """The network of the simulated run in which the caller is: its hosts, links and faults.

    Raises:
        NotSimulated: the caller is not in a simulated run.

    >>> network()
    Traceback (most recent call last):
        ...
    aldente.errors.NotSimulated: aldente.network() was called outside of a simulated run. ...
    """
    _loop("network")
    return Network()


def _loop(function: str) -> SimulatedLoop:
    loop = loop_here()
    if loop is None:
        raise NotSimulated(function, "Only a simulated network has hosts, links and faults.")
    return loop


def _hosts_of(client: StreamEndpoint) -> set[str]:
    return {end.addresses.host for end in client.ends}


def _is_host_name(name: object) -> TypeGuard[str]:
    if not isinstance(name, str):
        return False
    plain = name.replace("-", "").replace(".", "")
    is_plain = plain.isascii() and plain.isalnum() and not plain.isdecimal()
    return is_plain and name == name.lower() and name != "localhost"


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < math.inf


def _is_probability(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < 1


def _refuse_host(given: object, known: Iterable[str]) -> NoReturn:
    names = ", ".join(known)
    raise InvalidSetting("host", given, f"Known hosts: {names}. Make it first: network.host(name).")
