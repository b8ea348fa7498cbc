"""Marks that a conftest file gives to tests when they have been collected."""

from __future__ import annotations

import pytest

import aldente
from tests.plugin.conftest import RunProject

CONFTEST = """
import aldente
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker({mark})
"""

TESTS = {
    "aldente.explore(runs=7)": """
import asyncio

runs = []

async def test_it():
    runs.append(1)
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

def test_after():
    # The first of them is in stock order, all orders are six.
    assert len(runs) >= 6
""",
    "aldente.virtual_time": """
import asyncio

async def test_it():
    await asyncio.sleep(1e6)
""",
    "aldente.virtual_time(wall=True)": """
import asyncio, time

async def test_it():
    before = time.time()
    await asyncio.sleep(1e6)
    assert time.time() - before > 9e5
""",
    "aldente.allow('blocking-call')": """
import time

async def test_it():
    time.sleep(0.001)
""",
    "aldente.rule('blocking-call', 'off')": """
import time

async def test_it():
    time.sleep(0.001)
""",
    "pytest.mark.asyncio(loop_scope='session')": """
import asyncio

loops = []

async def test_it():
    loops.append(asyncio.get_running_loop())

async def test_again():
    assert loops == [asyncio.get_running_loop()]
""",
    "aldente.timeout(0.05)": """
import asyncio
import pytest

@pytest.mark.xfail(strict=True)
async def test_it():
    await asyncio.sleep(60)
""",
}


@pytest.mark.parametrize("mark", TESTS)
@pytest.mark.parametrize("strategy", ["conftest", "plugin"])
def test_a_mark_that_is_given_works(run_project: RunProject, mark: str, strategy: str) -> None:
    """Each mark does what it does as a decorator, whichever plugin gives it."""
    if "wall" in mark:
        pytest.importorskip("time_machine")
    text = CONFTEST.format(mark=mark)
    modules = {"conftest": text} if strategy == "conftest" else {"giving": text}
    options = () if strategy == "conftest" else ("-p", "giving")
    result = run_project(
        *options,
        "-W",
        "error",
        "-W",
        "ignore::pytest.PytestWarning",
        "--aldente-rule=blocking-call=error",
        subprocess=True,
        **modules,
        test_it=TESTS[mark],
    )
    outcomes = result.parseoutcomes()
    assert set(outcomes) <= {"passed", "xfailed", "warnings", "warning"}, outcomes
    assert result.ret == 0


def test_real_time_is_given(run_project: RunProject) -> None:
    """A test of a suite on virtual time is put back on real time."""
    result = run_project(
        conftest=CONFTEST.format(mark="aldente.real_time"),
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio

        async def test_it():
            assert type(asyncio.get_running_loop()) is asyncio.SelectorEventLoop
        """,
    )
    result.assert_outcomes(passed=1)


def test_marks_are_pytests_own() -> None:
    """Whatever takes a mark of pytest's, such as pytest.param, takes those of aldente."""
    marks = [
        aldente.explore,
        aldente.explore(runs=2),
        aldente.virtual_time,
        aldente.virtual_time(wall=True),
        aldente.real_time,
        aldente.allow("blocking-call"),
        aldente.rule("slow-step", "off"),
        aldente.timeout(1),
    ]
    for mark in marks:
        assert isinstance(mark, pytest.MarkDecorator)
        assert mark.name == "aldente"
        assert pytest.param(1, marks=mark).marks == (mark,)


@pytest.mark.parametrize(
    "mark",
    [
        "aldente.virtual_time",
        "aldente.real_time",
        "aldente.explore(runs=7)",
        "pytest.mark.asyncio(loop_scope='session')",
    ],
)
def test_a_mark_that_comes_late_is_refused(run_project: RunProject, mark: str) -> None:
    """A mark about the loop that a fixture gives fails the test, and says where to put it."""
    result = run_project(
        test_it=f"""
        import asyncio
        import aldente
        import pytest

        @pytest.fixture
        def giving(request):
            request.applymarker({mark})

        async def test_it(giving):
            await asyncio.sleep(0)

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "a fixture gave 'test_it' the mark *, which comes too late: *",
            "Fix: mark the test where it is written, or in the hook pytest_collection_modifyitems.",
        ]
    )


def test_other_marks_may_come_late(run_project: RunProject) -> None:
    """A fixture may give a test the marks of pytest, and those that are about findings."""
    result = run_project(
        test_it="""
        import asyncio
        import time
        import aldente
        import pytest

        @pytest.fixture
        def giving(request):
            request.applymarker(pytest.mark.asyncio)
            request.applymarker(aldente.allow("blocking-call"))
            request.applymarker(pytest.mark.xfail(strict=True))

        async def test_it(giving):
            time.sleep(0.001)
            assert False
        """
    )
    result.assert_outcomes(xfailed=1)


@pytest.mark.parametrize("mark", ["pytest.mark.asyncio", "aldente.explore", "aldente.timeout(60)"])
def test_a_mark_without_effect_fails_its_test_only(run_project: RunProject, mark: str) -> None:
    """Where warnings are errors, the sync test that has a mark for async ones fails; the run goes on."""
    result = run_project(
        "-W",
        "error",
        "-W",
        "ignore:Module already imported",
        test_it=f"""
        import aldente
        import pytest

        @{mark}
        def test_marked():
            pass

        async def test_next():
            pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *PytestWarning: The test *test_marked* is marked with *"])
    result.stdout.fnmatch_lines(["*It is about test_marked at test_it.py:4."])
