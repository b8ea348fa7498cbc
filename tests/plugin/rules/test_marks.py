"""The mark `aldente.rule`: levels of a test, class or module."""

from __future__ import annotations

import pytest

import aldente
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, run_with_findings

PROJECT = """
import asyncio
import time
import pytest
import aldente

@aldente.rule("blocking-call", "error")
async def test_error():
    time.sleep(0.001)

@aldente.rule("blocking-call", "off")
async def test_off():
    time.sleep(0.001)

async def test_plain():
    time.sleep(0.001)

@aldente.rule("never-awaited", "warn")
class TestClass:
    def test_sync(self):
        asyncio.sleep(1)

    @aldente.rule("never-awaited", "error")
    def test_closest(self):
        asyncio.sleep(1)

    @aldente.allow("never-awaited")
    def test_allowed(self):
        asyncio.sleep(1)

@aldente.rule("deadlock", "error")
async def test_hang():
    await asyncio.Event().wait()

@pytest.mark.parametrize(
    "number", [1, pytest.param(2, marks=aldente.rule("blocking-call", "error"))]
)
async def test_parameter(number):
    time.sleep(0.001)
"""


@pytest.mark.parametrize("elsewhere", ["off", "warn"])
def test_the_mark_beats_the_command_line(
    run_project: RunProject, pytester: pytest.Pytester, elsewhere: str
) -> None:
    """A mark sets the level for its tests, also of a rule that is off elsewhere; the closest counts."""
    result, findings = run_with_findings(
        run_project,
        pytester,
        f"--aldente-rule=blocking-call={elsewhere}",
        f"--aldente-rule=never-awaited={elsewhere}",
        f"--aldente-rule=deadlock={'off' if elsewhere == 'off' else 'error'}",
        subprocess=True,
        test_it=PROJECT,
    )
    result.assert_outcomes(failed=4, passed=5)
    errors = [finding for finding in findings if finding["level"] == "error"]
    assert in_short(errors) == [
        "blocking-call test_error call 8",
        "never-awaited TestClass::test_closest call 24",
        "deadlock test_hang call 32",
        "blocking-call test_parameter[2] call 38",
    ]
    warnings = [finding for finding in findings if finding["level"] == "warn"]
    expected = ["never-awaited TestClass::test_sync call 20"]
    if elsewhere == "warn":
        expected = [
            "blocking-call test_plain call 15",
            *expected,
            "blocking-call test_parameter[1] call 38",
        ]
    assert in_short(warnings) == expected


def test_a_late_finding_has_the_level_of_its_test(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A finding that comes after its test keeps the level that the test's mark gives it."""
    result, findings = run_with_findings(
        run_project,
        pytester,
        test_it="""
        import asyncio
        import gc
        import aldente

        @aldente.rule("never-awaited", "warn")
        def test_it():
            cycle = [asyncio.sleep(1)]
            cycle.append(cycle)

        def test_next():
            gc.collect()
        """,
    )
    result.assert_outcomes(passed=2)
    assert [(finding["test"], finding["level"]) for finding in findings] == [
        ("test_it.py::test_it", "warn")
    ]


def test_a_raw_mark(run_project: RunProject) -> None:
    """A mark that is written by hand, with one name and no tuple, means the same."""
    run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.aldente(allow="never-awaited")
        def test_it():
            asyncio.sleep(1)
        """,
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("slow-steps", "error", "'slow-steps' is not a valid rule. Did you mean 'slow-step'?"),
        ("slow-step", "fatal", "'fatal' is not a valid level. Valid levels are: error, warn, off."),
        ("slow-step", None, "None is not a valid level. Valid levels are: error, warn, off."),
    ],
)
def test_wrong_values(name: str, level: str, message: str) -> None:
    """What is no rule or level is refused where it is written."""
    with pytest.raises(aldente.InvalidSetting) as caught:
        aldente.rule(name, level)
    assert str(caught.value).startswith(message)
