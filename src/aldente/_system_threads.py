"""Threads and locks of the operating system, also where gevent has patched ``_thread``.

``gevent.monkey.patch_all()`` replaces the functions of ``_thread`` by functions that make
greenlets. The watchdog, which has a thread of its own, would then be a greenlet that never lets
others run, and the process would hang. ``gevent.monkey.get_original`` returns Python's own
functions. Identifiers of threads are the system's too, because ``sys._current_frames`` knows no
others.
"""

from __future__ import annotations

import _thread
import sys
from typing import Any


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
