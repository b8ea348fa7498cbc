"""Makes event loops cheaply, by lending a closed loop's selector and self-pipe to the next.

Each loop is a new object with nothing of the one before: only operating system handles are used
again, and only when the loop that had them left nothing registered.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import sys

from aldente import _asyncio_compat


class LoopMaker:
    """Makes the event loops that `asyncio.new_event_loop` would make, and keeps their parts.

    Call it to make a loop; call `close` at the end.

    >>> make_loop = LoopMaker()
    >>> first = make_loop()
    >>> first.close()
    >>> second = make_loop()
    >>> second is first
    False
    >>> second.close(); make_loop.close()
    """

    def __init__(self) -> None:
        self._idle: list[_Parts] = []

    def __call__(self) -> asyncio.AbstractEventLoop:
        """A new event loop; of another kind than asyncio's own when a policy makes it."""
        if sys.platform == "win32" or not _asyncio_compat.is_policy_untouched():
            return asyncio.new_event_loop()
        while self._idle:
            parts = self._idle.pop()
            if parts.are_usable():
                return parts.lend()
            parts.close()
        return _Parts(self._idle).lend()

    def close(self) -> None:
        """Close the parts that no loop is using."""
        while self._idle:
            self._idle.pop().close()


class _LentSelector(selectors.DefaultSelector):
    """A selector that goes back to where it came from when its loop closes it."""

    def __init__(self, parts: _Parts) -> None:
        super().__init__()
        self._parts: _Parts | None = parts

    def close(self) -> None:
        if self._parts is not None:
            self._parts.give_back()

    def really_close(self) -> None:
        self._parts = None
        super().close()


class _Parts:
    """A selector and a self-pipe, lent to one loop at a time.

    Args:
        idle: where it puts itself while no loop uses it.
    """

    def __init__(self, idle: list[_Parts]) -> None:
        self._idle = idle
        self._process = os.getpid()
        self._selector = _LentSelector(self)
        self._self_pipe = socket.socketpair()
        for end in self._self_pipe:
            end.setblocking(False)
        self._wake_up = _asyncio_compat.WakeUp()
        self._selector.register(
            self._self_pipe[0], selectors.EVENT_READ, self._wake_up.registration
        )
        self._borrower: _asyncio_compat.LentPartsEventLoop | None = None

    def are_usable(self) -> bool:
        """Whether a new loop may have them: a child process shares them with its parent."""
        return self._process == os.getpid()

    def lend(self) -> asyncio.AbstractEventLoop:
        """A new loop that has them until it is closed."""
        self._borrower = _asyncio_compat.LentPartsEventLoop(
            self._selector, self._self_pipe, self._wake_up
        )
        return self._borrower

    def give_back(self) -> None:
        """Take the parts back from a loop that is closing."""
        borrower, self._borrower = self._borrower, None
        was_woken = borrower is None or borrower.was_woken
        left_behind = len(self._selector.get_map()) != 1
        closed = -1 in (self._self_pipe[0].fileno(), self._self_pipe[1].fileno())
        if left_behind or closed or (was_woken and not self._empty_pipe()):
            self.close()
        else:
            self._idle.append(self)

    def close(self) -> None:
        """Close them for good."""
        self._selector.really_close()
        for end in self._self_pipe:
            end.close()

    def _empty_pipe(self) -> bool:
        """Read what woke nobody any more, so that it does not wake the next loop."""
        try:
            while self._self_pipe[0].recv(4096):
                pass
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
