"""The rule ``leaked-resource``: connections, servers and subprocesses that outlive their loop."""

from __future__ import annotations

import asyncio
import functools
import inspect
import select
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._places import is_users, place_of, source_line
from aldente._records import Finding, Rule, SourcePlace

RULE = Rule(
    name="leaked-resource",
    level="warn",
    catches="a connection, server, pipe or subprocess that is still open when its loop ends",
    why=(
        "It keeps its descriptor, port or process after the test; the other end waits on, and "
        "Python warns of it later, in a test that has nothing to do with it."
    ),
    explanation="""\
When an event loop ends, whatever is open on it stays open without anybody to look after it: sockets
until the garbage collector finds them, subprocesses until they end by themselves.

Reported are the transports and listening servers of asyncio that nobody has closed by the time
their loop ends, each with the place where it was made, and what libraries themselves report as
unclosed.

Not reported: what is closing already; connections that a server has accepted and whose other end is
closed or reported itself; the pipes of a subprocess, which go with it; resources of loops that do
not show theirs, such as uvloop's; resources that the loop of a wider fixture keeps, until that
ends.

Mend: close it where it was made, best by `async with`; in a fixture after the `yield`.""",
)


class _Making(NamedTuple):
    """Where, and by which test, something was made."""

    place: SourcePlace | None
    test: str | None


# What was made while `watch` was entered. It outlives that, because a wide loop outlives the tests
# in which its connections are made. Closed ones go when they are next looked at.
_makings: weakref.WeakKeyDictionary[Any, _Making] = weakref.WeakKeyDictionary()
_lock = threading.RLock()


