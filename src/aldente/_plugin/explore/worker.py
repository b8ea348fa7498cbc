"""What a worker process of ``--aldente-workers`` does: a run of pytest that another one commands.

It collects the same tests, sets up the explored test that it is told to, and does batches of its
runs. It ends without a report of its own, so that no file of the other run is written twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Any

import pytest

from aldente._clocks import monotonic
from aldente._explore.batches import Batch, Bounds, run_batch
from aldente._explore.simulate import Program
from aldente._plugin.explore.channel import Channel, Closed, Raised, take_channel
from aldente._plugin.explore.run import FoundInRuns
from aldente._plugin.run.outcomes import unwrapped

# How long the runs under way may go on when the commanding run is gone, in seconds.
_END_WITHIN = 5.0

_key = pytest.StashKey["WorkerLoop"]()


def register(config: pytest.Config) -> None:
    """Make this run of pytest a worker."""
    channel = take_channel()
    # Ctrl-C is for the run that commands it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config.stash[_key] = loop = WorkerLoop(channel)
    config.pluginmanager.register(loop, "aldente-worker")


def worker_of(config: pytest.Config) -> WorkerLoop | None:
    """The loop of this worker; None in other runs of pytest."""
    return config.stash.get(_key, None)


class WorkerLoop:
    """Runs the tests that it is told to, instead of all that were collected.

    Args:
        channel: the channel to the commanding run.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._is_ready = False
        self._trouble = ""
        # Since when the commanding run has been gone; None while it is there.
        self._alone_since: float | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        # pytest's own plugin of this name, which tears fixtures down.
        runner: Any = session.config.pluginmanager.get_plugin("runner")
        if not session.testsfailed:
            # Else modules could not be collected.
            with contextlib.suppress(Closed):
                self._obey(items, runner)
        runner.pytest_sessionfinish(session=session)
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the end of the session, which would write reports and caches.
        os._exit(1 if session.testsfailed else 0)

    def _obey(self, items: dict[str, pytest.Item], runner: Any) -> None:
        before: pytest.Item | None = None
        while (message := self._channel.receive()) is not None:
            name, next_name = message
            item = items.get(name)
            self._is_ready, self._trouble = False, ""
            if item is not None:
                following = items.get(next_name)
                if before is not None:
                    # It may not be the one for which wide fixtures were kept.
                    runner.pytest_runtest_teardown(item=before, nextitem=item)
                before = item
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            # Why it could not be set up, empty if it was not collected; or that the test is over.
            self._channel.send(None if self._is_ready else self._trouble)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._is_ready and not report.passed:
            self._trouble = report.longreprtext or f"Its set-up was {report.outcome}."

    def end_if_alone(self) -> None:
        """End this process if the run that commands it is gone, and a run of the test goes on.

        Called from another thread while the test runs.
        """
        if not self._channel.is_closed:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = monotonic()
        elif monotonic() >= self._alone_since + _END_WITHIN:
            # It would go on for ever, and no run of pytest would take its result.
            os._exit(1)

    def serve(self, program: Program, found: FoundInRuns) -> None:
        """Do batches of the runs of a test that is set up, until there are no more.

        Args:
            program: the test.
            found: what rules have found in its runs.
        """
        self._is_ready = True
        self._channel.send(True)
        while (message := self._channel.receive()) is not None:
            self._channel.send(_reply(message, program, found))


def _reply(
    message: tuple[Batch, Bounds], program: Program, found: FoundInRuns
) -> tuple[Any, Any, bool]:
    """The result of a batch, what rules have found so far, and whether a baseline spared some."""
    try:
        result: Any = run_batch(program, *message)
    except BaseException as error:
        result = Raised.of(unwrapped(error))
    return result, found.taken, found.has_spared
