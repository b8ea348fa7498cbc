"""The private state of transports, servers and the selector behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any


def may_have_transports(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop may watch more than its own self-pipe; False only if it surely does not.

    ``_selector`` is how ``BaseSelectorEventLoop`` waits; asyncio has no public list of what it
    waits for. False for loops without it (uvloop, the proactor's). Checked
    on CPython 3.11 to 3.15.
    """
    registrations = _registrations(loop)
    return len(registrations) > 1 or bool(_transports(loop))


def transports_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.BaseTransport]:
    """The transports that a loop knows: those of its sockets, and those whose pipes it watches.

    ``_transports`` holds the sockets', weakly, by descriptor; what is watched is found by the
    method that ``_selector`` will have called. There is no public list. Checked on CPython 3.11 to
    3.15.
    """
    yield from list(_transports(loop).values())
    for handle in _handles(loop):
        owner = getattr(getattr(handle, "_callback", None), "__self__", None)
        if isinstance(owner, asyncio.BaseTransport):
            yield owner


def _transports(loop: asyncio.AbstractEventLoop) -> Mapping[Any, Any]:
    known = getattr(loop, "_transports", None)
    return known if isinstance(known, Mapping) else {}


def servers_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Server]:
    """The servers whose listening sockets a loop watches.

    They are among the arguments of the callback that accepts connections; there is no public list.
    Checked on CPython 3.11 to 3.15.
    """
    for handle in _handles(loop):
        for argument in getattr(handle, "_args", None) or ():
            if isinstance(argument, asyncio.Server):
                yield argument


def has_selector(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop shows its selector; see `may_have_transports`."""
    return getattr(loop, "_selector", None) is not None


def watched_by(loop: asyncio.AbstractEventLoop) -> dict[int, tuple[object, ...]]:
    """The descriptors that a loop watches, with their callbacks, except its self-pipe.

    ``_ssock`` is the end of the wake-up at which the loop reads; what is called is the data of the
    selector. Loops without a selector (uvloop, the proactor's) give none. Checked on CPython 3.11
    to 3.15.
    """
    wake_up = getattr(loop, "_ssock", None)
    number = None if wake_up is None else wake_up.fileno()
    return {
        key.fd: tuple(key.data) if isinstance(key.data, tuple) else (key.data,)
        for key in list(_registrations(loop).values())
        if key.fd != number
    }


def arguments_of(handle: object) -> tuple[object, ...]:
    """The arguments of a loop's callback; empty if it is none.

    ``_args`` has the arguments given to ``call_soon`` and similar methods. Checked on CPython 3.11
    to 3.15.
    """
    return tuple(getattr(handle, "_args", None) or ()) if isinstance(handle, asyncio.Handle) else ()


def loop_of(transport: asyncio.BaseTransport) -> asyncio.AbstractEventLoop | None:
    """The loop of a transport; None once it is closed.

    ``_loop`` is an attribute of each of asyncio's transports; there is no public one. Checked on
    CPython 3.11 to 3.15.
    """
    return getattr(transport, "_loop", None)


def acceptor_of(transport: asyncio.BaseTransport) -> asyncio.Server | None:
    """The server that accepted a transport's connection; None for all others.

    ``_server`` is an attribute of asyncio's socket transports; there is no public one. Checked on
    CPython 3.11 to 3.15.
    """
    return getattr(transport, "_server", None)


def is_waited_for(server: asyncio.Server | None) -> bool:
    """Whether a task waits in ``Server.wait_closed()`` for the end of a server's connections.

    ``_waiters`` has the waiting futures; None once it is closed. Checked on CPython 3.11 to 3.15.
    """
    return bool(getattr(server, "_waiters", None))


def handler_task_of(transport: asyncio.BaseTransport) -> asyncio.Task[Any] | None:
    """The task in which a stream server handles an accepted connection.

    ``_task`` is an attribute of ``StreamReaderProtocol``; there is no public one. Checked on
    CPython 3.11 to 3.15.
    """
    protocol = transport.get_protocol()
    return (
        getattr(protocol, "_task", None)
        if isinstance(protocol, asyncio.StreamReaderProtocol)
        else None
    )


def is_part_of_subprocess(transport: asyncio.BaseTransport) -> bool:
    """Whether a transport is a pipe to or from a subprocess, which is closed with the subprocess.

    The protocol of such a pipe, of a class without a public name, has the subprocess's transport as
    its ``proc``. Checked on CPython 3.11 to 3.15.
    """
    protocol = transport.get_protocol()
    return isinstance(getattr(protocol, "proc", None), asyncio.SubprocessTransport)


def _registrations(loop: asyncio.AbstractEventLoop) -> Mapping[Any, Any]:
    get_map = getattr(getattr(loop, "_selector", None), "get_map", None)
    # None once the selector is closed. Other selectors, or a mock, may return anything.
    found = get_map() if callable(get_map) else None
    return found if isinstance(found, Mapping) else {}


def _handles(loop: asyncio.AbstractEventLoop) -> Iterator[object]:
    for key in list(_registrations(loop).values()):
        # The callbacks for reading and for writing; other users of the selector keep other data.
        if isinstance(key.data, tuple):
            yield from key.data
