"""What every task of every test did and when, as a trace for viewers: ``--aldente-trace``.

It has the Trace Event Format (Google 2016), which Perfetto and chrome://tracing open. A process of
the trace is a test, a thread is a task, and thread 0 has the loop's other callbacks. The steps of
an explored run take no time of the loop, so each is drawn as long as the others: what a trace shows
of such a run is the order of the steps, and which step made which one ready.

Imported with the option only.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._diagnosis.await_graph import wait_in_words
from aldente._diagnosis.waiting import look_at
from aldente._own_errors import contained, containing
from aldente._plugin import output_files
from aldente._plugin.explore.state import explored_test
from aldente._plugin.options import settings_of
from aldente._plugin.session import SessionState
from aldente._records import Finding, SourcePlace
from aldente._report.lanes import Lanes, LaneStep, lanes_of
from aldente._source import is_own, is_users, place_of, source_line
from aldente._system import ORIGINALS
from aldente._version import __version__

Event = dict[str, Any]

# The length of a step, in microseconds.
STEP = 1_000


def events_of_run(lanes: Lanes, name: str, process: int) -> Iterator[Event]:
    """The events of a run.

    Args:
        lanes: the run.
        name: the name of the process of the trace.
        process: its number.
    """
    yield _name("process", name, process, 0)
    for thread, lane in enumerate(lanes["lanes"]):
        shown = f"{lane['name']}, {lane['call']}" if lane["call"] else lane["name"]
        yield _name("thread", shown, process, thread)
    waiting: dict[int, tuple[int, str]] = {}
    for place, step in enumerate(lanes["steps"]):
        thread = step["lane"]
        common = {"pid": process, "tid": thread, "ts": place * STEP}
        if "event" in step.get("marks", ()):
            mark = {"name": step["words"], "cat": "event", "ph": "i", "s": "t"}
            yield {**mark, **common, "args": _details(lanes, step)}
            continue
        if thread in waiting:
            since, words = waiting.pop(thread)
            length = place * STEP - since
            if length:
                yield {
                    "name": words,
                    "cat": "wait",
                    "ph": "X",
                    **common,
                    "ts": since,
                    "dur": length,
                    "args": {},
                }
        yield from _step(lanes, step, common)
        then = step.get("then", "")
        if then.startswith(("waits", "lets")):
            waiting[thread] = (place + 1) * STEP, then


def _step(lanes: Lanes, step: LaneStep, common: Event) -> Iterator[Event]:
    """The slice of a step, and the arrow from the step that has made it ready."""
    marks = step.get("marks", [])
    yield {
        "name": f"{step['number']}: {step['words']}",
        "cat": ",".join(["step", *marks]),
        "ph": "X",
        **common,
        "dur": STEP,
        "args": _details(lanes, step),
        **({"cname": "terrible"} if "failing" in marks or "switch" in marks else {}),
    }
    waker = step.get("woken_in")
    if waker is None:
        return
    # The numbers of arrows belong to the whole trace.
    arrow = {"name": "wakes", "cat": "wakes", "id": f"{common['pid']}.{step['number']}"}
    thread = lanes["steps"][waker]["lane"]
    begin = {"pid": common["pid"], "tid": thread, "ts": waker * STEP + STEP // 2}
    yield {**arrow, "ph": "s", **begin, "args": {}}
    yield {**arrow, "ph": "f", "bp": "e", **common, "args": {}}


def _details(lanes: Lanes, step: LaneStep) -> Event:
    """What is known of a step."""
    details: Event = {"loop time": step["time"]}
    if "then" in step:
        details["then"] = step["then"]
    for key, place in (("at", step.get("at")), ("stopped at", step.get("stop"))):
        if place is not None:
            details[key] = f"{lanes['files'][place[0]]}:{place[1]}"
    if "instead_of" in step:
        details["before"] = step["instead_of"]
    uses = [use["words"] for use in step.get("uses", ())]
    if uses:
        details["uses"] = "; ".join(uses)
    return details


def _name(kind: str, name: str, process: int, thread: int) -> Event:
    return {
        "name": f"{kind}_name",
        "ph": "M",
        "pid": process,
        "tid": thread,
        "args": {"name": name},
    }


_now = ORIGINALS["perf_counter_ns"]

# The thread of the trace that has the callbacks that are no steps of tasks.
_CALLBACKS = 0


class TraceRecorder:
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
        # The name of the test; None once it is written, with the first event of the test.
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


OPTION = "--aldente-trace"


def register(config: pytest.Config, state: SessionState) -> None:
    """Record a trace if the option asks for one.

    Raises:
        pytest.UsageError: its file can't be written.
    """
    hooks = TraceHooks(config)
    if not hasattr(config, "workerinput"):
        output_files.reject_unwritable(OPTION, hooks.path)
    state.installed.enter_context(_asyncio_compat.observing_callbacks(hooks.recorder.observe))
    state.collector.listeners.append(hooks.recorder.note)
    config.pluginmanager.register(hooks, "aldente-trace")


class TraceHooks:
    """Records each test as a process of the trace, and writes all of them.

    Args:
        config: pytest's configuration.

    Attributes:
        path: the file.
        recorder: records what loops do.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.path = Path(config.invocation_params.dir, str(config.getoption("aldente_trace")))
        self.recorder = TraceRecorder(settings_of(config).slow_step, config.rootpath)
        # The traces of pytest-xdist's workers.
        self._others: list[list[Event]] = []

    # Before what sets up fixtures.
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.recorder.begin_test(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        explored = explored_test(item)
        outcome = None if explored is None else explored.outcome
        if call.when == "call" and outcome is not None and outcome.failure is not None:
            with contained("recording a run for the trace"):
                self.recorder.add_run(item.nodeid, lanes_of(outcome.failure.steps))
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Missing if the worker crashed.
        events = getattr(node, "workeroutput", {}).get("aldente_trace")
        if events:
            self._others.append(events)

    # After the loops of wide fixtures have ended.
    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["aldente_trace"] = self.recorder.events
            return
        trace = {
            "traceEvents": joined([self.recorder.events, *self._others]),
            "displayTimeUnit": "ms",
            "otherData": {"program": f"aldente {__version__}"},
        }
        output_files.write(session, OPTION, self.path, json.dumps(trace))


def joined(traces: list[list[Event]]) -> list[Event]:
    """The events of several traces, whose tests have numbers that are all different.

    >>> [event["pid"] for event in joined([[{"pid": 1}, {"pid": 2}], [], [{"pid": 1}]])]
    [1, 2, 3]
    """
    found: list[Event] = []
    last = 0
    for events in traces:
        found += [{**event, "pid": event["pid"] + last} for event in events]
        last = max((event["pid"] for event in found), default=0)
    return found
