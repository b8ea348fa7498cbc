"""The only module that touches private names of Python's standard library, those of asyncio apart.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import warnings
from collections.abc import Callable
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    OnUnawaited = Callable[[CoroutineType[Any, Any, Any]], None]


def receiver() -> object:
    """What receives warnings now; another one while somebody records them.

    ``catch_warnings(record=True)``, and so ``pytest.warns``, put the list that they fill in its
    place. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return warnings._showwarnmsg_impl  # type: ignore[attr-defined]


def replace_on_unawaited(function: OnUnawaited) -> OnUnawaited:
    """Have Python call a function when a coroutine is freed that was never awaited.

    Python's own function gives a warning that names the coroutine in its text only. It is looked up
    by its name whenever it is called. Checked on CPython 3.11, 3.12 and 3.13.

    Returns:
        The function that was called before.
    """
    before: OnUnawaited = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    warnings._warn_unawaited_coroutine = function  # type: ignore[attr-defined]
    return before


def frames_of_threads() -> dict[int, FrameType]:
    """The frame that each thread is running now, by the thread's identifier.

    ``sys._current_frames`` is documented; its name says that it is for debuggers. Checked on
    CPython 3.11, 3.12 and 3.13.
    """
    return sys._current_frames()


def newest_thread() -> threading.Thread | None:
    """The thread that was started last, of those that run.

    ``threading.enumerate`` makes a list of all under a lock, too much for what is asked whenever
    time passes. ``_active`` is where it finds them, in the order of their start. Checked on CPython
    3.11, 3.12 and 3.13.
    """
    for thread in reversed(_ACTIVE_THREADS.values()):
        return thread
    return None


_ACTIVE_THREADS: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]


def replace_random_bytes(function: Callable[[int], bytes]) -> Callable[[], None]:
    """Have a function give the random bytes of the system, for `secrets`, `uuid.uuid4` and others.

    `random` has imported ``os.urandom`` by name. Checked on CPython 3.11, 3.12 and 3.13.

    Returns:
        What puts the system's back.
    """
    before = os.urandom, random._urandom  # type: ignore[attr-defined]
    os.urandom = random._urandom = function  # type: ignore[attr-defined]

    def restore() -> None:
        os.urandom, random._urandom = before  # type: ignore[attr-defined]

    return restore


def workers_of(executor: object) -> int:
    """How many threads a thread pool may have.

    Only its constructor is told. Checked on CPython 3.11, 3.12 and 3.13.
    """
    return getattr(executor, "_max_workers", 1)


def check_not_shut_down(executor: object) -> None:
    """Raise what a thread pool's ``submit`` raises once it was shut down.

    ``_shutdown`` is the only sign of it before something is submitted. Checked on CPython 3.11,
    3.12 and 3.13.

    Raises:
        RuntimeError: it was shut down.
    """
    if getattr(executor, "_shutdown", False):
        raise RuntimeError("cannot schedule new futures after shutdown")
