"""Describes what is open on a loop; knows the clients of libraries and what they hold."""

from __future__ import annotations

import asyncio
import collections
import gc
import select
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aldente import _asyncio_compat


class ClientKind(NamedTuple):
    """A class of a library whose objects have to be closed.

    Attributes:
        package: the library.
        name: the name of the class in it.
        fix: how to close it.
        is_closed: whether an object of it is closed.
        is_leak_by_itself: whether it must be closed even without a connection, because the library
            itself complains.
        is_reported_to_loop: whether its finalizer reports it to its loop.
    """

    package: str
    name: str
    fix: str
    is_closed: Callable[[Any], bool]
    is_leak_by_itself: bool = False
    is_reported_to_loop: bool = True

    @property
    def full_name(self) -> str:
        """The name of the class as its users write it."""
        return f"{self.package}.{self.name}"

    def loaded(self) -> Any:
        """The class; None if the library was not imported."""
        return getattr(sys.modules.get(self.package), self.name, None)


KINDS: tuple[ClientKind, ...] = (
    ClientKind(
        "aiohttp",
        "ClientSession",
        "Use 'async with aiohttp.ClientSession() as session:', or 'await session.close()' in the "
        "tear-down.",
        lambda session: bool(session.closed),
        is_leak_by_itself=True,
    ),
    ClientKind(
        "aiohttp",
        "BaseConnector",
        "Close the session that uses it, or 'await connector.close()'.",
        lambda connector: bool(connector.closed),
    ),
    ClientKind(
        "httpx",
        "AsyncClient",
        "Use 'async with httpx.AsyncClient() as client:', or 'await client.aclose()' in the "
        "tear-down.",
        lambda client: bool(client.is_closed),
    ),
    ClientKind(
        "aiosqlite",
        "Connection",
        "Use 'async with aiosqlite.connect(...) as connection:', or 'await connection.close()' in "
        "the tear-down.",
        lambda connection: _is_closed_database(connection),
        is_leak_by_itself=True,
        is_reported_to_loop=False,
    ),
)


def _is_closed_database(connection: Any) -> bool:
    """Whether a connection of aiosqlite is closed, or was never opened.

    Nothing may be asked here that SQLite answers itself: it would wait, with the GIL, for a
    statement that the connection's thread runs, which may need the GIL for a function in Python.
    """
    try:
        connection.isolation_level  # noqa: B018
    except ValueError:
        return True
    return False


def kind_of(client: object) -> ClientKind | None:
    """The kind of a client; None for any other object."""
    for kind in KINDS:
        loaded = kind.loaded()
        if isinstance(loaded, type) and isinstance(client, loaded):
            return kind
    return None


# A client's connections are in objects of these packages, and in containers.
_PACKAGES = {"aiohttp", "anyio", "asyncio", "httpcore", "httpx"}
_CONTAINERS = (
    dict,
    list,
    tuple,
    set,
    collections.OrderedDict,
    collections.defaultdict,
    collections.deque,
)
_MOST_HELD = 20_000


def held_by(client: object) -> Iterator[object]:
    """What a client holds, directly or through other objects of its library.

    By `gc.get_referents`, so that it needs no private attribute.
    """
    seen: set[int] = set()
    pending = [client]
    while pending and len(seen) < _MOST_HELD:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        pending += [each for each in gc.get_referents(found) if _leads_further(each)]


def _leads_further(value: object) -> bool:
    kind = type(value)
    if kind in _CONTAINERS:
        # A module's globals lead to everything.
        return not (kind is dict and "__builtins__" in value)  # type: ignore[operator]
    if issubclass(kind, type):
        return False
    return str(getattr(kind, "__module__", "")).partition(".")[0] in _PACKAGES


def loop_of(made: Any) -> asyncio.AbstractEventLoop | None:
    """The loop of a transport or server; None once a transport is closed."""
    return made.get_loop() if isinstance(made, asyncio.Server) else _asyncio_compat.loop_of(made)


def is_open(made: Any) -> bool:
    """Whether a transport or server is open, and nothing else closes it with itself."""
    if isinstance(made, asyncio.Server):
        return any(each.fileno() >= 0 for each in made.sockets)
    if made.is_closing() or made.get_protocol() is None:
        # A transport whose creation failed has no protocol.
        return False
    if isinstance(made, asyncio.SubprocessTransport):
        # The transport also closes itself once its pipes have ended.
        return made.get_returncode() is None
    return not _asyncio_compat.is_part_of_subprocess(made)


def is_pipe_of_subprocess(made: Any) -> bool:
    """Whether a transport is a pipe to or from a subprocess, which is closed with that."""
    return isinstance(made, asyncio.BaseTransport) and _asyncio_compat.is_part_of_subprocess(made)


