"""Host names and services, as the simulated network finds them; and on which host code runs."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from contextvars import Context, ContextVar
from typing import Any, NamedTuple


class Life(NamedTuple):
    """That code runs on a host.

    Attributes:
        host: the name of the host.
        number: how often the host had crashed before.
        outer: where the code ran that has entered the host.
    """

    host: str
    number: int
    outer: Life | None


# Of the host on which the running code runs; None for the host of the test.
LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


def host_in(context: Context | None) -> str | None:
    """The name of the host on which code runs in a context; None for that of the test."""
    life = None if context is None else context.get(LIFE)
    return None if life is None else life.host


LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}

_COMMON = {*LOOPBACK.values(), *ANY.values()}

Info = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

# The kinds of sockets for which `getaddrinfo` gives addresses, with their protocols.
_KINDS = (
    (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    (socket.SOCK_RAW, 0),
)


class UnknownHost(Exception):
    """A host name that nothing in the run has."""


def is_of_every_host(host: str) -> bool:
    """Whether an address means the host itself on each host, such as 127.0.0.1."""
    if host in _COMMON:
        # Without parsing it, which takes longer than all else that a datagram needs.
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def addresses_of(
    host: str | bytes | None,
    family: int,
    known: Mapping[str, Mapping[int, str]],
    *,
    is_passive: bool,
) -> list[Any]:
    """The addresses of a host, each with its family.

    Args:
        host: a name or address; None for this machine.
        family: the family of addresses wanted; 0 for all.
        known: the addresses of the run's hosts, by their names.
        is_passive: whether they are for listening, so that no host means any.

    Raises:
        UnknownHost: nothing in the run has the name.
        socket.gaierror: the host has no address of that family.
    """
    name = os.fsdecode(host) if isinstance(host, bytes) else host
    if not name:
        own = ANY if is_passive else LOOPBACK
        families = [family]
        if family == socket.AF_UNSPEC:
            families = [socket.AF_INET, socket.AF_INET6] if is_passive else [socket.AF_INET]
        return [(each, own[socket.AddressFamily(each)]) for each in families if each in own]
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        short = name.rstrip(".").lower()
        # One address on every machine, so that a schedule does not depend on its configuration.
        found = socket.AF_INET6 if family == socket.AF_INET6 else socket.AF_INET
        if short == "localhost" or short.endswith(".localhost"):
            return [(found, LOOPBACK[found])]
        if short not in known:
            raise UnknownHost(name) from None
        return [(found, known[short][found])]
    found = socket.AF_INET if address.version == 4 else socket.AF_INET6
    if family not in (socket.AF_UNSPEC, found):
        raise socket.gaierror(socket.EAI_ADDRFAMILY, "Address family for hostname not supported")
    return [(found, str(address))]


def port_of(service: Any) -> int:
    """The number of a port, given as a number, or as the name of a service."""
    if service is None or service == "":
        return 0
    if isinstance(service, int):
        return service
    text = os.fsdecode(service) if isinstance(service, bytes) else str(service)
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return socket.getservbyname(text)
    except OSError:
        raise socket.gaierror(
            socket.EAI_SERVICE, "Servname not supported for ai_socktype"
        ) from None


def resolve(
    host: str | bytes | None,
    service: Any,
    known: Mapping[str, Mapping[int, str]],
    *,
    family: int = 0,
    kind: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> Sequence[Info]:
    """What `socket.getaddrinfo` gives for a host of the run."""
    port = port_of(service)
    found: list[Info] = []
    for each, address in addresses_of(
        host, family, known, is_passive=bool(flags & socket.AI_PASSIVE)
    ):
        where: tuple[Any, ...] = (address, port)
        if each == socket.AF_INET6:
            scope = str(host or "").partition("%")[2]
            where = (address, port, 0, int(scope) if scope.isdecimal() else 0)
        name = str(host or "") if flags & socket.AI_CANONNAME else ""
        for offered, protocol in _KINDS:
            if kind in (0, offered) and proto in (0, protocol):
                found.append((socket.AddressFamily(each), offered, protocol, name, where))
    if not found:
        raise socket.gaierror(socket.EAI_SOCKTYPE, "Bad value for ai_socktype")
    return found


def describe(
    address: Sequence[Any], flags: int, known: Mapping[str, Mapping[int, str]]
) -> tuple[str, str]:
    """What `socket.getnameinfo` gives for an address."""
    host, port = str(address[0]), int(address[1])
    service = str(port)
    if not flags & socket.NI_NUMERICSERV:
        try:
            kind = "udp" if flags & socket.NI_DGRAM else "tcp"
            service = socket.getservbyport(port, kind)
        except OSError:
            pass
    if not flags & socket.NI_NUMERICHOST:
        named = [name for name, own in known.items() if host in own.values()]
        host = "localhost" if is_of_every_host(host) else (*named, host)[0]
    return host, service
