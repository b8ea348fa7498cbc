"""Refuses sockets and look-ups of names that simulated code uses without the loop.

Python raises audit events for them. The hook looks at those of the thread of a simulated loop and
of the threads that do jobs for one; all other threads are left alone, as are sockets that only
connect processes of this machine, such as those of `multiprocessing`.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from aldente import _asyncio_compat, _lazy_imports
from aldente._simulation import executors
from aldente._simulation.unsupported import (
    IN_A_THREAD,
    NAMES,
    STREAMS,
    NoOutside,
    place_that_called,
)
from aldente._source import caller
from aldente.errors import OutsideSimulation

_Arguments = tuple[Any, ...]

_SOCKET = "a real socket"
_NAME_SERVICE = "the name service"


def _to_the_network(arguments: _Arguments) -> bool:
    return arguments[0].family in (socket.AF_INET, socket.AF_INET6)


def _has_address(arguments: _Arguments) -> bool:
    # Without an address the socket is connected already, before the run.
    return _to_the_network(arguments) and arguments[1] is not None


def _is_name(arguments: _Arguments) -> bool:
    """Whether the host is no address, for which there would be no look-up."""
    host = arguments[0]
    if not host:
        return False
    try:
        ipaddress.ip_address(os.fsdecode(host) if isinstance(host, bytes) else str(host))
    except ValueError:
        return True
    return False


def _is_elsewhere(arguments: _Arguments) -> bool:
    # `socket.getfqdn` asks for the name of this machine, for the identifier of a mail for one.
    return arguments[0] not in ("localhost", socket.gethostname())


def _is_of_the_run(touched: str, arguments: _Arguments) -> bool:
    """Whether a job may have meant what is in the run: a server, or the name of this machine."""
    return touched == _SOCKET or arguments[0] in ("localhost", b"localhost")


# By event: the function, what it touches, the fix, and whether the call does so.
_REFUSED: dict[str, tuple[str, str, str, Callable[[_Arguments], bool]]] = {
    "socket.connect": ("socket.connect()", _SOCKET, STREAMS, _to_the_network),
    "socket.sendto": ("socket.sendto()", _SOCKET, STREAMS, _has_address),
    "socket.sendmsg": ("socket.sendmsg()", _SOCKET, STREAMS, _has_address),
    "socket.getaddrinfo": ("socket.getaddrinfo()", _NAME_SERVICE, NAMES, _is_name),
    "socket.gethostbyname": ("socket.gethostbyname()", _NAME_SERVICE, NAMES, _is_name),
    "socket.gethostbyaddr": ("socket.gethostbyaddr()", _NAME_SERVICE, NAMES, _is_elsewhere),
}


@functools.cache
def install() -> None:
    """Install the audit hook; once, as a hook can't be removed."""
    # Python raises some events during imports, and the hook must not import anything then.
    _lazy_imports.import_own()
    sys.addaudithook(_on_event)


# What is done by event: refused, or called with the arguments.
_HANDLED: dict[str, Any] = dict(_REFUSED)


def _on_event(
    event: str,
    arguments: _Arguments,
    # Bound here because the hook runs until the process ends, after the module's own names are
    # gone; and because it runs for every event of the process, so that each look-up counts.
    find: Callable[[str], Any] = _HANDLED.get,
    running_loop: Callable[[], object] = _asyncio_compat.loop_running_here,
    simulated: type = NoOutside,
    job_here: Callable[[int], executors.Job | None] = executors.job_of,
    get_ident: Callable[[], int] = threading.get_ident,
) -> None:
    refused = find(event)
    if refused is None:
        return
    if refused.__class__ is not tuple:
        refused(arguments)
        return
    job = None
    # In a child process no loop is running, as asyncio compares the number of the process.
    if not isinstance(running_loop(), simulated):
        job = job_here(get_ident())
        if job is None:
            return
    function, touched, fix, is_outside = refused
    frame = caller()
    if not is_outside(arguments) or _is_of_pair(frame):
        return
    if event == "socket.connect":
        # `socket.create_connection` and others close it only when an OSError is raised.
        arguments[0].close()
    if job is not None and _is_of_the_run(touched, arguments):
        fix = IN_A_THREAD
    place = place_that_called(frame, None if job is None else job.place)
    raise OutsideSimulation(function, touched, place, fix)


def listen(event: str, listener: Callable[[_Arguments], object] | None) -> None:
    """Call a function for each audit event of a name that nothing here is about; None for none.

    A hook of its own would take time for each event of the process, for good.
    """
    install()
    if listener is None:
        _HANDLED.pop(event, None)
    else:
        _HANDLED[event] = listener


def _is_of_pair(frame: FrameType | None) -> bool:
    """Whether ``socket.socketpair`` connects its two ends, as on Windows."""
    return frame is not None and (
        frame.f_code.co_name in ("socketpair", "_fallback_socketpair")
        and frame.f_globals.get("__name__") == "socket"
    )
