"""`Evidence`: what the pictures of a failure need, and is gone when pytest reports the failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aldente._diagnosis.waits import AwaitGraph
from aldente._doubles import state as doubles
from aldente._doubles.calls import Call
from aldente._own_errors import containing
from aldente._plugin.run.outcomes import behind
from aldente._report import calls, timers, waits
from aldente._report.failures import Panel, PanelKind
from aldente._runner.settle import SettlingLoop
from aldente._virtual_time.clock import pending_timers

# The attribute of an exception with the test that it has failed, and what its pictures show.
_ATTRIBUTE = "_aldente_evidence"

# How many calls of doubles are kept, the last ones.
_MOST_CALLS = 500

_TITLES: dict[PanelKind, str] = {
    "waits": "Which task waits for what",
    "calls": "Calls of doubles",
    "timers": "Pending timers",
    "operations": "Operations that no order explains",
}


def panel(kind: PanelKind, data: Any) -> Panel:
    """What a picture shows, with its title."""
    return {"kind": kind, "title": _TITLES[kind], "data": data}


class Evidence:
    """Collects what the pictures of failures show, before it is gone.

    It stays with the exception, as plain values, and goes with it.

    Args:
        folder: paths within it are shown relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._test = ""
        self._calls: deque[Call] = deque(maxlen=_MOST_CALLS)
        self._called = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, note the calls of doubles."""
        doubles.listeners.append(self._note)
        try:
            yield
        finally:
            doubles.listeners.remove(self._note)

    def begin(self, test: str = "") -> None:
        """Forget what was noted, as another test begins, or the last one has ended.

        Args:
            test: the node id of the test that begins.
        """
        self._test = test
        self.begin_run()

    def begin_run(self) -> None:
        """Forget the calls of doubles: another run of the same test begins."""
        self._calls.clear()
        self._called = 0

    def _note(self, call: Call) -> None:
        self._calls.append(call)
        self._called += 1

    @containing("collecting what the pictures of a failure show", None)
    def keep(
        self,
        error: BaseException,
        loop: asyncio.AbstractEventLoop,
        graph: AwaitGraph | None = None,
        main: str | None = None,
    ) -> None:
        """Keep what is there now with the exception that fails the test.

        Args:
            error: the exception.
            loop: the loop of the run.
            graph: which tasks wait for what; None if that has nothing to do with the failure.
            main: the name of the main task of the graph.
        """
        panels: list[Panel] = []
        if graph is not None and graph.tasks:
            panels.append(panel("waits", waits.collect(graph, main=main, folder=self._folder)))
        panels += self.calls(loop.time())
        # Elsewhere the times of timers mean nothing to a test.
        ahead = pending_timers(loop) if isinstance(loop, SettlingLoop) else ()
        if ahead:
            shown = timers.collect(loop.time(), ahead, folder=self._folder)
            panels.append(panel("timers", shown))
        vars(error)[_ATTRIBUTE] = (self._test, panels)

    def keep_first(self, error: BaseException, loop: asyncio.AbstractEventLoop) -> None:
        """Keep what is there now, unless `keep` was called for the exception when it was made."""
        if self.of(error) is None:
            self.keep(error, loop)

    def calls(self, now: float | None = None) -> list[Panel]:
        """The picture of the calls so far; none without any.

        Args:
            now: the time of the loop; None if no one loop is known.
        """
        if not self._calls:
            return []
        kept = list(self._calls)
        others = self._called - len(kept)
        shown = calls.collect(kept, folder=self._folder, now=now, others=others)
        return [panel("calls", shown)]

    def of(self, error: BaseException) -> list[Panel] | None:
        """What was kept with an exception of the current test, or those behind it; else None."""
        for each in behind(error):
            test, panels = vars(each).get(_ATTRIBUTE, (None, None))
            if panels is not None and test == self._test:
                kept: list[Panel] = panels
                return kept
        return None
