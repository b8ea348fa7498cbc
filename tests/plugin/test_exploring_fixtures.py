"""Fixtures of explored tests that go wrong: what the user is told of each."""

from __future__ import annotations

from tests.plugin.conftest import RunProject


def test_a_fixture_that_dies_fails_the_test(run_project: RunProject) -> None:
    """A task group or time-out around the ``yield`` that cancels the test is what it fails by."""
    result = run_project(
        "--tb=short",
        test_it="""
        import asyncio
        import aldente
        import pytest

        pytestmark = aldente.explore(runs=3)

        @pytest.fixture
        async def group():
            async def work():
                await asyncio.sleep(1)
                raise ValueError("in the background")
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                yield

        @pytest.fixture
        async def limited():
            async with asyncio.timeout(1):
                yield

        @pytest.fixture
        async def outer():
            yield
            await asyncio.sleep(1)

        async def test_group(outer, group):
            await asyncio.sleep(5)

        async def test_limited(outer, limited):
            await asyncio.sleep(5)

        async def test_cancels_itself(limited):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "*ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
            "*Async fixture 'group' (test_it.py:7) ended with this error while 'test_group' was "
            "using it, so the test was cancelled.",
            "*ValueError: in the background",
            "*_ test_limited _*",
            "test_it.py:30: in test_limited",
            "E   TimeoutError",
            "E   Async fixture 'limited' (test_it.py:16) ended with this error *",
            "*_ test_cancels_itself _*",
            "E   asyncio.exceptions.CancelledError",
        ]
    )


def test_fixtures_that_yield_too_often_or_never(run_project: RunProject) -> None:
    """The message is all there is: no line of the user's raised it, and none of ours is shown."""
    result = run_project(
        "--tb=short",
        test_it="""
        import aldente
        import pytest

        pytestmark = aldente.explore(runs=3)

        @pytest.fixture
        def twice():
            yield 1
            yield 2

        @pytest.fixture
        async def never():
            if False:
                yield

        async def test_twice(twice):
            pass

        async def test_never(never):
            pass
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "Fixture 'twice' (test_it.py:6) has more than one 'yield': *",
            "Async fixture 'never' (test_it.py:11) did not yield a value: *",
        ]
    )
    result.stdout.no_fnmatch_line("*exploring*runs.py*")
    result.stdout.no_fnmatch_line("*It was raised in the tear-down*")


def test_a_task_of_a_fixture_that_does_not_end(run_project: RunProject) -> None:
    """What can't be cancelled is given up, and told with its place."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente
        import pytest

        @pytest.fixture
        async def stubborn():
            async def work():
                while True:
                    try:
                        await asyncio.sleep(1)
                    except asyncio.CancelledError:
                        pass
            task = asyncio.create_task(work(), name="stubborn")
            await asyncio.sleep(0)
            yield
            task.cancel()

        @aldente.allow("leaked-task")
        @aldente.explore(runs=3)
        async def test_it(stubborn):
            pass
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["1 task(s) did not end *", "  'stubborn' running stubborn.<locals>.work at test_it.py:*"]
    )
    result.stdout.no_fnmatch_line("*_explore*simulating.py*")


def test_an_exit_in_a_tear_down(run_project: RunProject) -> None:
    """Its reason is as it was given."""
    result = run_project(
        test_it="""
        import aldente
        import pytest

        @pytest.fixture
        def leaves():
            yield
            pytest.exit("enough")

        @aldente.explore(runs=3)
        async def test_it(leaves):
            pass
        """,
    )
    assert result.ret == 2
    result.stdout.fnmatch_lines(["!*Exit: enough !*"])


def test_fixtures_asked_for_by_name_before_their_turn(run_project: RunProject) -> None:
    """They are set up then, once in each run, and torn down after whoever has asked for them."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import aldente
        import pytest

        log = []

        @pytest.fixture
        def low():
            log.append("low up")
            yield []
            log.append("low down")

        @pytest.fixture
        def late(low):
            log.append("late up")
            yield low
            log.append("late down")

        @pytest.fixture
        def unknown(low):
            log.append("unknown up")
            yield low
            log.append("unknown down")

        @pytest.fixture
        def early(request):
            request.node.addfinalizer(lambda: log.append("finalizer"))
            late, unknown = map(request.getfixturevalue, ["late", "unknown"])
            log.append("early up")
            yield late, unknown
            log.append("early down")

        class TestIt:
            @pytest.fixture
            def low(self, low):
                return [*low, "over"]

            @aldente.explore(runs=3)
            async def test_explored(self, early, late, low):
                assert early[0] is early[1] is late is low
                assert low == ["over"]
                low.append("used")
                await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

            def test_plain(self, early, late, low):
                pass

            def test_log(self):
                plain = log[-9:]
                assert (plain[0], plain[-1]) == ("low up", "finalizer")
                assert log == plain * (len(log) // 9) and len(log) >= 4 * 9

        @pytest.fixture
        def asks(request):
            return request.getfixturevalue("asynchronous")

        @pytest.fixture
        async def asynchronous():
            pass

        @aldente.explore
        async def test_asks(asks, asynchronous):
            pass
        """,
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_it.py:*: the async fixture 'asynchronous' was requested within a run, *",
            "Fix: name 'asynchronous' as an argument of the test or fixture that requests it.",
        ]
    )


def test_fixtures_of_which_all_are_requested_by_name(run_project: RunProject) -> None:
    """A test without other fixtures gets the values, too, new ones in each run."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import aldente
        import pytest

        log = []

        @pytest.fixture
        def numbers():
            log.append("up")
            yield [1]
            log.append("down")

        @pytest.fixture
        async def asynchronous():
            pass

        @aldente.explore(runs=2)
        async def test_sync(request):
            numbers = request.getfixturevalue("numbers")
            assert numbers == [1]
            numbers.append(2)

        def test_log():
            assert log == ["up", "down"] * (len(log) // 2) and log

        @aldente.explore(runs=2)
        async def test_async(request):
            request.getfixturevalue("asynchronous")
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py:*: the async fixture 'asynchronous' was requested within a run, *"]
    )
    result.stdout.no_fnmatch_line("*not exact*")


def test_async_fixtures_that_are_not_marked_in_strict_mode(run_project: RunProject) -> None:
    """They are nobody's, as in other tests."""
    result = run_project(
        ini="asyncio_mode = strict",
        test_it="""
        import aldente
        import pytest

        @pytest.fixture
        async def plain():
            pass

        @pytest.mark.asyncio
        @aldente.explore
        async def test_it(plain):
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*requested the async fixture 'plain'*"])


def test_a_sync_fixture_may_run_a_loop_of_its_own(run_project: RunProject) -> None:
    """``asyncio.run`` in the set-up and tear-down of a sync fixture of an explored test ends."""
    result = run_project(
        "--aldente-rule=nested-loop=off",
        subprocess=True,
        test_it="""
        import asyncio
        import aldente
        import pytest

        ran = []

        @pytest.fixture
        def prepared():
            async def work():
                left = asyncio.create_task(asyncio.sleep(60))
                await asyncio.sleep(0)
                ran.append(asyncio.current_task() is not left)
            asyncio.run(work())
            yield
            asyncio.run(work())

        @aldente.explore(runs=3)
        async def test_it(prepared):
            task = asyncio.current_task()
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
            assert asyncio.current_task() is task

        def test_after():
            assert len(ran) > 3 and all(ran)
        """,
    )
    result.assert_outcomes(passed=2)
