"""What a simulated network refuses, because nothing in the run answers it."""

from __future__ import annotations

import _socket
import contextlib
import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from aldente._simulation.outside import CLIENT, place_that_called
from aldente._source import caller
from aldente.errors import OutsideSimulation

SOCKET = "a real socket"


def users_line() -> str:
    """The user's line; empty when that is not known."""
    return place_that_called(caller())


def refuse_peer(method: str, address: str, served: Iterable[str]) -> NoReturn:
    """Raise because an address is not one of the run.

    Args:
        method: what the program called.
        address: the address.
        served: the addresses at which something has listened.
    """
    raise OutsideSimulation(method, SOCKET, users_line(), _fix(address, served))


def refuse_name(host: str, served: Iterable[str]) -> NoReturn:
    """Raise because a host name is not one of the run.

    Args:
        host: the name.
        served: the addresses at which something has listened.
    """
    fix = (
        f"nothing in the run has the name {host} (served: {', '.join(served) or 'nothing'}); start "
        f"a server in the test, on a host of that name (aldente.network().host({host!r})) or at "
        f"localhost, or {CLIENT}"
    )
    raise OutsideSimulation("loop.getaddrinfo()", "the name service", users_line(), fix) from None


def refuse_blocking(method: str) -> NoReturn:
    """Raise because a call would block the loop."""
    fix = "await it: loop.sock_recv() and others; or use asyncio's streams"
    raise OutsideSimulation(method, "a wait that blocks the loop", users_line(), fix)


def refuse_connected() -> NoReturn:
    """Raise because a socket is connected with something real."""
    touched, fix = "its peer from before the run", "connect the socket during the run"
    raise OutsideSimulation("a socket", touched, users_line(), fix)


def explained(
    error: BaseException, refused: Mapping[str, str], served: Iterable[str]
) -> BaseException:
    """An error of a run; OutsideSimulation if it needs what only a real network has.

    That an address is refused may be what a test is about, and a client may begin before its
    server. So it is explained only when it has made the run fail, and nothing has ever listened
    there.

    Args:
        error: the error.
        refused: the addresses that have refused a connection, each with the user's line.
        served: the addresses at which something has listened.
    """
    unserved = [each for each in refused if not _is_served(each, served)]
    if not unserved or not _is_refusal(error):
        return error
    address = unserved[0]
    outside = OutsideSimulation("socket.connect()", SOCKET, refused[address], _fix(address, served))
    outside.__cause__ = error
    return outside.with_traceback(error.__traceback__)


def note_hosts(error: BaseException, refused: Mapping[str, str]) -> None:
    """Add to an error of a run, if it comes from a refused connection, which host has refused it.

    Args:
        error: the error.
        refused: the addresses that have refused a connection, each with the user's line.
    """
    if refused and _is_refusal(error):
        address, line = next(iter(refused.items()))
        error.add_note(
            f"Nothing listened at {address} when {line} connected: a task that host.run() started "
            "listens only once it has run that far; for connections from other hosts, it has to "
            "listen at 0.0.0.0 or at the address of its host."
        )


# The hosts of servers that listen at all addresses.
_ANY = ("0.0.0.0", "[::]")


def _is_served(address: str, served: Iterable[str]) -> bool:
    """Whether a server has listened at an address, or at all addresses with its port."""
    host, _, port = address.rpartition(":")
    known = (each.rpartition(":") for each in served)
    return any(each == port and (at == host or at in _ANY) for at, _, each in known)


def _fix(address: str, served: Iterable[str]) -> str:
    return (
        f"nothing in the run listens at {address} (served: {', '.join(served) or 'nothing'}); "
        f"start a server in the test, or {CLIENT}"
    )


def _is_refusal(error: BaseException | None) -> bool:
    """Whether an error is, or comes from, a refused connection."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, ConnectionRefusedError):
            return True
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
        left.append(each.__cause__)
        if not isinstance(each, AssertionError):
            # What a test asserts is its own matter, also where it has caught a refusal.
            left.append(each.__context__)
    return False


def is_served_outside(kind: socket.SocketKind, address: Sequence[Any]) -> bool:
    """Whether a real socket listens at an address of this machine, or receives datagrams there.

    Nothing is sent there: the address is found taken, or is free.

    Args:
        kind: the kind of socket.
        address: the address.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Python's own class, as those that the program makes are simulated.
    with contextlib.suppress(OSError), contextlib.closing(_socket.socket(family, kind)) as probe:
        if kind == socket.SOCK_STREAM:
            # Else a connection that has just ended would take the address as well.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(tuple(address[:2]))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
