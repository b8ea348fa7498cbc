"""Whether anything outside of a loop of real time could make something happen on it.

What a virtual-time loop knows of its descriptors holds for real time too: nothing comes of a
connection whose other end is in this process unless this process writes to it. Where that is not
sure, something may come.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Collection

from aldente._loops import children
from aldente._loops.peers import Peer, kinds_of, opened_socket


def may_come_by(descriptors: Collection[int]) -> bool:
    """Whether another process may make something happen on descriptors that a loop watches.

    Args:
        descriptors: those it watches, its own wake-up left out.
    """
    if not descriptors:
        return False
    # A child may have the other end of what looks as if both were here.
    if children.may_act():
        return True
    return any(
        kind in (Peer.OTHER, Peer.TRIED_AGAIN)
        or (kind is Peer.NOT_ACCEPTED and not _is_connected(descriptor))
        or (kind is Peer.LISTENING and _is_open_to_others(descriptor))
        for descriptor, kind in kinds_of(descriptors).items()
    )


def is_alarm_set() -> bool:
    """Whether the system is to send a signal at some time to a handler of the program's.

    The alarms of pytest-timeout end the test, and wake nothing.
    """
    if not hasattr(signal, "getitimer"):
        return False
    return any(
        signal.getitimer(timer)[0] > 0
        and callable(handler := signal.getsignal(number))
        and getattr(handler, "__module__", None) != "pytest_timeout"
        for timer, number in (
            (signal.ITIMER_REAL, signal.SIGALRM),
            (signal.ITIMER_VIRTUAL, signal.SIGVTALRM),
            (signal.ITIMER_PROF, signal.SIGPROF),
        )
    )


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
