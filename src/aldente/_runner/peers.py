"""Which of the descriptors that a loop watches other processes may write to.

The kernel delivers immediately between two sockets of this process, so when a poll finds nothing,
nothing is on its way. For another process that is unknown.

Only TCP may hold data back: a socket without ``TCP_NODELAY`` sends a small segment only after its
earlier data is acknowledged (Nagle's algorithm), and the peer may delay the acknowledgement for
40 ms and more. So `Peers.hurry` flushes it before time passes. asyncio's own transports set
``TCP_NODELAY``.

A connection to this process is made immediately, unless the backlog of the listening socket is
full: then the kernel drops the attempt, or its last step, and retries after one second and more.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import re
import selectors
import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from aldente import _python_compat


def may_act() -> bool:
    """Whether a child process may do something that affects this process, such as connecting.

    A child that has ended may not, even before this process has waited for it. Nor may the helpers
    that `multiprocessing` keeps until this process ends, except through processes that they start.
    Only Linux lists the children; elsewhere each of them counts.
    """
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    try:
        children = _living_children_of("self")
        helpers = _python_compat.helper_processes()
        return any(child not in helpers or _has_living_children(child) for child in children)
    except OSError:
        return True


def _has_living_children(helper: int) -> bool:
    try:
        return bool(_living_children_of(str(helper)))
    except _ENDED:
        # The helper has ended, and its children are no longer below this process.
        return False


def _living_children_of(process: str) -> list[int]:
    """The living children of a process; raises an OSError where the system does not tell."""
    folder = f"/proc/{process}/task"
    for _ in range(_MOST_LOOKS):
        children: list[str] = []
        for thread in os.listdir(folder):
            try:
                with open(f"{folder}/{thread}/children") as file:
                    children += file.read().split()
            except _ENDED:
                if os.path.exists(f"{folder}/{thread}"):
                    raise
                # The thread has ended since the list was made. Linux gives its children to another
                # thread, which may have been read before, so all are read again.
                break
        else:
            return [int(child) for child in children if _is_living(child)]
    raise TimeoutError(f"the threads of process {process} end too fast to be read")


# What Linux raises for a thread or process that ends before, or after, its file is opened.
_ENDED = (FileNotFoundError, ProcessLookupError)
# Of the looks at a process that starts and ends threads without a pause, a third fail.
_MOST_LOOKS = 100


def _is_living(process: str) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            # After the program's name, which may be any bytes, with parentheses among them.
            state = re.search(r".*\) (.)", file.read(), re.DOTALL)
    except _ENDED:
        return False
    # An ended process is a zombie until its parent waits for it.
    return state is None or state[1] not in "ZX"


# States of a connection, from Linux's ``tcp_states.h``: of the end that connects, and of the other
# end while it lacks the last step.
_SYN_SENT = "02"
_SYN_RECEIVED = "03"

# Of a listening socket, the seventh and eighth integers of ``struct tcp_info`` are how many
# connections wait to be accepted, and how many may.
_WAITING = struct.Struct("24x2I")

_FILES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")


class _ConnectionLine(NamedTuple):
    """A line about a connection in the kernel's table: addresses with ports, state, queue."""

    local: str
    remote: str
    state: str
    queues: str

    @property
    def has_unacknowledged(self) -> bool:
        """Whether it has sent data that the other end has not acknowledged yet."""
        return int(self.queues.partition(":")[0], 16) > 0


class Attempt(NamedTuple):
    """A connection that is being made.

    Attributes:
        is_to_here: whether its target is its own address.
        port: the target port.
    """

    is_to_here: bool
    port: int


class Attempts:
    """The connections that are being made now; read from the kernel on first use."""

    def of(self, opened: socket.socket) -> Attempt | None:
        """The attempt of a socket; None if it makes none, or the system does not show it."""
        line = self._by_inode.get(str(os.fstat(opened.fileno()).st_ino))
        if line is None:
            return None
        other_state = self._states.get((line.remote, line.local))
        # The other end may have dropped the request, until it gets the retransmission.
        is_forgotten = other_state is None and line.has_unacknowledged
        if not (line.state == _SYN_SENT or other_state == _SYN_RECEIVED or is_forgotten):
            return None
        local, _, _ = line.local.partition(":")
        remote, _, port = line.remote.partition(":")
        return Attempt(local == remote, int(port, 16))

    @functools.cached_property
    def _lines(self) -> list[tuple[str, _ConnectionLine]]:
        found = []
        for path in _FILES:
            with contextlib.suppress(OSError), open(path) as lines:
                next(lines, None)
                for line in lines:
                    fields = line.split()
                    found.append((fields[9], _ConnectionLine(*fields[1:5])))
        return found

    @functools.cached_property
    def _by_inode(self) -> dict[str, _ConnectionLine]:
        return dict(self._lines)

    @functools.cached_property
    def _states(self) -> dict[tuple[str, str], str]:
        return {(line.local, line.remote): line.state for _, line in self._lines}


