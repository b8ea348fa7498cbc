"""Has ``time.sleep()`` in a job of an executor take loop time, as the sleep of a task does."""

from __future__ import annotations

import functools
import math
import threading
import time
from types import TracebackType
from typing import Any

from aldente import _clocks
from aldente._simulation.executors import job_of


class BlockingSleep:
    """Replaces ``time.sleep`` while a simulated loop runs; a context manager.

    Code that has imported the function by name keeps the real one, which takes real time.
    """

    def __init__(self) -> None:
        self._original: Any = None
        self._own: Any = None

    def __enter__(self) -> None:
        found: Any = time.sleep
        # Ours may have stayed, if other code had replaced it and has put it back since.
        if getattr(found, "__code__", None) is not _CODE:
            self._original, self._own = found, _sleep_of_jobs(found)
            time.sleep = self._own

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Left alone while other code has replaced it: it does no harm beneath.
        if self._own is not None and time.sleep is self._own:
            time.sleep = self._original
        self._original = self._own = None


@functools.lru_cache(maxsize=8)
def _sleep_of_jobs(original: Any) -> Any:
    @functools.wraps(original)
    def sleep(seconds: Any, /) -> None:
        __tracebackhide__ = True
        job = job_of(threading.get_ident())
        is_length = isinstance(seconds, int | float) and 0 < seconds < math.inf
        if job is None or not is_length or not job.sleep(seconds):
            # Anything that is no length of time is an error, which the original raises.
            original(seconds)

    return sleep


_CODE = _sleep_of_jobs(_clocks.sleep).__code__
