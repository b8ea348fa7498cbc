"""What transports, servers and the selector behind them keep to themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any


def may_have_transports(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop may watch more than its own self-pipe; False only if it surely does not.

    ``_selector`` is how ``BaseSelectorEventLoop`` waits; asyncio has no public list of what it
    waits for. Loops without it (uvloop, the proactor's) show nothing, so they answer False. Checked
    on CPython 3.11 to 3.15.
    """
    registrations = _registrations(loop)
    return len(registrations) > 1 or bool(getattr(loop, "_transports", None))


def transports_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.BaseTransport]:
    """The transports that a loop knows: those of its sockets, and those whose pipes it watches.

    ``_transports`` holds the sockets', weakly, by descriptor; what is watched is found by the
    method that ``_selector`` will have called. There is no public list. Checked on CPython 3.11 to
    3.15.
    """
    known: Any = getattr(loop, "_transports", {})
    yield from list(known.values())
    for handle in _handles(loop):
        owner = getattr(getattr(handle, "_callback", None), "__self__", None)
        if isinstance(owner, asyncio.BaseTransport):
            yield owner


def servers_of(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.Server]:
    """The servers whose listening sockets a loop watches.

    They are among the arguments of the callback that accepts connections; there is no public list.
    Checked on CPython 3.11 to 3.15.
    """
    for handle in _handles(loop):
        for argument in getattr(handle, "_args", None) or ():
            if isinstance(argument, asyncio.Server):
                yield argument


def loop_of(transport: asyncio.BaseTransport) -> asyncio.AbstractEventLoop | None:
    """The loop of a transport; None once it is closed.

    ``_loop`` is an attribute of each of asyncio's transports; there is no public one. Checked on
    CPython 3.11 to 3.15.
    """
    return getattr(transport, "_loop", None)


def acceptor_of(transport: asyncio.BaseTransport) -> asyncio.Server | None:
    """The server that has accepted a transport's connection; None for all others.

    ``_server`` is an attribute of asyncio's socket transports; there is no public one. Checked on
    CPython 3.11 to 3.15.
    """
    return getattr(transport, "_server", None)


def is_part_of_subprocess(transport: asyncio.BaseTransport) -> bool:
    """Whether a transport is a pipe to or from a subprocess, which is closed with that.

    The protocol of such a pipe, of a class without a public name, has the subprocess's transport as
    its ``proc``. Checked on CPython 3.11 to 3.15.
    """
    protocol = transport.get_protocol()
    return isinstance(getattr(protocol, "proc", None), asyncio.SubprocessTransport)


def _registrations(loop: asyncio.AbstractEventLoop) -> Any:
    get_map = getattr(getattr(loop, "_selector", None), "get_map", None)
    # None once the selector is closed.
    return (get_map() if get_map is not None else None) or {}


def _handles(loop: asyncio.AbstractEventLoop) -> Iterator[object]:
    for key in list(_registrations(loop).values()):
        # The callbacks for reading and for writing; other users of the selector keep other data.
        if isinstance(key.data, tuple):
            yield from key.data