@contextmanager
def watch(current_test: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Record where transports and servers are made, for `find`.

    Args:
        current_test: gives the node id of the test that is running.
    """
    classes: list[Any] = [asyncio.BaseTransport, asyncio.Server]
    patches = [
        (owner, owner.__init__, _recording(owner.__init__, current_test)) for owner in classes
    ]
    for owner, _, replacement in patches:
        owner.__init__ = replacement
    try:
        yield
    finally:
        for owner, original, replacement in patches:
            # A later replacement by something else must stay.
            if owner.__init__ is replacement:
                owner.__init__ = original


def find(loop: asyncio.AbstractEventLoop) -> list[Finding]:
    """What is still open on a loop that is about to end.

    Args:
        loop: the loop; not running. What was to be cancelled and drained has been, so that tasks
            have had the chance to close what they use.
    """
    if not _makings and not _asyncio_compat.may_have_transports(loop):
        return []
    if loop.is_closed():
        return []
    known = _made_on(loop)
    opened = [made for made in known if _is_open(made)]
    clients = {_address(found, "peername") for found in opened if not _is_accepted(found)} - {None}
    findings = [_finding(found) for found in opened if not _ends_with_other_end(found, clients)]
    with _lock:
        # Others than these are not looked at, as another thread may be about to make them.
        for made in set(known).difference(opened):
            _makings.pop(made, None)
    return findings


class WaitedClient(NamedTuple):
    """A connection that was left open, for whose end a server waits that is being closed.

    Attributes:
        what: what it is and why it matters, in words.
        place: where the end was made that is not the server's; None if that isn't known.
    """

    what: str
    place: SourcePlace | None

    def told(self, folder: Path) -> str:
        """A paragraph for a report, with paths in a folder given from it."""
        if self.place is None:
            return self.what
        line = source_line(self.place)
        place = SourcePlace.relative_to(self.place.path, self.place.line, folder)
        return f"{self.what}\n    {place}: {line}\n    {MEND_OF_CONNECTIONS}"


def clients_waited_for(loop: asyncio.AbstractEventLoop) -> list[WaitedClient]:
    """The connections for which ``Server.wait_closed()`` waits now; it does from Python 3.12.1 on.

    Args:
        loop: the loop.
    """
    made = [made for made in _made_on(loop) if not isinstance(made, asyncio.Server)]
    clients = {_address(client, "sockname"): client for client in made if not _is_accepted(client)}
    return [
        WaitedClient(
            f"Server.wait_closed() waits until all clients of the server are gone, and the "
            f"connection{_of_addresses(accepted)} is open at both ends.",
            making.place if making is not None else None,
        )
        for accepted in made
        if _is_accepted(accepted)
        and _is_open(accepted)
        and _asyncio_compat.is_waited_for(_asyncio_compat.acceptor_of(accepted))
        for making in [_makings.get(clients.get(_address(accepted, "peername"), loop))]
    ]


def from_context(context: dict[str, Any]) -> Finding | None:
    """What a library reports to the exception handler of a loop as unclosed; None for all else.

    Args:
        context: what the exception handler was called with.
    """
    message = context.get("message")
    if context.get("exception") is not None or not isinstance(message, str):
        return None
    if not message.startswith("Unclosed "):
        return None
    made = context.get("source_traceback") or ()
    users = [entry for entry in made if is_users(entry.filename)]
    place = SourcePlace(users[-1].filename, users[-1].lineno) if users else None
    return Finding(
        RULE.name,
        f"{message}{_library_in(context)}.",
        _MENDS_OF_LIBRARIES.get(message, _MEND),
        place,
    )


def _library_in(context: dict[str, Any]) -> str:
    """The package whose object it is, in parentheses."""
    packages = (type(value).__module__.partition(".")[0] for value in context.values())
    library = next((name for name in packages if name not in sys.stdlib_module_names), None)
    return "" if library is None else f" ({library})"


_MEND = "Close it where it was made, best by 'async with'; in a fixture after the 'yield'."
_MENDS_OF_LIBRARIES = {
    "Unclosed client session": (
        "Use 'async with aiohttp.ClientSession() as session:', or 'await session.close()' in the "
        "tear-down."
    ),
    "Unclosed connector": "Close the session that uses it, or 'await connector.close()'.",
    "Unclosed connection": (
        "Use 'async with session.get(...) as response:', which gives the connection back, or "
        "'response.release()'."
    ),
}


def _recording(
    original: Callable[..., None], current_test: Callable[[], str | None]
) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        # Others' classes may not be hashable, and have no loop that is known.
        if type(self).__module__.startswith("asyncio."):
            record(self)

    @containing("noting where a connection is made", None)
    def record(made: object) -> None:
        making = _Making(_users_place(inspect.currentframe()), current_test())
        with _lock:
            _makings[made] = making

    return __init__


def _users_place(frame: FrameType | None) -> SourcePlace | None:
    """Where the user's code stands that the loop has called back, directly or by others."""
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        if is_users(frame.f_code.co_filename):
            return place_of(frame)
        frame = frame.f_back
    return None


def _made_on(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """The transports and servers of a loop, in the order in which they were made."""
    with _lock:
        known = [made for made in _makings if _loop_of(made) is loop]
    known.extend(_asyncio_compat.servers_of(loop))
    known.extend(_asyncio_compat.transports_of(loop))
    return list(dict.fromkeys(known))


def _loop_of(made: Any) -> asyncio.AbstractEventLoop | None:
    return made.get_loop() if isinstance(made, asyncio.Server) else _asyncio_compat.loop_of(made)


def _is_open(made: Any) -> bool:
    if isinstance(made, asyncio.Server):
        return bool(made.sockets)
    if made.is_closing() or made.get_protocol() is None:
        # Without a protocol is what has failed while it was being made.
        return False
    if isinstance(made, asyncio.SubprocessTransport):
        # The transport closes itself once its pipes have ended, too.
        return made.get_returncode() is None
    return not _asyncio_compat.is_part_of_subprocess(made)


def _is_accepted(made: Any) -> bool:
    return not isinstance(made, asyncio.Server) and _asyncio_compat.acceptor_of(made) is not None


def _ends_with_other_end(made: Any, clients: set[object]) -> bool:
    """Whether an accepted connection ends by itself, now or once the other end is mended."""
    if not _is_accepted(made):
        return False
    return _address(made, "sockname") in clients or _has_other_end_left(made)


def _has_other_end_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer of a connection has closed it, which the loop has not come to notice yet."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
    return bool(poll.poll(0))


def _finding(made: Any) -> Finding:
    what, mend = _describe(made)
    making = _makings.get(made)
    details: tuple[str, ...] = ()
    if _is_accepted(made):
        making = _makings.get(_asyncio_compat.acceptor_of(made), making)
        details = ("That is where the server was made that has accepted it.",)
    place = making.place if making is not None else None
    return Finding(
        RULE.name,
        f"{what} when its event loop ended.",
        mend,
        place,
        details if place is not None else (),
        making.test if making is not None else None,
    )


def _describe(made: Any) -> tuple[str, str]:
    """What something is and was when its loop ended, and how to mend that."""
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
        # Those for writing are both, as they notice when the other end is closed.
        end = "writing" if isinstance(made, asyncio.WriteTransport) else "reading"
        return f"A transport for {end} a pipe was still open", "Close it by transport.close()."
    if getattr(made.get_extra_info("socket"), "type", None) == socket.SOCK_DGRAM:
        return f"A datagram socket{_of_addresses(made)} was still open", (
            "Close it by transport.close() in a 'finally' or the tear-down."
        )
    if _is_accepted(made):
        return f"A connection{_of_addresses(made)}, accepted by a server, was still open", (
            "Close it in the server's handler, by writer.close() in a 'finally'; and close the "
            "other end."
        )
    return f"A connection{_of_addresses(made)} was still open", MEND_OF_CONNECTIONS


MEND_OF_CONNECTIONS = (
    "Close it by writer.close() and 'await writer.wait_closed()', or transport.close(); the "
    "session, client or pool of a library by 'async with' or its own close()."
)


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


def _of_addresses(transport: asyncio.BaseTransport) -> str:
    sock = transport.get_extra_info("socket")
    peer = transport.get_extra_info("peername")
    own = transport.get_extra_info("sockname")
    if sock is None:
        return ""
    if peer:
        word = "from" if _is_accepted(transport) else "to"
        return f" {word} {_as_text(sock.family, peer)}"
    return f" on {_as_text(sock.family, own)}" if own else ""


def _address(made: Any, name: str) -> object:
    return None if isinstance(made, asyncio.Server) else made.get_extra_info(name)


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
