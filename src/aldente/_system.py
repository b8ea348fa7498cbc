"""The clocks, threads and locks of the system, even if a library or a test has replaced them.

Libraries that stop or move the time (freezegun, time-machine, a `unittest.mock.patch` of
``time.monotonic``) replace the functions of the module `time`, and in every module that imported
them by name. aldente's time limits and waits must not depend on what a test does to the time. So
this module is imported first, and nothing else in aldente may take a clock from `time`. Wrapper
functions hide the originals, because freezegun searches all modules for them.

``gevent.monkey.patch_all()`` replaces the functions of ``_thread`` by functions that make
greenlets. The watchdog, which has a thread of its own, would then be a greenlet that never lets
others run, and the process would hang. ``gevent.monkey.get_original`` returns Python's own
functions. Identifiers of threads are the system's too, because ``sys._current_frames`` knows no
others.
"""

from __future__ import annotations

import _thread
import functools
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

monotonic: Callable[[], float] = functools.partial(time.monotonic)
sleep: Callable[[float], None] = functools.partial(time.sleep)

# The functions themselves, by name, for callers that need no wrapper.
ORIGINALS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        name: getattr(time, name)
        for name in (
            *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
            *("process_time", "thread_time", "localtime", "gmtime"),
        )
    }
)


def _of_python(name: str) -> Any:
    """Python's own function of ``_thread``."""
    # A stand-in for gevent, of a test or for documentation, has patched nothing.
    get_original = getattr(sys.modules.get("gevent.monkey"), "get_original", None)
    if get_original is None:
        return getattr(_thread, name)
    return get_original("_thread", name)


allocate_lock = _of_python("allocate_lock")
RLock = _of_python("RLock")
start_new_thread = _of_python("start_new_thread")
get_ident = _of_python("get_ident")
if sys.version_info >= (3, 13):
    start_joinable_thread = _of_python("start_joinable_thread")
