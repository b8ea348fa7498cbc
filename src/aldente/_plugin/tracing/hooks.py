"""The hooks that record a trace of the tests and write it; registered with ``--aldente-trace``."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from aldente import _asyncio_compat
from aldente._own_errors import contained
from aldente._plugin import output_files
from aldente._plugin.explore.state import explored_test
from aldente._plugin.options import settings_of
from aldente._plugin.session import SessionState
from aldente._plugin.tracing.explored import Event
from aldente._plugin.tracing.recorder import Recorder
from aldente._report.lanes import lanes_of
from aldente._version import __version__

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
        self.recorder = Recorder(settings_of(config).slow_step, config.rootpath)
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