def takes_more(listening: socket.socket) -> bool:
    """Whether a listening socket takes another connection; False when its backlog is full."""
    if hasattr(socket, "TCP_INFO"):
        with contextlib.suppress(OSError, struct.error):
            info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING.size)
            waiting, most = _WAITING.unpack(info)
            return bool(waiting <= most)
    return True


class Peer(enum.Enum):
    """What is at the other end of a descriptor."""

    THIS_PROCESS = enum.auto()
    # This process too, through a connection that may hold back data.
    HOLDING_BACK = enum.auto()
    LISTENING = enum.auto()
    OTHER = enum.auto()
    # A connection to this process that it has not accepted yet.
    NOT_ACCEPTED = enum.auto()
    # One that the kernel will retry, as the backlog was full.
    TRIED_AGAIN = enum.auto()


class Peers:
    """What is at the other end of each descriptor that a loop watches.

    Attributes:
        is_only_wake_up: whether nothing but the loop's own wake-up is watched.
    """

    def __init__(self) -> None:
        self.is_only_wake_up = True
        # None for those not looked up yet.
        self._watched: dict[int, Peer | None] = {}
        self._others: set[int] = set()
        self._holding_back: set[int] = set()
        self._unknown: set[int] = set()

    def add(self, descriptor: int) -> None:
        """Add a descriptor that the loop watches; the first is its self-pipe."""
        if self._watched:
            self._unknown.add(descriptor)
            self._watched[descriptor] = None
            self.is_only_wake_up = False
        else:
            self._watched[descriptor] = Peer.THIS_PROCESS

    def remove(self, descriptor: int) -> None:
        """Remove a descriptor that the loop no longer watches."""
        self._watched.pop(descriptor, None)
        self.is_only_wake_up = len(self._watched) <= 1
        self._others.discard(descriptor)
        self._holding_back.discard(descriptor)
        self._unknown.discard(descriptor)

    def may_be_heard(self) -> bool:
        """Whether the loop watches a descriptor that another process may write to."""
        if self._unknown:
            self._classify()
        return bool(self._others)

    def hurry(self) -> bool:
        """Flush connections that may hold back data; return whether there are any."""
        if self._unknown:
            self._classify()
        for descriptor in self._holding_back:
            with contextlib.suppress(OSError), opened_socket(descriptor) as opened:
                # Sends a delayed acknowledgement, so that the other end continues.
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return bool(self._holding_back)

    def are_tried_again(self) -> bool:
        """Whether the kernel will retry a connection within this process, in real time."""
        if self._unknown:
            self._classify()
        return Peer.TRIED_AGAIN in self._watched.values()

    def may_be_called(self, patience: float, selector: selectors.BaseSelector) -> bool:
        """Whether another process may connect to a listening socket, or does.

        Only called when nothing else can happen, as processes that are not children of this one
        would have connected by themselves.
        """
        if Peer.LISTENING not in self._watched.values():
            return False
        return may_act() or bool(selector.select(patience))

    def _classify(self) -> None:
        own = None
        for descriptor in list(self._unknown):
            peer = _peer_without_addresses(descriptor)
            if peer is None:
                own = own if own is not None else _own_connections()
                peer = _peer_by_address(descriptor, own)
                if _CAN_HURRY and peer in (Peer.OTHER, Peer.HOLDING_BACK):
                    self._holding_back.add(descriptor)
            self._watched[descriptor] = peer
            if peer is Peer.OTHER or (peer is Peer.HOLDING_BACK and not _CAN_HURRY):
                self._others.add(descriptor)
            if peer not in (Peer.NOT_ACCEPTED, Peer.TRIED_AGAIN):
                self._unknown.discard(descriptor)


_CAN_HURRY = hasattr(socket, "TCP_QUICKACK")


@contextlib.contextmanager
def opened_socket(descriptor: int) -> Iterator[socket.socket]:
    """A socket on a copy of a descriptor; closes only the copy."""
    copy = os.dup(descriptor)
    try:
        opened = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with opened:
        yield opened


