"""`Turn`: what the loop and the thread of a job hand to each other, so that one of them runs.

A thread that waits for others keeps the turn while the loop goes on, and may run beside the loop
once another thread or the loop has woken it. So the loop looks for such threads before each step,
and what it finds must not depend on how fast they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from aldente._runner import threads
from aldente._stacks import frames_of_threads, variables_of

# How long a thread that has the turn runs before the loop looks at it, in real seconds.
_LOOK = 0.001
# After how many looks in a row the loop takes a thread to wait: few when the system reports that it
# waits for another thread without a time-out; more when it may only be waiting for the GIL; many
# when it has not even begun, as there should be a worker for it.
_FEW, _MORE, _MANY = 3, 20, 1_000


class Rest(NamedTuple):
    """How a thread rests.

    Two looks that find a thread in the same system call find the same rest. In between it may have
    waited for the GIL, which looks like a wait without a time-out while it hands the GIL over.

    Attributes:
        looks: after how many looks in a row that find it so the loop takes it to wait.
        call: its system call; empty if it may have a time-out, or the system does not show it.
    """

    looks: int
    call: tuple[str, ...]


def rest_of(thread: threading.Thread | None) -> Rest | None:
    """How a thread rests; None if it seems to run.

    Args:
        thread: the thread; None for that of a job which has not begun.
    """
    if thread is None:
        return Rest(_MANY, ())
    call = threads.system_call(thread) if threads.FUTEX else []
    if threads.is_futex(call):
        return Rest(_FEW, tuple(call))
    wait = _wait_of(thread)
    if wait is None or (call and wait.get("timeout") is None):
        # In a wait without a time-out, another thread has woken it, and it is about to go on.
        return None
    waiters = getattr(wait["self"], "_waiters", None)
    if waiters is not None and wait["waiter"] not in waiters:
        # It was notified, and is about to go on.
        return None
    return Rest(_MORE, ())


def is_going(thread: threading.Thread) -> bool:
    """Whether a thread that the program has started runs, or could, as far as the system shows it.

    One that waits for anything but a lock goes on when that comes, and runs no sooner.
    """
    if thread.native_id is None:
        # It has not come to its first instruction.
        return True
    call = threads.system_call(thread)
    # It waits for the GIL while this thread looks.
    may_wait_for_gil = call[:1] == [threads.FUTEX] and rest_of(thread) is None
    return call == ["running"] or may_wait_for_gil


def _wait_of(thread: threading.Thread) -> dict[str, Any] | None:
    """The variables of the `threading.Condition.wait` in which a thread is; None without one."""
    frame = frames_of_threads().get(thread.ident or 0)
    if (
        frame is None
        or frame.f_code.co_name != "wait"
        or not frame.f_code.co_filename.endswith("threading.py")
    ):
        return None
    variables = variables_of(frame)
    return variables if "waiter" in variables else None


class Turn:
    """The turn of the thread of a job.

    Attributes:
        thread: the thread; None before the job has begun.
    """

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        # The turn is handed over by these semaphores, one for each direction.
        self._to_thread = threading.Semaphore(0)
        self._to_loop = threading.Semaphore(0)
        # How the thread rested when the loop last waited for it; None if it did not.
        self._rest: Rest | None = None

    # On the thread of the job.

    def give_back(self) -> None:
        """Give the turn to the loop."""
        self._to_loop.release()

    def wait(self) -> None:
        """Wait until the loop gives the turn to the thread."""
        self._to_thread.acquire()

    # On the thread of the loop.

    def give(self) -> None:
        """Give the turn to the thread."""
        self._to_thread.release()

    def comes_back(self, is_over: Callable[[], bool], may_go_on: Callable[[int], bool]) -> bool:
        """Wait in real time until the thread rests; return whether it has given the turn back.

        Args:
            is_over: returns whether to wait no longer.
            may_go_on: returns whether others run that may have it go on; called with the number of
                looks that have found it at rest.
        """
        looks = silent = least = 0
        self._rest = None
        while not self._to_loop.acquire(timeout=_LOOK):
            rest = rest_of(self.thread)
            looks, silent = (looks + 1, silent + 1) if rest == self._rest else (1, 1)
            self._rest = rest
            if rest is not None and may_go_on(looks):
                # Silence has to last: a thread that hands the GIL over seems to rest, and one that
                # ends leaves the list of threads before it wakes the one that waits for it.
                silent, least = 0, _MORE
            is_found = rest is not None and silent >= max(rest.looks, least)
            if is_found or is_over():
                return False
        return True

    def has_woken(self) -> bool:
        """Whether the thread, which waited for others, has stopped waiting.

        Where only a look at the thread shows it, this takes a moment, and the thread may go on.
        """
        rest = rest_of(self.thread)
        if (rest is None or not rest.call) and not self.is_given_back(_LOOK):
            rest = rest_of(self.thread)
        # The last thing to look at, as a thread that has given the turn back rests too.
        return rest != self._rest or self.is_given_back()

    def is_going(self) -> bool:
        """Whether the thread runs, or could, and has not given the turn back."""
        return rest_of(self.thread) is None and not self.is_given_back()

    def may_wake_by_itself(self) -> bool:
        """Whether what the thread waits for may have a time-out."""
        rest = rest_of(self.thread)
        return rest is None or not rest.call

    def is_given_back(self, seconds: float = 0.0) -> bool:
        """Whether the thread has given the turn back, or does within some real seconds."""
        is_given = self._to_loop.acquire(seconds > 0, seconds or None)
        if is_given:
            self._to_loop.release()
        return is_given
