"""Explored tests and the clocks of the process: the option ``wall``, and the hint at it."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

WAITING = """
import asyncio
import datetime
import time
import aldente
import pytest

async def wait():
    before = time.time()
    await asyncio.sleep(20)
    assert time.time() - before >= 20
    return datetime.datetime.now(datetime.UTC).year
"""

HINT = (
    "The program reads time.time() at test_it.py:8: that clock does not follow the time of the "
    "loop; with wall=True it does."
)


def test_the_clocks_follow_the_time_of_each_run(run_project: RunProject) -> None:
    """As an option of the mark, on a test, a class or a module, where the closest mark counts."""
    pytest.importorskip("time_machine")
    module = f"""{WAITING}
pytestmark = aldente.explore(wall="2031-02-28T23:59Z", runs=3)

async def test_of_module():
    assert await wait() == 2031

@aldente.explore(wall=True)
class TestIt:
    async def test_of_class(self):
        assert await wait() == 2030

    @aldente.explore(wall=datetime.datetime(2032, 1, 2, tzinfo=datetime.UTC))
    async def test_closest(self):
        assert await wait() == 2032

    @aldente.virtual_time(wall="2033-01-02T00:00Z")
    async def test_mark_of_time(self):
        assert await wait() == 2033

@pytest.mark.xfail(strict=True, raises=AssertionError)
@aldente.explore(wall=False)
async def test_none():
    await wait()
"""
    result = run_project(ini="aldente_wall = true", test_it=module)
    result.assert_outcomes(passed=4, xfailed=1)


def test_the_library_that_it_needs_may_be_missing(run_project: RunProject) -> None:
    """A test with the option is refused before it is set up, and the others run."""
    result = run_project(
        conftest="import sys\nsys.modules['time_machine'] = None",
        test_it="""
        import aldente

        @aldente.explore(wall=True)
        async def test_it():
            pass

        @aldente.explore
        async def test_other():
            pass
        """,
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "wall=True needs time-machine, which is not installed.",
            'Fix: pip install "aldente?wall?"',
        ]
    )


def test_a_failure_that_reads_a_clock_says_what_helps(run_project: RunProject) -> None:
    """In stock order, with a line of the test's own; not when the clocks follow already."""
    module = f"{WAITING}\n@aldente.explore\nasync def test_it():\n    await wait()\n    assert 0\n"
    result = run_project(test_it=module)
    result.assert_outcomes(failed=1)
    # In as many lines as the width of the terminal needs.
    assert HINT in " ".join(line.strip() for line in result.outlines)
    pytest.importorskip("time_machine")
    result = run_project(test_it=module.replace("explore\n", "explore(wall=True)\n"))
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*wall=True*it does*")


def test_an_inexact_failure_says_what_helps(run_project: RunProject) -> None:
    """Runs that differ by a clock get the hint besides the cause."""
    module = """
import asyncio
import time
import aldente

@aldente.explore
async def test_it():
    for _ in range(time.perf_counter_ns() % 1009):
        await asyncio.sleep(0)
    time.monotonic()
    assert False
"""
    result = run_project(test_it=module)
    result.stdout.fnmatch_lines(
        [
            "Not exact: *",
            "The program reads time.monotonic() at test_it.py:9: *",
        ]
    )
    text = " ".join(line.strip() for line in result.outlines)
    assert "; the program calls time.perf_counter_ns() at test_it.py:7" in text


def test_other_failures_get_no_hint(run_project: RunProject) -> None:
    """Clocks that a library reads, such as those of a log, say nothing."""
    result = run_project(
        test_it="""
        import logging
        import aldente

        @aldente.explore
        async def test_it():
            logging.getLogger("it").warning("now")
            assert False
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*wall=True*")