def _peer_without_addresses(descriptor: int) -> Peer | None:
    """What is at the other end, if that needs no look at this process's other sockets."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        # Closed behind the loop's back; nothing comes.
        return Peer.THIS_PROCESS
    if stat.S_ISFIFO(status.st_mode):
        return Peer.THIS_PROCESS if _is_pipe_within(descriptor, status) else Peer.OTHER
    if not stat.S_ISSOCK(status.st_mode):
        return Peer.OTHER
    with opened_socket(descriptor) as opened:
        if _is_listening(opened):
            return Peer.LISTENING
        if opened.family == getattr(socket, "AF_UNIX", None):
            return Peer.THIS_PROCESS if _process_of(opened) == os.getpid() else Peer.OTHER
    return None


def _is_listening(opened: socket.socket) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        return bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return False


def _process_of(opened: socket.socket) -> int | None:
    """The process that made the other end of a Unix socket; None where that is unknown."""
    with contextlib.suppress(OSError, AttributeError):
        credentials = opened.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        process: int = struct.unpack("3i", credentials)[0]
        return process
    with contextlib.suppress(OSError):
        # macOS: SOL_LOCAL and LOCAL_PEERPID.
        return struct.unpack("i", opened.getsockopt(0, 2, struct.calcsize("i")))[0]  # type: ignore[no-any-return]
    return None


def _is_pipe_within(descriptor: int, status: os.stat_result) -> bool:
    """Whether this process also has the other end of a pipe."""
    for other in _own_descriptors():
        if other == descriptor:
            continue
        with contextlib.suppress(OSError):
            found = os.fstat(other)
            if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
                return True
    return False


def _own_descriptors() -> list[int]:
    """All descriptors of this process; none where the system does not list them."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return [int(name) for name in os.listdir(folder)]
    return []


class _Connections:
    """The sockets of this process, by their addresses."""

    def __init__(self) -> None:
        # By both addresses, whether it may hold back data.
        self.pairs: dict[tuple[Any, Any], bool] = {}
        # By its port, whether a socket takes another connection.
        self.listening: dict[int, bool] = {}
        self.unconnected: set[int] = set()
        self.attempts = Attempts()

    def add(self, opened: socket.socket) -> None:
        name = opened.getsockname()
        if _is_listening(opened):
            is_open = self.listening.get(name[1], False) or takes_more(opened)
            self.listening[name[1]] = is_open
            return
        try:
            self.pairs[name[:2], opened.getpeername()[:2]] = _may_hold_back(opened)
        except OSError:
            self.unconnected.add(name[1])


def _may_hold_back(opened: socket.socket) -> bool:
    return opened.type == socket.SOCK_STREAM and not opened.getsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY
    )


def _own_connections() -> _Connections:
    connections = _Connections()
    for descriptor in _own_descriptors():
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with opened_socket(descriptor) as opened:
                if opened.family in (socket.AF_INET, socket.AF_INET6):
                    connections.add(opened)
    return connections


def _peer_of_attempt(opened: socket.socket, own: _Connections) -> Peer:
    """What is at the other end of a connection that is not made yet."""
    attempt = own.attempts.of(opened)
    if attempt is None:
        return Peer.NOT_ACCEPTED
    if not attempt.is_to_here or attempt.port not in own.listening:
        return Peer.OTHER
    # While the backlog is full, no retry succeeds.
    return Peer.TRIED_AGAIN if own.listening[attempt.port] else Peer.NOT_ACCEPTED


def _peer_by_address(descriptor: int, own: _Connections) -> Peer:
    with opened_socket(descriptor) as opened:
        try:
            name, peer = opened.getsockname(), opened.getpeername()
        except OSError:
            # Not connected: a datagram or raw socket, or one that is connecting.
            if opened.type == socket.SOCK_STREAM:
                return _peer_of_attempt(opened, own)
            return Peer.OTHER
        may_hold_back = own.pairs.get((peer[:2], name[:2]))
        if may_hold_back is not None:
            return Peer.HOLDING_BACK if may_hold_back else Peer.THIS_PROCESS
        is_to_here = peer[0] == name[0]
        if opened.type == socket.SOCK_DGRAM:
            return Peer.THIS_PROCESS if is_to_here and peer[1] in own.unconnected else Peer.OTHER
        if is_to_here and peer[1] in own.listening:
            return _peer_of_attempt(opened, own)
        return Peer.OTHER


def kinds_of(descriptors: Iterable[int]) -> dict[int, Peer]:
    """What is at the other end of each descriptor."""
    own = None
    kinds = {}
    for descriptor in descriptors:
        kind = _peer_without_addresses(descriptor)
        if kind is None:
            own = own if own is not None else _own_connections()
            kind = _peer_by_address(descriptor, own)
        kinds[descriptor] = kind
    return kinds


def other_ends(descriptors: Iterable[int]) -> dict[int, list[int]]:
    """Map descriptors to those of this process at the other ends of their connections.

    Args:
        descriptors: those whose other ends to find; pipes, and connections that the system does not
            show, have none.
    """
    wanted: dict[tuple[Any, Any], list[int]] = {}
    for descriptor in descriptors:
        addresses = _addresses(descriptor)
        if addresses is not None:
            wanted.setdefault(addresses[::-1], []).append(descriptor)
    found = {}
    for descriptor in _own_descriptors() if wanted else ():
        addresses = _addresses(descriptor)
        if addresses in wanted:
            found[descriptor] = wanted[addresses]
    return found


def _addresses(descriptor: int) -> tuple[Any, Any] | None:
    """The addresses of both ends of a TCP or UDP connection; None for anything else."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            with opened_socket(descriptor) as opened:
                if opened.family in (socket.AF_INET, socket.AF_INET6):
                    return opened.getsockname()[:2], opened.getpeername()[:2]
    return None
