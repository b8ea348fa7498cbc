"""Calls by which simulated code would leave the run, or block the loop.

Methods that need real I/O are refused, and so are sockets and look-ups of names that code uses
without the loop: Python raises audit events for these. The hook looks at those of the thread of a
simulated loop and of the threads that do jobs for one; all other threads are left alone, as are
sockets that only connect processes of this machine, such as those of `multiprocessing`.
``time.sleep()`` in a job of an executor takes loop time, as the sleep of a task does.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import ipaddress
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from aldente import _asyncio_compat, _imports, _system
from aldente._records import SourcePlace
from aldente._simulation import executors
from aldente._simulation.executors import job_of
from aldente._source import caller, is_own, place_of, users_frame
from aldente.errors import OutsideSimulation

STREAMS = (
    "connect both ends in memory: aldente.stream_pair() returns two connected pairs of a "
    "StreamReader and a StreamWriter; or replace the client with a double"
)
IN_A_THREAD = (
    "in a thread sockets are real, and reach no server of the run: connect in the thread of the "
    "loop, with asyncio's streams or a client for asyncio; or replace the client with a double"
)
_PROCESS = "replace the code that starts the process with a double"
_SIGNAL = "call the handler itself, or cancel the task that the handler would cancel"
CLIENT = (
    "replace the client with a double (aldente.Double, httpx.MockTransport, httpx.ASGITransport); "
    "with real sockets, time can be virtual but not simulated"
)
NAMES = "pass the address that the look-up would return, or replace the look-up with a double"

# What methods of event loops would touch: the fix for the test, and the names of the methods.
_REFUSED = {
    "a real pipe": (STREAMS, "connect_read_pipe connect_write_pipe"),
    "another process": (_PROCESS, "subprocess_exec subprocess_shell"),
    "a signal": (_SIGNAL, "add_signal_handler remove_signal_handler"),
}

# Called during shutdown, so they must not fail.
_HARMLESS = {"remove_signal_handler"}


class NoOutside:
    """The methods of event loops that do real I/O; each raises `OutsideSimulation`."""


def _library_frame(frame: FrameType | None) -> FrameType | None:
    """The caller's frame if that is not the user's code: a library calls in a task of its own."""
    while frame is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def place_that_called(frame: FrameType | None, job: SourcePlace | None = None) -> str:
    """Where the program did what is refused; empty when that is not known.

    Args:
        frame: the frame of the call.
        job: where the program has submitted the job that the thread does; None if it does none.
    """
    users = users_frame(frame)
    if users is None and job is not None:
        return str(job)
    found = users or _library_frame(frame)
    return "" if found is None else str(place_of(found))


def _refusal(method: str, touched: str, fix: str) -> Callable[..., Any]:
    def refuse(self: object, *args: object, **kwargs: object) -> Any:
        # Searched among the frames that await this one: the line is where the user awaits.
        raise OutsideSimulation(f"loop.{method}()", touched, place_that_called(caller()), fix)

    async def refuse_when_awaited(self: object, *args: object, **kwargs: object) -> Any:
        return refuse(self, *args, **kwargs)

    def ignore(self: object, *args: object, **kwargs: object) -> bool:
        return False

    original = getattr(asyncio.AbstractEventLoop, method, None)
    if method in _HARMLESS:
        return ignore
    return refuse_when_awaited if inspect.iscoroutinefunction(original) else refuse


for _touched, (_fix, _methods) in _REFUSED.items():
    for _method in _methods.split():
        setattr(NoOutside, _method, _refusal(_method, _touched, _fix))


class BlockingSleep:
    """Replaces ``time.sleep`` while a simulated loop runs; a context manager.

    Code that has imported the function by name keeps the real one, which takes real time.
    """

    def __init__(self) -> None:
        self._original: Any = None
        self._own: Any = None

    def __enter__(self) -> None:
        found: Any = time.sleep
        # Ours may have stayed, if other code had replaced it and has put it back since.
        if getattr(found, "__code__", None) is not _CODE:
            self._original, self._own = found, _sleep_of_jobs(found)
            time.sleep = self._own

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Left alone while other code has replaced it: it does no harm beneath.
        if self._own is not None and time.sleep is self._own:
            time.sleep = self._original
        self._original = self._own = None


@functools.lru_cache(maxsize=8)
def _sleep_of_jobs(original: Any) -> Any:
    @functools.wraps(original)
    def sleep(seconds: Any, /) -> None:
        __tracebackhide__ = True
        job = job_of(threading.get_ident())
        is_length = isinstance(seconds, int | float) and 0 < seconds < math.inf
        if job is None or not is_length or not job.sleep(seconds):
            # Anything that is not a length of time is an error, which the original raises.
            original(seconds)

    return sleep


_CODE = _sleep_of_jobs(_system.sleep).__code__


_Arguments = tuple[Any, ...]

_SOCKET = "a real socket"
_NAME_SERVICE = "the name service"


def _to_the_network(arguments: _Arguments) -> bool:
    return arguments[0].family in (socket.AF_INET, socket.AF_INET6)


def _has_address(arguments: _Arguments) -> bool:
    # Without an address the socket is connected already, before the run.
    return _to_the_network(arguments) and arguments[1] is not None


def _is_name(arguments: _Arguments) -> bool:
    """Whether the host is not an address, for which there would be no look-up."""
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
_REFUSED_EVENTS: dict[str, tuple[str, str, str, Callable[[_Arguments], bool]]] = {
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
    _imports.import_own()
    sys.addaudithook(_on_event)


# What is done by event: refused, or called with the arguments.
_HANDLED: dict[str, Any] = dict(_REFUSED_EVENTS)


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

    A hook of its own would take time for each event until the process ends.
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
