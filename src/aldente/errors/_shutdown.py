"""The exceptions of loops that do not end."""

from __future__ import annotations

from collections.abc import Sequence

from aldente.errors._base import AldenteError


class BlockedEnd(AldenteError):
    """A task blocked an event loop during the shutdown of the loop.

    Args:
        seconds: the limit, in seconds.

    >>> BlockedEnd(30.0).seconds
    30.0
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            "What was left on the event loop at the end of its scope blocked the loop and had not "
            f"ended after {self.seconds:g} s, so it was interrupted.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Fix: let CancelledError through (re-raise it after cleaning up), and await what "
            "waits, or do it in a thread with asyncio.to_thread()."
        )


class StuckShutdown(AldenteError):
    """An async generator or executor job, which can't be cancelled, did not end with its scope.

    Args:
        what: ``"an async generator"`` or ``"an executor job"``.
        seconds: how long aldente waited for it, in seconds.

    >>> StuckShutdown("an executor job", 60.0).what
    'an executor job'
    """

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(what, seconds)

    def __str__(self) -> str:
        return (
            f"{self.what[0].upper()}{self.what[1:]} that was started on the event loop did not end "
            f"within {self.seconds:g} s of its scope's end, and was given up.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Fix: end what it waits for before the test ends, or bound the wait; for an executor "
            "job by an event that it looks at, for an async generator by closing it with aclose()."
        )


class StuckTasks(AldenteError):
    """Tasks kept running after their cancellation, and aldente gave them up.

    Args:
        tasks: one line for each task: its name, its coroutine and where it waits.
        seconds: how long aldente waited for them, in seconds of loop time.

    >>> StuckTasks(["'worker' at app.py:12"], 10.0).seconds
    10.0
    """

    def __init__(self, tasks: Sequence[str], seconds: float) -> None:
        self.tasks = list(tasks)
        self.seconds = seconds
        super().__init__(self.tasks, seconds)

    def __str__(self) -> str:
        lines = "\n".join(f"  {task}" for task in self.tasks)
        return (
            f"{len(self.tasks)} task(s) did not end within {self.seconds:g} s of being cancelled "
            f"and were given up:\n{lines}\n"
            "A task that swallows CancelledError cannot be stopped; in production it holds up the "
            "shutdown.\n"
            "Fix: let CancelledError through (re-raise it after cleaning up), and bound what the "
            "task awaits in its 'finally'."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
