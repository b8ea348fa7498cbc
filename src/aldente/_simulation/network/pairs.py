"""The two ends of ``socket.socketpair``: simulated once one of them is given to a simulated loop.

Until then they are the system's: code may use them without the loop, as between threads and
processes, and nothing is known of that.
"""

from __future__ import annotations

import functools
import socket
import weakref
from collections.abc import Callable
from typing import Any

from aldente._simulation.network.datagrams import UnixDatagramEndpoint
from aldente._simulation.network.endpoints import join
from aldente._simulation.network.kernel import Kernel
from aldente._simulation.network.sockets import endpoints_behind, give
from aldente._simulation.network.unix import UnixEndpoint

# The other end of each, of those that a thread with a simulated loop has made.
_others: weakref.WeakKeyDictionary[socket.socket, weakref.ref[socket.socket]] = (
    weakref.WeakKeyDictionary()
)

_End = UnixEndpoint | UnixDatagramEndpoint

# How much is read at once of what the system has taken.
_CHUNK = 65_536


@functools.lru_cache(maxsize=8)
def noting(original: Any, is_meant: Callable[[], bool]) -> Any:
    """A function for ``socket.socketpair`` that notes which ends belong together.

    Args:
        original: the function whose place it takes.
        is_meant: whether to note it, asked at each call.
    """

    @functools.wraps(original)
    def socketpair(*args: Any, **kwargs: Any) -> tuple[socket.socket, socket.socket]:
        one, other = original(*args, **kwargs)
        if is_meant():
            _others[one], _others[other] = weakref.ref(other), weakref.ref(one)
        return one, other

    return socketpair


def simulate_pair(given: object, network: Kernel) -> bool:
    """Simulate both ends of a pair from now on, with what is on its way between them.

    Args:
        given: one of them; other objects, such as descriptors, are none.
        network: the network of the run.

    Returns:
        Whether it is one of a pair that is known.
    """
    if not isinstance(given, socket.socket) or given not in _others:
        return False
    if given.family != socket.AF_UNIX:
        return False
    other = _others.pop(given)()
    if other is not None:
        _others.pop(other, None)
    if given.type == socket.SOCK_STREAM:
        own, its = UnixEndpoint(network, given.family), UnixEndpoint(network, given.family)
        join(own, its)
        _simulate(given, own, other, its)
    elif given.type == socket.SOCK_DGRAM:
        receiver = UnixDatagramEndpoint(network, given.family)
        sender = UnixDatagramEndpoint(network, given.family)
        receiver.pair_with(sender)
        sender.pair_with(receiver)
        _simulate(given, receiver, other, sender)
    else:
        return False
    return True


def _simulate(given: socket.socket, own: _End, other: socket.socket | None, its: _End) -> None:
    waiting = _read_all(given)
    back = [] if other is None or other.fileno() < 0 else _read_all(other)
    give(given, own, is_counted=True)
    if other is not None and other.fileno() >= 0:
        give(other, its, is_counted=True)
    _send_all(its, waiting)
    _send_all(own, back)
    if other is None or other.fileno() not in endpoints_behind:
        its.close()


def _read_all(made: socket.socket) -> list[bytes]:
    """What the system has taken for a socket; an empty one last for the end of a stream."""
    found: list[bytes] = []
    while True:
        try:
            data = made.recv(_CHUNK, socket.MSG_DONTWAIT)
        except OSError:
            # Nothing more; an error comes again when the program reads.
            return found
        found.append(data)
        if not data and made.type == socket.SOCK_STREAM:
            return found


def _send_all(end: _End, parts: list[bytes]) -> None:
    for data in parts:
        if not isinstance(end, UnixEndpoint):
            end.send_to(data, None)
        elif data:
            end.send([data])
        else:
            end.shut_down(socket.SHUT_WR)
