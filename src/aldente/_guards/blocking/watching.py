"""Who wants to know of blocking calls, and how they are told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._guards.blocking.calls import BlockingCall, Topic
from aldente._guards.blocking.frames import find_caller
from aldente._guards.blocking.wording import finding_of
from aldente._own_errors import contained, containing
from aldente._records import Finding

Report = Callable[[Finding], object]


class Watcher(NamedTuple):
    """Somebody who wants to know.

    Attributes:
        report: receives the findings.
        groups: groups of calls that are reported on demand only.
    """

    report: Report
    groups: Collection[str]


# The innermost last; only that one is told.
watchers: list[Watcher] = []

# The threads that are in a blocking call that was reported. What it calls in turn is the same
# finding, and what reporting itself calls is none.
_busy_threads: set[int] = set()


def is_watched_here() -> bool:
    """Whether blocking calls in this thread are to be reported now."""
    return (
        bool(watchers)
        and _asyncio_compat.is_loop_running_here()
        and threading.get_ident() not in _busy_threads
    )


@contextlib.contextmanager
def reporting(call: BlockingCall, frame: FrameType | None) -> Iterator[None]:
    """Report a call, if it is a finding; what is called within is then not reported again.

    Args:
        call: the call. `is_watched_here` was asked before.
        frame: the innermost frame of the call.
    """
    watcher = watchers[-1]
    is_wanted = call.topic is not Topic.FILES or "files" in watcher.groups
    caller = _find_caller(frame) if is_wanted else None
    if caller is None:
        yield
        return
    thread = threading.get_ident()
    _busy_threads.add(thread)
    try:
        with contained("reporting a blocking call"):
            watcher.report(finding_of(call, caller))
        yield
    finally:
        _busy_threads.discard(thread)


_find_caller = containing("looking for the caller of a blocking call", None)(find_caller)
