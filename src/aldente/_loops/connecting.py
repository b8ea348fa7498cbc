"""Connections that the kernel is still making, as Linux tells of them.

Within this process that takes no time, but when as many connections wait to be accepted as may:
then the kernel drops the attempt, or its last step, and tries again after a second, and after more.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import struct
from typing import NamedTuple

# States of a connection, from Linux's ``tcp_states.h``: as the one end that makes it tells, and as
# the other does, who has not heard the last step.
_SYN_SENT = "02"
_SYN_RECEIVED = "03"

# Of a socket that listens, the seventh and eighth whole number of ``struct tcp_info`` say how many
# connections wait to be accepted, and how many may.
_WAITING = struct.Struct("24x2I")

_FILES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")


class _Line(NamedTuple):
    """What the kernel tells of a connection: addresses with ports, its state, what is not heard."""

    local: str
    remote: str
    state: str
    queues: str

    @property
    def has_unacknowledged(self) -> bool:
        """Whether it has sent what the other end has not acknowledged yet."""
        return int(self.queues.partition(":")[0], 16) > 0


class Attempt(NamedTuple):
    """A connection that is being made.

    Attributes:
        is_to_here: whether it is to the address from which it is made.
        port: the port to which it is.
    """

    is_to_here: bool
    port: int


class Attempts:
    """The connections that are being made right now; read when first asked for."""

    def of(self, opened: socket.socket) -> Attempt | None:
        """The one that a socket is making; None when it makes none, or nobody tells."""
        line = self._by_inode.get(str(os.fstat(opened.fileno()).st_ino))
        if line is None:
            return None
        other_state = self._states.get((line.remote, line.local))
        # The other end may have forgotten that it is asked, until it hears what is sent again.
        is_forgotten = other_state is None and line.has_unacknowledged
        if not (line.state == _SYN_SENT or other_state == _SYN_RECEIVED or is_forgotten):
            return None
        local, _, _ = line.local.partition(":")
        remote, _, port = line.remote.partition(":")
        return Attempt(local == remote, int(port, 16))

    @functools.cached_property
    def _lines(self) -> list[tuple[str, _Line]]:
        found = []
        for path in _FILES:
            with contextlib.suppress(OSError), open(path) as lines:
                next(lines, None)
                for line in lines:
                    fields = line.split()
                    found.append((fields[9], _Line(*fields[1:5])))
        return found

    @functools.cached_property
    def _by_inode(self) -> dict[str, _Line]:
        return dict(self._lines)

    @functools.cached_property
    def _states(self) -> dict[tuple[str, str], str]:
        return {(line.local, line.remote): line.state for _, line in self._lines}


def takes_more(listening: socket.socket) -> bool:
    """Whether a listening socket takes another connection; not when too many wait already."""
    if hasattr(socket, "TCP_INFO"):
        with contextlib.suppress(OSError, struct.error):
            info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _WAITING.size)
            waiting, most = _WAITING.unpack(info)
            return bool(waiting <= most)
    return True
