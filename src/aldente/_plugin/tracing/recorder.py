"""Records the steps of tasks and their waits as events of the Trace Event Format.

Perfetto and chrome://tracing open them ("Trace Event Format", Google 2016). A process of the trace
is a test, a thread is a task, and thread 0 has the loop's other callbacks.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from pathlib import Path
from typing import Any

from aldente import _asyncio_compat
from aldente._clocks import ORIGINALS
from aldente._diagnosis.wait_words import wait_in_words
from aldente._diagnosis.waiting import look_at
from aldente._own_errors import containing
from aldente._plugin.tracing.explored import Event, events_of_run
from aldente._records import Finding, SourcePlace
from aldente._report.lanes import Lanes
from aldente._source import is_own, is_users, place_of, source_line

_now = ORIGINALS["perf_counter_ns"]

# The thread of the trace that has the callbacks that are no steps of tasks.
_CALLBACKS = 0


class Recorder:
    """Records what loops do, and what is found meanwhile.

    Args:
        slow_step: from how many seconds on a step is marked as slow.
        folder: what paths inside it are relative to.

    Attributes:
        events: the events so far.
    """

    def __init__(self, slow_step: float, folder: Path) -> None:
        self.events: list[Event] = []
        self._folder = folder
        self._slow_step = slow_step * 1e9
        self._began = _now()
        # Loops may run in several threads.
        self._lock = threading.Lock()
        self._test = 0
        # The name of the test; None once it is told, with the first event of the test.
        self._new_name: str | None = None
        self._threads: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._next_thread = _CALLBACKS + 1
        # The end of the last step of each task that waits, and the words for what it waits for.
        self._waits: weakref.WeakKeyDictionary[Any, tuple[int, str]] = weakref.WeakKeyDictionary()

    def begin_test(self, name: str) -> None:
        """Begin a process of the trace.

        Args:
            name: the node id of the test.
        """
        with self._lock:
            self._test += 1
            self._threads.clear()
            self._next_thread = _CALLBACKS + 1
            self._new_name = name

    def add_run(self, name: str, lanes: Lanes) -> None:
        """Add the failed run of an explored test, as a process of its own.

        Args:
            name: the node id of the test.
            lanes: its run.
        """
        inside = f"{self._folder}{os.sep}"
        shown: Lanes = {
            **lanes,
            "files": [path.removeprefix(inside) for path in lanes["files"]],
        }
        with self._lock:
            self._test += 1
            about = f"{name}: the run that failed (each step is drawn as 1 ms)"
            self.events += events_of_run(shown, about, self._test)

    @containing("recording a step for the trace", None)
    def observe(self, callback: Any, began: int, ended: int) -> None:
        """Record a callback of a loop that has run.

        Args:
            callback: the function that the loop has called.
            began: when, in nanoseconds.
            ended: when it returned.
        """
        task = _asyncio_compat.task_of_step(callback)
        with self._lock:
            if task is None:
                code = getattr(getattr(callback, "__func__", callback), "__code__", None)
                if code is not None and not is_own(code.co_filename):
                    self._add_slice(code.co_qualname, "callback", _CALLBACKS, began, ended, {})
                return
            thread = self._thread_of(task)
            waited = self._waits.pop(task, None)
            if waited is not None:
                since, words = waited
                self._add_slice(words, "wait", thread, since, began, {})
            outcome, place = self._after(task, ended)
            details = {"then": outcome, "loop time": task.get_loop().time()}
            if place is not None:
                details |= {"stopped at": self._shown(place), "source": source_line(place)}
            self._add_slice(_name_of(task), "step", thread, began, ended, details)

    def note(self, finding: Finding) -> None:
        """Record a finding, at the moment and in the task in which it is made."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        details = {"what": finding.what, "at": self._shown(finding.place)}
        if finding.made_by is not None:
            # Maybe an earlier test than the one that runs.
            details["test"] = finding.made_by
        with self._lock:
            about = f": {finding.subject}" if finding.subject else ""
            self._add(
                {
                    "name": f"{finding.rule}{about}",
                    "cat": "finding",
                    "ph": "i",
                    "s": "t",
                    "ts": self._microseconds(_now()),
                    "pid": self._test,
                    "tid": _CALLBACKS if task is None else self._thread_of(task),
                    "args": details,
                }
            )

    def _after(self, task: asyncio.Task[Any], now: int) -> tuple[str, SourcePlace | None]:
        """What a task does after a step, and the line where it waits."""
        if task.cancelled():
            return "is cancelled", None
        if task.done():
            error = _asyncio_compat.unseen_exception(task)
            return ("ends" if error is None else f"ends with {type(error).__name__}"), None
        live = look_at(task)
        words = wait_in_words(live)
        self._waits[task] = now, words or "waits"
        own = [link.frame for link in live.links if is_users(link.frame.f_code.co_filename)]
        return words or "waits", place_of(own[-1]) if own else None

    def _thread_of(self, task: asyncio.Task[Any]) -> int:
        number = self._threads.get(task)
        if number is None:
            number = self._threads[task] = self._next_thread
            self._next_thread += 1
            self._name("thread", task.get_name(), number)
        return number

    def _shown(self, place: SourcePlace | None) -> str:
        if place is None:
            return ""
        return str(SourcePlace.relative_to(place.path, place.line, self._folder))

    def _add(self, event: Event) -> None:
        name, self._new_name = self._new_name, None
        if name is not None:
            # Sync tests have no events, and so are no processes.
            self._name("process", name, _CALLBACKS)
            self._name("thread", "callbacks of the loop", _CALLBACKS)
        self.events.append(event)

    def _name(self, kind: str, name: str, thread: int) -> None:
        self._add(
            {
                "name": f"{kind}_name",
                "ph": "M",
                "pid": self._test,
                "tid": thread,
                "args": {"name": name},
            }
        )

    def _add_slice(
        self, name: str, category: str, thread: int, began: int, ended: int, details: Event
    ) -> None:
        event = {
            "name": name,
            "cat": category,
            "ph": "X",
            "ts": self._microseconds(began),
            "dur": (ended - began) / 1000,
            "pid": self._test,
            "tid": thread,
            "args": details,
        }
        if category != "wait" and ended - began >= self._slow_step:
            event |= {"cat": f"{category},slow", "cname": "terrible"}
        self._add(event)

    def _microseconds(self, moment: int) -> float:
        microseconds: float = (moment - self._began) / 1000
        return microseconds


def _name_of(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    return name
