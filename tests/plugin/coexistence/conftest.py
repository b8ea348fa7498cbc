"""What the corpora of code that follows the rules share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.conftest import RunProject

CheckSilent = Callable[..., None]


@pytest.fixture
def check_silent(run_project: RunProject) -> CheckSilent:
    """Runs a project of which no rule may say anything; every finding would be an error in it.

    It takes what ``run_project`` does; ``passed`` is how many tests there are, all of which pass.
    """

    def check(*arguments: str, passed: int, ini: str = "", **project: object) -> None:
        result = run_project(
            *arguments, ini=f"{ini}\naldente_strict = true", subprocess=True, **project
        )
        assert result.parseoutcomes() == {"passed": passed}
        result.stdout.no_fnmatch_line("*aldente findings*")
        assert result.ret == pytest.ExitCode.OK

    return check
