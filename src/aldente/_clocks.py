"""The clocks of the system, taken before a library or a test can replace them.

Libraries that stop or move the time (freezegun, time-machine, a `unittest.mock.patch` of
``time.monotonic``) put others in the place of those in the module `time`, and of every module that
has them by name. How long something may take, and how long others are waited for, is never a matter
of what a test has done to the time. So this is imported first, and nothing else in aldente may take
a clock from `time`.

The functions are inside of others, because freezegun looks for the former in all modules.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

monotonic: Callable[[], float] = functools.partial(time.monotonic)
sleep: Callable[[float], None] = functools.partial(time.sleep)

# The functions themselves, by name, for those that look who calls them.
ORIGINALS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        name: getattr(time, name)
        for name in (
            *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
            *("process_time", "thread_time", "localtime", "gmtime"),
        )
    }
)
