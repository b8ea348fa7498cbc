"""Skips, expected failures and exits keep their meaning, wherever they are raised."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


def test_outcomes_raised_in_tasks_and_groups(run_project: RunProject) -> None:
    """``pytest.skip``, ``xfail`` and ``fail`` mean the same in a task group as in the test itself."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        async def skip():
            pytest.skip("not here")

        async def xfail():
            pytest.xfail("known")

        async def fail():
            pytest.fail("on purpose")

        async def error():
            raise ValueError("an error")

        async def run_together(*functions):
            async with asyncio.TaskGroup() as outer:
                async def inner():
                    async with asyncio.TaskGroup() as group:
                        for function in functions:
                            group.create_task(function())
                outer.create_task(inner())

        async def test_skip_directly():
            await skip()

        async def test_skip_in_group():
            await run_together(skip, skip)

        async def test_xfail_directly():
            await xfail()

        async def test_xfail_in_group():
            await run_together(skip, xfail)

        async def test_fail_in_group():
            await run_together(fail)

        async def test_skip_beside_an_error():
            await run_together(skip, error)

        async def test_gathered():
            await asyncio.gather(skip(), asyncio.sleep(0))
        """
    )
    result.assert_outcomes(skipped=3, xfailed=2, failed=2)


def test_outcomes_raised_in_fixtures(run_project: RunProject) -> None:
    """A fixture can skip or expect to fail, in a task group too, and names the test's line."""
    result = run_project(
        "-rs",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def skips():
            pytest.skip("no database")

        @pytest.fixture
        async def skips_in_group():
            async with asyncio.TaskGroup() as group:
                async def skip():
                    pytest.skip("no server")
                group.create_task(skip())
                yield

        @pytest.fixture
        async def xfails():
            pytest.xfail("known")
            yield

        async def test_skips(skips):
            pass

        async def test_skips_in_group(skips_in_group):
            await asyncio.sleep(3600)

        async def test_xfails(xfails):
            pass
        """,
    )
    result.assert_outcomes(skipped=2, xfailed=1)
    result.stdout.fnmatch_lines(["SKIPPED*no database"])


def test_marks_skip_and_xfail(run_project: RunProject) -> None:
    """The marks ``skip``, ``skipif`` and ``xfail`` work as for sync tests."""
    result = run_project(
        test_it="""
        import pytest

        @pytest.mark.skip(reason="never")
        async def test_skip():
            raise AssertionError

        @pytest.mark.skipif(True, reason="always")
        async def test_skipif():
            raise AssertionError

        @pytest.mark.xfail(raises=ValueError)
        async def test_xfail():
            raise ValueError

        @pytest.mark.xfail(strict=True)
        async def test_xpass():
            pass
        """
    )
    result.assert_outcomes(skipped=2, xfailed=1, failed=1)


@pytest.mark.parametrize(
    "body",
    [
        'pytest.exit("enough", returncode=7)',
        """
            async def leave():
                pytest.exit("enough", returncode=7)
            async with asyncio.TaskGroup() as group:
                group.create_task(leave())
        """,
    ],
)
@pytest.mark.parametrize("where", ["test", "fixture"])
def test_exit_ends_the_session(run_project: RunProject, body: str, where: str) -> None:
    """``pytest.exit`` in a test or fixture, in a task group or not, ends the run with its code."""
    result = run_project(
        test_it=f"""
        import asyncio
        import pytest

        @pytest.fixture
        async def resource():
            yield
            print("FIXTURE TORN DOWN")

        @pytest.fixture
        async def maybe_exits(resource):
            if {where == "fixture"}:
                {body.strip().replace(chr(10), chr(10) + "    ")}

        async def test_exits(maybe_exits):
            {body.strip()}

        async def test_never_runs():
            raise AssertionError
        """,
        subprocess=True,
    )
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*_pytest.outcomes.Exit: enough*"])
    result.stdout.no_fnmatch_line("*Task was destroyed*")
    result.stderr.no_fnmatch_line("*Task was destroyed*")


@pytest.mark.parametrize("where", ["test", "task", "fixture", "fixture_task", "callback"])
def test_keyboard_interrupt_from_inside(run_project: RunProject, where: str) -> None:
    """A KeyboardInterrupt raised in a test, fixture, task or callback ends the run with 2, cleanly."""
    result = run_project(
        "-s",
        test_it=f"""
        import asyncio
        import pytest

        where = {where!r}

        async def interrupt():
            raise KeyboardInterrupt

        def call_back():
            raise KeyboardInterrupt

        @pytest.fixture
        async def resource():
            yield
            await asyncio.sleep(0)
            print("RESOURCE TORN DOWN")

        @pytest.fixture
        async def interrupted(resource):
            if where == "fixture":
                await interrupt()
            if where == "fixture_task":
                async with asyncio.TaskGroup() as group:
                    group.create_task(interrupt())
                    await asyncio.sleep(3600)

        async def test_it(interrupted):
            try:
                if where == "test":
                    await interrupt()
                if where == "callback":
                    asyncio.get_running_loop().call_soon(call_back)
                    await asyncio.sleep(3600)
                async with asyncio.TaskGroup() as group:
                    group.create_task(interrupt())
                    await asyncio.sleep(3600)
            finally:
                print("TEST CLEANED UP")

        async def test_never_runs():
            print("MUST NOT RUN")
        """,
        subprocess=True,
    )
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*RESOURCE TORN DOWN*"])
    if not where.startswith("fixture"):
        result.stdout.fnmatch_lines(["*TEST CLEANED UP*", "*RESOURCE TORN DOWN*"])
    for stream in (result.stdout, result.stderr):
        stream.no_fnmatch_line("*MUST NOT RUN*")
        stream.no_fnmatch_line("*Task was destroyed*")
        stream.no_fnmatch_line("*never retrieved*")


def test_system_exit_is_a_failure_of_its_test(run_project: RunProject) -> None:
    """SystemExit from a test's task fails that test, and the next one runs."""
    result = run_project(
        test_it="""
        import asyncio
        import sys

        cleaned = []

        async def leave():
            sys.exit(3)

        async def test_exits():
            try:
                task = asyncio.create_task(leave())
                await asyncio.sleep(3600)
            finally:
                cleaned.append(True)

        async def test_next():
            assert cleaned == [True]
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E*SystemExit: 3"])


def test_a_cancelled_test_is_a_failure(run_project: RunProject) -> None:
    """A CancelledError that comes out of a test fails it."""
    result = run_project(
        test_it="""
        import asyncio

        async def test_cancels_itself():
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*test_it.py:5: CancelledError"])
