"""Whether anything outside of a loop could wake it, and which threads may by what they do.

As on a virtual-time loop, a connection whose other end is in this process stays silent unless this
process writes to it. Where the other end is unknown, data may come.
"""

from __future__ import annotations

import functools
import importlib
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any, NamedTuple

from aldente import _python_compat
from aldente._python_compat import identity_of
from aldente._runner import peers
from aldente._runner.peers import Peer, kinds_of, opened_socket
from aldente._runner.threads import (
    FUTEX,
    can_only_wait,
    polls_for_work,
    system_call,
    waits_for_condition,
)
from aldente._source import is_programs
from aldente._stacks import frames_of_threads, variables_of, with_callers
from aldente._system import monotonic, sleep

# What `signal.getsignal` gives for each signal, in their order.
Handlers = tuple[Any, ...]


def may_come_by(descriptors: Collection[int]) -> bool:
    """Whether another process may write to descriptors that a loop watches.

    Args:
        descriptors: the watched descriptors, without the loop's self-pipe.
    """
    if not descriptors:
        return False
    # A child may have inherited a copy of the other end.
    if peers.may_act():
        return True
    return any(
        kind in (Peer.OTHER, Peer.TRIED_AGAIN)
        or (kind is Peer.NOT_ACCEPTED and not _is_connected(descriptor))
        or (kind is Peer.LISTENING and _is_open_to_others(descriptor))
        for descriptor, kind in kinds_of(descriptors).items()
    )


def signal_handlers() -> Handlers:
    """The handlers of all signals that are set now."""
    return tuple(map(_get_handler, _SIGNALS))


def handles_signals(before: Handlers | None) -> bool:
    """Whether the program has set a signal handler since a loop was made.

    Another process may send the signal, and the handler may wake the loop. A handler that was set
    before, such as a library's or one that another test has left, does not count. Loops' handlers
    do not count; see `aldente._asyncio_compat.handles_signals`.

    Args:
        before: the handlers that were set when the loop was made; None if that is unknown.
    """
    return any(
        handler is not known and _is_programs(handler)
        for handler, known in zip(signal_handlers(), before or (None,) * len(_SIGNALS), strict=True)
    )


def is_alarm_set() -> bool:
    """Whether an alarm is set that will call a signal handler of the program."""
    # No generator expression, as a virtual-time loop calls this before each jump.
    for number, timer in _ALARMS:
        handler = _get_handler(number)
        if callable(handler) and _wakes(handler) and _get_timer(timer)[0] > 0:
            return True
    return False


def _is_programs(handler: Any) -> bool:
    return _wakes(handler) and _module_of(handler) != "asyncio"


def _wakes(handler: Any) -> bool:
    """Whether a handler may wake a loop; pytest-timeout's only ends the test."""
    return callable(handler) and _module_of(handler) not in _TOOLS


