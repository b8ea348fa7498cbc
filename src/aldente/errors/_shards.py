"""The exceptions of searches in several processes, and of those that go on for hours."""

from __future__ import annotations

from aldente.errors._base import AldenteError


class FailedElsewhere(AldenteError):
    """A run failed in a worker process, and its schedule passes in the process of the search.

    Args:
        text: the exception of the run with its traceback, as text.

    >>> FailedElsewhere("AssertionError").text
    'AssertionError'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return (
            "A run failed in a worker process, and its schedule passes in this process: the "
            "program depends on more than its schedule, such as on what a process has done "
            f"before. There it raised:\n{self.text}"
        )


class WorkersFailed(AldenteError, RuntimeError):
    """The workers of a search can't go on, so nothing is known of the rest of its runs.

    Args:
        what: what happened, in words.
        fix: what to do, in words.

    >>> print(WorkersFailed("a worker process died", "look at what it does."))
    The search could not go on: a worker process died
    Fix: look at what it does.
    """

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(what, fix)

    def __str__(self) -> str:
        return f"The search could not go on: {self.what}\nFix: {self.fix}"


class UnusableState(AldenteError):
    """A long search can't go on with a state directory.

    Args:
        folder: the directory.
        what: why not, in words.
        fix: what to do, in words.

    >>> UnusableState("soak", "its search has another seed: 1, and this one 2", "...").folder
    'soak'
    """

    def __init__(self, folder: str, what: str, fix: str) -> None:
        self.folder = folder
        self.what = what
        self.fix = fix
        super().__init__(folder, what, fix)

    def __str__(self) -> str:
        return f"The search can't use the directory {self.folder!r}: {self.what}\nFix: {self.fix}"


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
