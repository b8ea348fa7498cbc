"""What the tests of the plugin share: running pytest on a small project, as a user would."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import unittest.mock  # noqa: F401
from collections.abc import Callable, Generator, Sequence
from typing import IO

import pytest

from tests.fork_server.packages import read_once
from tests.fork_server.whole_package import import_all
from tests.forks import run_pytest

# A run in this process forgets what it has imported itself: every run would import asyncio again, and
# what a test patches would not be what the run uses. Of unittest.mock the package unittest would know
# a module that is none of sys.modules, where pytest looks.
import_all()
read_once()

RunProject = Callable[..., pytest.RunResult]
SetConstant = Callable[[str, float], None]


@pytest.fixture
def run_project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunProject:
    """Writes modules given by name (``test_it`` and ``conftest`` for example) and runs pytest.

    Positional arguments go to pytest; ``ini`` is added to its configuration file. Of the installed
    plugins only aldente is loaded, and those named in ``plugins`` by entry point. The run is in a
    process of its own when ``subprocess=True``, which is a fork of one that has imported pytest
    (tests/forks.py); in a new one when ``fresh=True``; else it is in this one, which is fastest.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # With these pytest and aldente print more.
    for name in ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)

    def run(
        *arguments: str,
        ini: str = "",
        plugins: Sequence[str] = (),
        subprocess: bool = False,
        fresh: bool = False,
        **modules: str,
    ) -> pytest.RunResult:
        # Hypothesis says the last when it is imported, as the collector does not know what holds
        # objects that tests/conftest.py has it leave out.
        pytester.makeini(
            f"[pytest]\nfilterwarnings =\n    error\n    ignore:Module already imported:pytest.PytestAssertRewriteWarning\n    ignore:It looks like `register_random`\n{ini}"
        )
        if modules:
            pytester.makepyfile(**modules)
        options = ["-p", "no:cacheprovider", *arguments]
        for plugin in ("aldente", *plugins):
            options += ["-p", plugin]
        if not (subprocess or fresh):
            # Each run collects garbage at its end, several times. What earlier runs have left alive
            # would be looked through each time.
            gc.collect()
            gc.freeze()
            with _no_current_loop():
                return pytester.runpytest_inprocess(*options)
        with monkeypatch.context() as patch:
            if not fresh:
                patch.setattr(pytester, "popen", _Forked)
            return pytester.runpytest_subprocess(*options)

    return run


@contextlib.contextmanager
def _no_current_loop() -> Generator[None]:
    """As in a new process: what one run leaves current is not there in the next of this process."""
    policy = asyncio.events._event_loop_policy  # type: ignore[attr-defined]
    asyncio.events._event_loop_policy = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        asyncio.events._event_loop_policy = policy  # type: ignore[attr-defined]


class _Forked:
    """A run of pytest in a fork, which has ended; for `pytest.Pytester.run`."""

    stdin = None

    def __init__(
        self, command: Sequence[str], stdout: IO[str], stderr: IO[str], **_others: object
    ) -> None:
        folder = os.getcwd()
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
        _, _, *arguments = command
        self._status = run_pytest(
            arguments,
            environment={**os.environ, "PYTHONPATH": path},
            folder=folder,
            stdout=stdout,
            stderr=stderr,
        )

    def wait(self) -> int:
        return self._status


@pytest.fixture
def set_constant(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> SetConstant:
    """Gives a constant of aldente another value, in this process and in those that the test starts.

    It makes waits shorter that have no effect but that the user is told later. A test that needs
    something to end within such a wait keeps the real value.
    """
    lines: list[str] = []
    pytester.syspathinsert()

    def set_one(name: str, value: float) -> None:
        monkeypatch.setattr(name, value)
        module, _, constant = name.rpartition(".")
        lines.append(f"import {module}\n{module}.{constant} = {value}\n")
        (pytester.path / "other_constants.py").write_text("".join(lines), encoding="utf-8")
        monkeypatch.setenv("PYTEST_PLUGINS", "other_constants")

    return set_one


@pytest.fixture
def quick_deadlocks(set_constant: SetConstant) -> None:
    """Deadlocks on loops of real time are found after a fifth of a second, instead of after one."""
    set_constant("aldente._rules.deadlock.LIMIT", 0.2)
