"""Which sockets are simulated: those that the thread of a simulated loop makes, or gives to it."""

from __future__ import annotations

import functools
import os
import socket
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aldente._simulation.network.datagrams import DatagramEndpoint, UnixDatagramEndpoint
from aldente._simulation.network.endpoints import StreamEndpoint
from aldente._simulation.network.kernel import Kernel
from aldente._simulation.network.refusals import refuse_connected
from aldente._simulation.network.sockets import (
    AnyEndpoint,
    SimulatedSocket,
    close_descriptor,
    endpoints_behind,
    give,
    left_descriptors,
    note_options,
)
from aldente._simulation.network.unix import UnixEndpoint, noting, simulate_pair
from aldente.errors import HostCrashed

_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_KINDS: dict[tuple[bool, int], type[AnyEndpoint]] = {
    (False, socket.SOCK_STREAM): StreamEndpoint,
    (False, socket.SOCK_DGRAM): DatagramEndpoint,
    (True, socket.SOCK_STREAM): UnixEndpoint,
    (True, socket.SOCK_DGRAM): UnixDatagramEndpoint,
}


def adopt(given: Any, network: Kernel) -> None:
    """Simulate a socket that was made outside of the run and is given to its loop.

    Raises:
        OutsideSimulation: it is connected with something real, other than the other end of a pair.
    """
    if type(given) is not socket.socket or given.fileno() in endpoints_behind:
        return
    if not _is_connected(given):
        _simulate(given, network)
    elif not simulate_pair(given, network):
        refuse_connected()


def _simulate(made: socket.socket, network: Kernel) -> None:
    """Put an endpoint behind a socket that is not connected, with the address that it has."""
    endpoint = _endpoint_for(made, network)
    if endpoint is None:
        return
    note_options(made, endpoint)
    address = made.getsockname()
    if address and (made.family == socket.AF_UNIX or address[1]):
        endpoint.bind(address)
    is_listening = made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if is_listening and isinstance(endpoint, StreamEndpoint):
        # No socket shows how many connections may wait.
        endpoint.listen(128)
    give(made, endpoint, is_counted=True)


def close_all(network: Kernel) -> None:
    """Close the sockets of a network that are left."""
    for descriptor, (endpoint, owner) in list(endpoints_behind.items()):
        made = None if owner is None or endpoint.network is not network else owner()
        if made is not None and made.fileno() == descriptor:
            made.close()


class Sockets:
    """Simulates the sockets that a thread makes while its loop runs; a context manager.

    Args:
        network_here: the network of the simulated loop that runs in this thread; None without one.
    """

    def __init__(self, network_here: Callable[[], Kernel | None]) -> None:
        self._network_here = network_here
        self._original: Any = None
        self._own: Any = None
        self._own_pair: Any = None
        self._original_pair: Any = None

    def __enter__(self) -> None:
        found: Any = socket.socket.__init__
        if getattr(found, "__code__", None) is not _CODE:
            self._original, self._own = found, _initializer(found, self._network_here)
            socket.socket.__init__ = self._own  # type: ignore[method-assign]
            self._note_pairs()

    def _note_pairs(self) -> None:
        self._original_pair = getattr(socket, "socketpair", None)
        if self._original_pair is not None:
            self._own_pair = noting(self._original_pair, self._is_here)
            socket.socketpair = self._own_pair

    def _is_here(self) -> bool:
        return self._network_here() is not None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Left alone while other code has replaced it: it does no harm beneath.
        if self._own is not None and vars(socket.socket)["__init__"] is self._own:
            socket.socket.__init__ = self._original  # type: ignore[method-assign]
        if self._own_pair is not None and vars(socket).get("socketpair") is self._own_pair:
            socket.socketpair = self._original_pair
        self._original = self._own = self._original_pair = self._own_pair = None


@functools.lru_cache(maxsize=8)
def _initializer(original: Any, network_here: Callable[[], Kernel | None]) -> Any:
    @functools.wraps(original)
    def initialize(self: socket.socket, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        # A class of its own may rely on what is real.
        if type(self) is socket.socket or type(self) is SimulatedSocket:
            is_given = len(args) > 3 or kwargs.get("fileno") is not None
            _begin(self, network_here, is_given=is_given)

    return initialize


def _begin(
    made: socket.socket, network_here: Callable[[], Kernel | None], *, is_given: bool
) -> None:
    """Simulate a new socket, if its thread runs a simulated loop."""
    descriptor = made.fileno()
    known = endpoints_behind.get(descriptor)
    if known is not None and known[1] is None and is_given and _is_left(descriptor):
        # Another socket has left its descriptor to this one.
        made.__class__ = SimulatedSocket
        owner = weakref.ref(made, lambda owner: close_descriptor(descriptor, owner))
        endpoints_behind[descriptor] = (known[0], owner)
        return
    if known is not None and (known[1] is None or known[1]() is not made):
        # Its descriptor was closed behind Python's back.
        close_descriptor(descriptor)
    network = network_here()
    if network is None:
        return
    if is_given:
        other = _same(descriptor)
        if other is not None:
            give(made, other)
        elif not _is_connected(made):
            _simulate(made, network)
        return
    endpoint = _endpoint_for(made, network)
    if endpoint is not None:
        if made.family == socket.AF_INET6:
            note_options(made, endpoint)
        give(made, endpoint, is_counted=True)


def _endpoint_for(made: socket.socket, network: Kernel) -> AnyEndpoint | None:
    """A new endpoint for a socket; None if it is of a kind that is not simulated.

    Raises:
        HostCrashed: the code runs on a host that has crashed.
    """
    if made.family not in _FAMILIES:
        return None
    make = _KINDS.get((made.family == socket.AF_UNIX, made.type))
    try:
        return None if make is None else make(network, made.family)
    except HostCrashed:
        made.close()
        raise


def _is_left(descriptor: int) -> bool:
    """Whether a descriptor is still that of the socket that was detached from it."""
    return os.fstat(descriptor).st_ino == left_descriptors.pop(descriptor, None)


def _same(descriptor: int) -> AnyEndpoint | None:
    """The endpoint behind another descriptor of the same socket of the system."""
    wanted = os.fstat(descriptor).st_ino
    for other, (endpoint, _) in list(endpoints_behind.items()):
        try:
            number = os.fstat(other).st_ino
        except OSError:
            # It was closed behind Python's back.
            close_descriptor(other)
            continue
        if other != descriptor and number == wanted:
            return endpoint
    return None


def _is_connected(made: socket.socket) -> bool:
    """Whether a socket is connected, as one made of a descriptor may be."""
    try:
        _PEER(made)
    except OSError:
        return False
    return True


_PEER: Any = socket.socket.getpeername
_CODE = _initializer(socket.socket.__init__, lambda: None).__code__
