"""The only module that touches private names of asyncio.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
from collections.abc import Callable
from typing import Any


def hide_task(task: asyncio.Task[Any]) -> None:
    """Take a task out of ``asyncio.all_tasks()`` until `show_task` puts it back.

    ``_unregister_task`` is documented under "Extending asyncio" for task implementations of third
    parties, but not exported by the stubs. Checked on CPython 3.11, 3.12 and 3.13.
    """
    asyncio.tasks._unregister_task(task)


def show_task(task: asyncio.Task[Any]) -> None:
    """Put a task back into ``asyncio.all_tasks()``; the counterpart of `hide_task`."""
    asyncio.tasks._register_task(task)


def is_loop_running_here() -> bool:
    """Whether an event loop is running in this thread.

    ``_get_running_loop`` is documented as the form of ``get_running_loop`` that does not raise; it
    is several times cheaper than catching an exception. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return asyncio._get_running_loop() is not None


def may_have_tasks(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `asyncio.all_tasks` may have tasks of the loop; False only if it surely does not.

    ``_scheduled_tasks`` and ``_eager_tasks`` (3.12 and 3.13; ``_all_tasks`` on 3.11) hold the tasks
    of all loops, so when they are empty there are none. Asking costs a tenth of listing them.
    Checked on CPython 3.11, 3.12 and 3.13; later ones keep their tasks elsewhere and are asked for
    the list.
    """
    return any(_TASK_SETS) if _TASK_SETS else True


_TASK_SETS = [
    getattr(asyncio.tasks, name)
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    if hasattr(asyncio.tasks, name) and sys.version_info < (3, 14)
]


def may_have_async_generators(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may know unfinished async generators; False only if it surely does not.

    ``_asyncgens`` is a weak set of ``BaseEventLoop``. Loops without it (uvloop) answer True, and
    are asked to shut down whatever they have. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return bool(getattr(loop, "_asyncgens", True))


def may_have_default_executor(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop may have started its default executor; False only if it surely did not.

    ``_default_executor`` is None on ``BaseEventLoop`` until ``run_in_executor(None, ...)`` is first
    called. Loops without it (uvloop) answer True. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return getattr(loop, "_default_executor", True) is not None


def silence_destroyed_task(task: asyncio.Task[Any]) -> None:
    """Keep a task that was given up from logging "Task was destroyed but it is pending!".

    ``_log_destroy_pending`` is the switch asyncio uses itself in ``run_until_complete`` and
    ``gather`` for tasks it has already accounted for. Checked on CPython 3.11, 3.12 and 3.13.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def is_policy_untouched() -> bool:
    """Whether `asyncio.new_event_loop` makes asyncio's own kind of loop.

    ``_event_loop_policy`` is None or asyncio's own policy until somebody sets another one. The
    public ``get_event_loop_policy`` warns since CPython 3.14. Checked on CPython 3.11, 3.12 and
    3.13.
    """
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    return policy is None or type(policy).__module__.startswith("asyncio.")


class _NoLoop:
    """Stands for a loop that is only asked whether it is in debug mode."""

    def get_debug(self) -> bool:
        return False


class WakeUp:
    """What a selector keeps with a self-pipe's reading end that is lent to one loop at a time.

    ``BaseSelectorEventLoop`` expects an `asyncio.Handle` there. Registering a new one for each loop
    would cost as much as the rest of making it; this one follows the loop instead. ``_loop`` is
    where a handle keeps its loop and ``_read_from_self`` empties the pipe. Checked on CPython 3.11,
    3.12 and 3.13.
    """

    def __init__(self) -> None:
        # A handle asks its loop whether it is in debug mode, and no loop is there yet.
        nobody: Any = _NoLoop()
        self._handle: Any = asyncio.Handle(self._read, (), nobody)

    @property
    def registration(self) -> tuple[object, None]:
        """The handles for reading and writing, as the loop's selector keeps them."""
        return self._handle, None

    def follow(self, loop: LentPartsEventLoop | None) -> None:
        """Wake that loop from now on; None while the self-pipe is lent to nobody."""
        self._handle._loop = loop

    def _read(self) -> None:
        self._handle._loop._read_from_self()


class LentPartsEventLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop on a selector and a self-pipe that it is lent instead of making them.

    Making and closing them is two thirds of the cost of a new loop. ``_make_self_pipe`` and
    ``_close_self_pipe`` are the methods with which ``BaseSelectorEventLoop`` makes and closes the
    pair of sockets through which threads and signals wake it, and ``_write_to_self`` is how threads
    do; there is no public way to pass a pair in. Checked on CPython 3.11, 3.12 and 3.13.

    Args:
        selector: a selector in which the reading end of the self-pipe is registered, and nothing
            else; the loop closes it as its own.
        self_pipe: two connected non-blocking sockets, to read from and to write to; not closed.
        wake_up: what is registered beside the reading end.

    Attributes:
        was_woken: whether there may be something in the pipe.
    """

    # Private attributes that the stubs do not know.
    _internal_fds: int
    _ssock: socket.socket | None
    _csock: socket.socket | None

    def __init__(
        self,
        selector: selectors.BaseSelector,
        self_pipe: tuple[socket.socket, socket.socket],
        wake_up: WakeUp,
    ) -> None:
        self._self_pipe = self_pipe
        self._wake_up = wake_up
        self.was_woken = False
        super().__init__(selector)

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Add a handler of a signal, which will write to the self-pipe."""
        self.was_woken = True
        super().add_signal_handler(sig, callback, *args)

    def _write_to_self(self) -> None:
        self.was_woken = True
        super()._write_to_self()  # type: ignore[misc]

    def _make_self_pipe(self) -> None:
        self._ssock, self._csock = self._self_pipe
        self._internal_fds += 1
        self._wake_up.follow(self)

    def _close_self_pipe(self) -> None:
        self._wake_up.follow(None)
        self._ssock = self._csock = None
        self._internal_fds -= 1
