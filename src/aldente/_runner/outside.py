"""Whether anything outside of a loop of real time could make something happen on it.

What a virtual-time loop knows of its descriptors holds for real time too: nothing comes of a
connection whose other end is in this process unless this process writes to it. Where that is not
sure, something may come.
"""

from __future__ import annotations

import functools
import importlib
import signal
import socket
from collections.abc import Callable, Collection
from typing import Any

from aldente._runner import peers
from aldente._runner.peers import Peer, kinds_of, opened_socket


def may_come_by(descriptors: Collection[int]) -> bool:
    """Whether another process may make something happen on descriptors that a loop watches.

    Args:
        descriptors: those it watches, its own wake-up left out.
    """
    if not descriptors:
        return False
    # A child may have the other end of what looks as if both were here.
    if peers.may_act():
        return True
    return any(
        kind in (Peer.OTHER, Peer.TRIED_AGAIN)
        or (kind is Peer.NOT_ACCEPTED and not _is_connected(descriptor))
        or (kind is Peer.LISTENING and _is_open_to_others(descriptor))
        for descriptor, kind in kinds_of(descriptors).items()
    )


def handles_signals() -> bool:
    """Whether the program has a handler of a signal, which another process may send.

    Those of loops are not counted, of which `aldente._asyncio_compat.handles_signals` tells.
    """
    return any(_is_programs(_get_handler(int(number))) for number in signal.valid_signals())


def is_alarm_set() -> bool:
    """Whether the system is to send a signal at some time to a handler of the program's."""
    # No generator expression, as a loop of virtual time asks before each jump.
    for number, timer in _ALARMS:
        handler = _get_handler(number)
        if callable(handler) and _wakes(handler) and _get_timer(timer)[0] > 0:
            return True
    return False


def _is_programs(handler: Any) -> bool:
    return _wakes(handler) and _module_of(handler) != "asyncio"


def _wakes(handler: Any) -> bool:
    """Whether a handler may have a loop go on: the alarms of pytest-timeout only end the test."""
    return callable(handler) and _module_of(handler) not in _TOOLS


def _module_of(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return str(getattr(handler, "__module__", "")).partition(".")[0]


# What installs handlers that wake no loop.
_TOOLS = frozenset(
    {"_signal", "aldente", "coverage", "execnet", "pytest_cov", "pytest_timeout", "xdist"}
)

# signal.getsignal itself, without the conversions to and from enums around it.
_get_handler: Callable[[int], Any] = importlib.import_module("_signal").getsignal

# Where there is none (Windows), there are no alarms to ask it for.
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
    """Whether a socket is connected; one that is about to be may have to be tried again."""
    try:
        with opened_socket(descriptor) as opened:
            opened.getpeername()
    except OSError:
        return False
    return True


def _is_open_to_others(descriptor: int) -> bool:
    """Whether a listening socket is at an address that somebody elsewhere may know.

    A port that the system has chosen is known to those whom this process tells, and a Unix socket
    or a loopback address to its own machine: to those whom the test has started.
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
    """Between which numbers the system chooses ports."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        # Those that are meant for it.
        return 49_152, 65_535
    return first, last
