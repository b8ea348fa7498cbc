"""Threads and locks of the operating system, whatever ``_thread`` has been made to give.

gevent's ``monkey.patch_all()`` replaces the functions of ``_thread`` by some that make greenlets.
What watches event loops from a thread of its own would then be a greenlet: it waits without giving
way to others, so that the process stands still. gevent keeps the functions of Python, and tells
them. An identifier is that of the system's thread too, as ``sys._current_frames`` knows no other.
"""

from __future__ import annotations

import _thread
import sys
from typing import Any


def _of_python(name: str) -> Any:
    """A function of ``_thread``, as Python has it."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(_thread, name)
    return monkey.get_original("_thread", name)


allocate_lock = _of_python("allocate_lock")
RLock = _of_python("RLock")
start_new_thread = _of_python("start_new_thread")
get_ident = _of_python("get_ident")
if sys.version_info >= (3, 13):
    start_joinable_thread = _of_python("start_joinable_thread")