def parts_of(made: Any) -> Iterator[object]:
    """The sockets, pipe or process of a transport or server, which warn themselves if unclosed.

    asyncio gives stand-ins for sockets; the collector knows what those refer to.
    """
    is_server = isinstance(made, asyncio.Server)
    for stand_in in made.sockets if is_server else [made.get_extra_info("socket")]:
        yield from (part for part in gc.get_referents(stand_in) if isinstance(part, socket.socket))
    if not is_server:
        yield from filter(None, map(made.get_extra_info, ("subprocess", "pipe")))


def descriptor_of(part: Any) -> int | None:
    """The descriptor of a socket or file that is open; None for all else."""
    try:
        descriptor: int = part.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return descriptor if descriptor >= 0 else None


def is_accepted(made: Any) -> bool:
    """Whether it is a connection that a server has accepted."""
    return not isinstance(made, asyncio.Server) and _asyncio_compat.acceptor_of(made) is not None


def is_client(made: Any) -> bool:
    """Whether it is a connection to a server."""
    return (
        not isinstance(made, asyncio.Server)
        and bool(address(made, "peername"))
        and (not is_accepted(made))
    )


def ends_with_other_end(made: Any, clients: set[object]) -> bool:
    """Whether an accepted connection ends by itself, now or once its peer is fixed."""
    if not is_accepted(made):
        return False
    return address(made, "sockname") in clients or _has_other_end_left(made)


def address(made: Any, name: str) -> object:
    """The ``sockname`` or ``peername`` of a transport; None for a server."""
    return None if isinstance(made, asyncio.Server) else made.get_extra_info(name)


def describe(made: Any) -> tuple[str, str]:
    """Describe something open, as ``"... was still open"``, and how to fix that."""
    if isinstance(made, asyncio.Server):
        return f"A server on {_listening_on(made)} was still open", (
            "Use 'async with server:', or server.close() and 'await server.wait_closed()' in the "
            "tear-down."
        )
    if isinstance(made, asyncio.SubprocessTransport):
        return f"The subprocess {_command_of(made)} had not been waited for", (
            "'await process.wait()' or 'await process.communicate()', after process.terminate() "
            "if it does not end by itself."
        )
    if made.get_extra_info("pipe") is not None:
        # Those for writing are read transports too, to notice when the other end is closed.
        end = "writing" if isinstance(made, asyncio.WriteTransport) else "reading"
        return f"A transport for {end} a pipe was still open", "Close it by transport.close()."
    if getattr(made.get_extra_info("socket"), "type", None) == socket.SOCK_DGRAM:
        return f"A datagram socket{of_addresses(made)} was still open", (
            "Close it by transport.close() in a 'finally' or the tear-down."
        )
    if is_accepted(made):
        return f"A connection{of_addresses(made)}, accepted by a server, was still open", (
            "Close it in the server's handler, by writer.close() in a 'finally'; and close the "
            "other end."
        )
    return f"A connection{of_addresses(made)} was still open", FIX_OF_CONNECTION


FIX_OF_CONNECTION = (
    "Close it by writer.close() and 'await writer.wait_closed()', or transport.close(); the "
    "session, client or pool of a library by 'async with' or its own close()."
)


def of_addresses(transport: asyncio.BaseTransport) -> str:
    """The peer of a connection, or the address of a socket: ``" to 127.0.0.1:80"``."""
    sock = transport.get_extra_info("socket")
    peer = transport.get_extra_info("peername")
    own = transport.get_extra_info("sockname")
    if sock is None:
        return ""
    if peer:
        word = "from" if is_accepted(transport) else "to"
        return f" {word} {_as_text(sock.family, peer)}"
    return f" on {_as_text(sock.family, own)}" if own else ""


def _has_other_end_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer of a connection has closed it, which the loop has not noticed yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
    return bool(poll.poll(0))


def _listening_on(server: asyncio.Server) -> str:
    addresses = [_as_text(sock.family, sock.getsockname()) for sock in server.sockets]
    return " and ".join(addresses)


def _command_of(transport: asyncio.SubprocessTransport) -> str:
    process = transport.get_extra_info("subprocess")
    arguments = getattr(process, "args", "")
    command = arguments if isinstance(arguments, str) else " ".join(map(str, arguments))
    if len(command) > 60:
        command = f"{command[:57]}..."
    return f"'{command}' (pid {transport.get_pid()})"


def _as_text(family: int, address: Any) -> str:
    """An address as users write it.

    >>> _as_text(socket.AF_INET6, ("::1", 80, 0, 0))
    '[::1]:80'
    """
    if family == socket.AF_INET6:
        return f"[{address[0]}]:{address[1]}"
    if family == socket.AF_INET:
        return f"{address[0]}:{address[1]}"
    return address.decode(errors="replace") if isinstance(address, bytes) else str(address)