def _module_of(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return str(getattr(handler, "__module__", "")).partition(".")[0]


# Modules whose handlers wake no loop.
_TOOLS = frozenset(
    {"_signal", "aldente", "coverage", "execnet", "pytest_cov", "pytest_timeout", "xdist"}
)

# signal.getsignal without the conversions to and from enums.
_get_handler: Callable[[int], Any] = importlib.import_module("_signal").getsignal

_SIGNALS = tuple(sorted(map(int, signal.valid_signals())))

# Not called where there is none (Windows), as there are no alarms.
_get_timer: Callable[[int], tuple[float, float]] = getattr(signal, "getitimer", None)  # type: ignore[assignment]
_ALARMS = [
    (int(getattr(signal, number)), int(getattr(signal, timer)))
    for timer, number in (
        ("ITIMER_REAL", "SIGALRM"),
        ("ITIMER_VIRTUAL", "SIGVTALRM"),
        ("ITIMER_PROF", "SIGPROF"),
    )
    if hasattr(signal, timer)
]


def _is_connected(descriptor: int) -> bool:
    """Whether a socket is connected; the kernel may retry one that is connecting."""
    try:
        with opened_socket(descriptor) as opened:
            opened.getpeername()
    except OSError:
        return False
    return True


def _is_open_to_others(descriptor: int) -> bool:
    """Whether a listening socket is at an address that an outside process may know.

    A port that the system chose is known only to processes that this one informs; a Unix socket or
    a loopback address only to processes on this machine that the test started.
    """
    try:
        with opened_socket(descriptor) as opened:
            if opened.family not in (socket.AF_INET, socket.AF_INET6):
                return False
            host, port = opened.getsockname()[:2]
    except OSError:
        return False
    first, last = _chosen_ports()
    return not first <= port <= last and not host.startswith(_LOOPBACK)


_LOOPBACK = ("127.", "::1", "::ffff:127.")


def _chosen_ports() -> tuple[int, int]:
    """The range from which the system chooses ports."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        # IANA's range for such ports.
        return 49_152, 65_535
    return first, last


class PresentThreads(NamedTuple):
    """The threads that there are now.

    Attributes:
        busy: those that do something of their own, such as a server or a timer.
        idle: those that wait for another thread, such as an executor's thread without a job. A
            program can give them work, and what they do then is a part of that program.
    """

    busy: list[threading.Thread]
    idle: list[threading.Thread]


def present_threads() -> PresentThreads:
    """The threads that there are now.

    Waits for a moment, in real time, for threads that have just done some work, and are about to
    wait for more.
    """
    if threading.active_count() == 1:
        return PresentThreads(threading.enumerate(), [])
    began = monotonic()
    present, under_way = _look_at_threads()
    computing = dict(under_way)
    looks = 1
    while under_way and looks < _LOOKS and not _is_enough(under_way, monotonic() - began):
        sleep(_PAUSE)
        present, under_way = _look_at_threads()
        computing = {
            thread: job for thread, job in computing.items() if under_way.get(thread) == job
        }
        looks += 1
    _computing.update(computing)
    return present


def _look_at_threads() -> tuple[PresentThreads, dict[threading.Thread, int]]:
    """The threads that there are now, and the jobs of those that may be about to wait for work."""
    present, frames = PresentThreads([], []), frames_of_threads()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        is_idle = frame is not None and _waits_for_work(frame)
        (present.idle if is_idle else present.busy).append(thread)
        if is_idle:
            _computing.pop(thread, None)
    under_way = {}
    for thread in present.busy:
        frame = frames.get(thread.ident or 0)
        if frame is None or thread is threading.current_thread():
            continue
        job = _job_in(frame)
        if _is_under_way(thread, frame):
            under_way[thread] = job
    return present, under_way


# How often, and with which pauses in seconds, to look at threads that may be about to wait. Not by
# real time: on a busy machine they may not run for a while, and neither does this thread.
_LOOKS = 50
_PAUSE = 0.0001
# For how long, in real seconds, at threads that computed all the time before. Each system call of a
# look takes five milliseconds then, until the other thread gives up the GIL: two seconds for all of
# `_LOOKS`.
_MOMENT = 0.1


def _is_enough(under_way: dict[threading.Thread, int], seconds: float) -> bool:
    return seconds >= _MOMENT and all(
        _computing.get(thread) == job for thread, job in under_way.items()
    )


# The jobs of threads that were under way in all looks.
_computing: weakref.WeakKeyDictionary[threading.Thread, int] = weakref.WeakKeyDictionary()


def _job_in(frame: FrameType) -> int:
    """The identity of the frame in which a thread does its present work for the program."""
    stack = list(with_callers(frame))
    job = next(
        (each for each in reversed(stack) if is_programs(each.f_code.co_filename)), stack[-1]
    )
    return identity_of(job)


def _is_under_way(thread: threading.Thread, frame: FrameType) -> bool:
    """Whether a thread runs Python code, or waits for the GIL; False where it is not shown."""
    if waits_for_condition(frame):
        return False
    call = system_call(thread)
    return call == ["running"] or bool(FUTEX and call[:1] == [FUTEX])


def _waits_for_work(frame: FrameType) -> bool:
    if can_only_wait(frame) or polls_for_work(frame):
        return True
    # The job of an executor's thread has returned, and the thread is about to wait for the next.
    stack = with_callers(frame)
    return any(
        _python_compat.has_returned(each.f_code, variables_of(each)) for each in stack
    ) and not any(is_programs(each.f_code.co_filename) for each in stack)
