"""What the tests of the plugin share: running pytest on a small project, as a user would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# Imported here because a run in this process forgets what it has imported itself: every run would
# import asyncio again, and what a test patches would not be what the run uses.
import aldente._plugin.running.fixtures
import aldente._plugin.running.tests  # noqa: F401

RunProject = Callable[..., pytest.RunResult]


@pytest.fixture
def run_project(pytester: pytest.Pytester) -> RunProject:
    """Writes modules given by name (``test_it`` and ``conftest`` for example) and runs pytest.

    Positional arguments go to pytest. The run is in a process of its own when ``subprocess=True``;
    else it is in this process, which is much faster.
    """

    def run(*arguments: str, subprocess: bool = False, ini: str = "", **modules: str) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        if modules:
            pytester.makepyfile(**modules)
        options = ("-p", "no:cacheprovider", *arguments)
        if subprocess:
            return pytester.runpytest_subprocess(*options)
        return pytester.runpytest_inprocess(*options)

    return run
