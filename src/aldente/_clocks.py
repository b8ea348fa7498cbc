"""The clocks of the system, taken before a library or a test can replace them.

Libraries that stop or move the time (freezegun, time-machine, a `unittest.mock.patch` of
``time.monotonic``) replace the functions of the module `time`, and in every module that imported
them by name. aldente's time limits and waits must not depend on what a test does to the time. So
this module is imported first, and nothing else in aldente may take a clock from `time`.

Wrapper functions hide the originals, because freezegun searches all modules for them.
"""

from __future__ import annotations

import functools
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
