"""Async fixtures run, in every form and scope, for async and sync tests."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


def test_plain_async_fixtures_serve_async_and_sync_tests(run_project: RunProject) -> None:
    """``@pytest.fixture`` on ``async def`` works, with and without ``yield``, in any test."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        events = []

        @pytest.fixture
        async def value():
            await asyncio.sleep(0)
            return 1

        @pytest.fixture
        async def resource(value):
            await asyncio.sleep(0)
            events.append("up")
            yield value + 1
            await asyncio.sleep(0)
            events.append("down")

        async def test_async(resource):
            assert resource == 2 and events == ["up"]

        def test_sync(resource):
            assert resource == 2 and events == ["up", "down", "up"]

        def test_torn_down():
            assert events == ["up", "down"] * 2
        """
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_every_caching_scope(run_project: RunProject, scope: str) -> None:
    """A fixture of each scope is set up once for it and torn down at its end, on the same loop."""
    result = run_project(
        "-s",
        test_it=f"""
        import asyncio
        import pytest

        @pytest.fixture(scope="{scope}")
        async def resource():
            loop = asyncio.get_running_loop()
            print("UP")
            yield loop
            assert asyncio.get_running_loop() is loop
            print("DOWN")

        class TestOne:
            async def test_first(self, resource):
                assert asyncio.get_running_loop() is resource

            async def test_second(self, resource):
                assert asyncio.get_running_loop() is resource

        async def test_third(resource):
            assert asyncio.get_running_loop() is resource
        """,
    )
    result.assert_outcomes(passed=3)
    times = {"function": 3, "class": 2, "module": 1, "package": 1, "session": 1}[scope]
    output = result.stdout.str()
    assert (output.count("UP"), output.count("DOWN")) == (times, times)


def test_parametrised_autouse_and_overriding_fixtures(run_project: RunProject) -> None:
    """Async fixtures can be parametrised, autouse, and override and request one of the same name."""
    result = run_project(
        conftest="""
        import pytest

        @pytest.fixture
        async def name():
            return "outer"
        """,
        test_it="""
        import pytest

        seen = []

        @pytest.fixture
        async def name(name):
            return name + "+inner"

        @pytest.fixture(params=[1, 2], ids=["one", "two"])
        async def number(request):
            yield request.param

        @pytest.fixture(autouse=True)
        async def watch():
            seen.append("watched")
            yield

        async def test_all(name, number, request):
            assert name == "outer+inner"
            assert f"[{['', 'one', 'two'][number]}]" in request.node.name

        @pytest.mark.usefixtures("number")
        def test_used():
            assert len(seen) >= 3
        """,
    )
    result.assert_outcomes(passed=4)


def test_getfixturevalue_from_sync_code(run_project: RunProject) -> None:
    """``request.getfixturevalue`` gives async fixtures to sync fixtures and sync tests."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        torn_down = []

        @pytest.fixture
        async def resource():
            yield asyncio.get_running_loop()
            torn_down.append(True)

        @pytest.fixture
        def indirect(request):
            return request.getfixturevalue("resource")

        async def test_through_a_sync_fixture(indirect):
            assert asyncio.get_running_loop() is indirect

        def test_in_the_body(request):
            assert request.getfixturevalue("resource").is_closed() is False

        def test_torn_down():
            assert torn_down == [True, True]
        """
    )
    result.assert_outcomes(passed=3)


def test_getfixturevalue_inside_an_async_test_is_explained(run_project: RunProject) -> None:
    """Asking for an async fixture while the loop runs is an error with the fix."""
    result = run_project(
        test_it="""
        import pytest

        @pytest.fixture
        async def resource():
            return 1

        @pytest.fixture
        async def generator():
            yield 1

        async def test_asks(request):
            request.getfixturevalue("resource")

        async def test_asks_generator(request):
            request.getfixturevalue("generator")
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E   *RunningLoopError: Cannot run fixture resource from inside test_asks, which is running "
            "on its event loop.",
            "E   *The loop is busy with the caller, so it can't run anything else until the caller "
            "returns: request.getfixturevalue() can't wait.",
            "E   *Fix: name the fixture as an argument of the test or fixture, so that it is set up "
            "before.",
        ]
    )


@pytest.mark.parametrize("scope", ["function", "module"])
def test_getfixturevalue_in_a_thread_is_explained(run_project: RunProject, scope: str) -> None:
    """The loop waits for that thread, so it can't run the fixture: the same error, at once."""
    result = run_project(
        test_it=f"""
        import asyncio
        import pytest

        @pytest.fixture(scope="{scope}")
        async def resource():
            return 1

        @pytest.fixture(scope="{scope}")
        async def generator():
            yield 1

        @pytest.fixture
        def sync():
            return asyncio.get_event_loop_policy()

        @pytest.mark.asyncio(loop_scope="{scope}")
        @pytest.mark.parametrize("name", ["resource", "generator"])
        async def test_asks(request, name):
            await asyncio.to_thread(request.getfixturevalue, name)

        @pytest.mark.filterwarnings("ignore::DeprecationWarning")
        async def test_asks_for_sync(request):
            await asyncio.to_thread(request.getfixturevalue, "sync")

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(
        [
            "E   *RunningLoopError: Cannot run fixture resource from inside test_asks*, which is "
            "running on its event loop.",
            "E   *The loop is busy with the caller, so it can't run anything else until the caller "
            "returns: request.getfixturevalue() can't wait.",
        ]
    )


def test_a_fixture_on_another_loop_than_the_tests_in_a_thread(run_project: RunProject) -> None:
    """The same error: two loops that wait for each other would run at a time."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="module")
        async def wide():
            yield 1

        async def test_asks(request):
            await asyncio.to_thread(request.getfixturevalue, "wide")

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["E   *RunningLoopError: Cannot run fixture wide from inside test_asks*"]
    )


def test_a_sync_test_asks_in_another_context(run_project: RunProject) -> None:
    """It gets the value, and the tear-down leaves the context variables of the test alone."""
    result = run_project(
        test_it="""
        import concurrent.futures
        import contextvars
        import pytest

        V = contextvars.ContextVar("V", default=0)

        @pytest.fixture
        async def narrow():
            V.set(1)
            yield "narrow"

        @pytest.fixture(scope="module")
        async def wide():
            V.set(2)
            yield "wide"

        @pytest.fixture
        async def other():
            V.set(3)
            return "other"

        @pytest.mark.parametrize("name", ["narrow", "wide"])
        def test_asks(request, name):
            with concurrent.futures.ThreadPoolExecutor() as pool:
                assert pool.submit(request.getfixturevalue, name).result() == name
            assert V.get() == 0

        @pytest.mark.parametrize("name", ["narrow", "other"])
        def test_runs_in_a_copy(request, name):
            assert contextvars.copy_context().run(request.getfixturevalue, name) == name
            assert V.get() == 0

        async def test_next():
            assert V.get() == 0
        """
    )
    result.assert_outcomes(passed=5)


def test_a_sync_test_asks_within_a_loop_of_its_own(run_project: RunProject) -> None:
    """The error is the same as in an async test; it is about no other run of pytest."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def resource():
            return 1

        def test_asks(request):
            async def main():
                return request.getfixturevalue("resource")

            asyncio.run(main())
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E   *RunningLoopError: Cannot run fixture resource from inside test_asks, which is running "
            "on its event loop.",
            "E   *Fix: name the fixture as an argument of the test or fixture, so that it is set up "
            "before.",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest.main*")


def test_set_up_and_tear_down_share_a_task(run_project: RunProject) -> None:
    """Task groups, time-outs and anyio's cancel scopes may span the ``yield`` of a fixture."""
    result = run_project(
        test_it="""
        import asyncio
        import anyio
        import pytest

        @pytest.fixture
        async def group():
            task = asyncio.current_task()
            async with asyncio.TaskGroup() as group, asyncio.timeout(60):
                yield group
            assert asyncio.current_task() is task

        @pytest.fixture(scope="module")
        async def nursery():
            async with anyio.create_task_group() as nursery:
                with anyio.CancelScope():
                    yield nursery

        async def test_group(group, nursery):
            done = []

            async def work():
                done.append(True)

            group.create_task(work())
            nursery.start_soon(work)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert done == [True, True]

        def test_sync(group, nursery):
            pass
        """
    )
    result.assert_outcomes(passed=2)


def test_a_fixture_that_dies_fails_the_test_at_once(run_project: RunProject) -> None:
    """When a fixture's task group dies, the test is cancelled and fails with the fixture's error."""
    result = run_project(
        "--durations=1",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def server():
            async with asyncio.TaskGroup() as group:
                group.create_task(crash())
                yield

        async def crash():
            await asyncio.sleep(0)
            raise ConnectionError("the server is gone")

        async def test_waits(server):
            await asyncio.sleep(3600)

        async def test_swallows(server):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
            "*Async fixture 'server' (test_it.py:4) ended with this error while 'test_waits' was using "
            "it, so the test was cancelled.",
            "*ConnectionError: the server is gone",
        ]
    )


def test_a_wide_fixture_that_died_fails_the_tests_after_it(run_project: RunProject) -> None:
    """A dead session fixture is an error for further tests that use it, and for no others."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="module")
        async def server():
            async with asyncio.timeout(0):
                yield

        async def test_waits(server):
            await asyncio.sleep(3600)

        async def test_uses_it_too(server):
            raise AssertionError("must not run")

        async def test_other():
            pass
        """
    )
    result.assert_outcomes(failed=1, errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_uses_it_too*", "E*TimeoutError"])
    result.stdout.no_fnmatch_line("*must not run*")


def test_a_death_that_no_test_saw_is_an_error_of_tear_down(run_project: RunProject) -> None:
    """A fixture that dies under a sync test is reported at tear-down; beside an error, with it."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def server():
            async with asyncio.TaskGroup() as group:
                group.create_task(crash())
                yield

        async def crash():
            raise ConnectionError("the server is gone")

        def test_sync(server):
            pass

        async def test_fails_on_the_way_out(server):
            try:
                await asyncio.sleep(3600)
            finally:
                raise KeyError("own error")
        """,
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_sync*", "*the server is gone*"])
    result.stdout.fnmatch_lines(["*KeyError: 'own error'*", "*the server is gone*"])


def test_a_fixture_that_is_cancelled_and_returns_is_reported(run_project: RunProject) -> None:
    """A fixture that swallows its cancellation at the ``yield`` ended early, and that is said."""
    result = run_project(
        test_it="""
        import asyncio
        import contextlib
        import pytest

        @pytest.fixture
        async def short():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    yield

        @pytest.fixture
        async def cancelled():
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
            yield

        async def test_short(short):
            await asyncio.sleep(3600)

        async def test_cancelled(cancelled):
            await asyncio.sleep(3600)
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*FixtureEnded: Async fixture 'short' (test_it.py:5) was cancelled at its 'yield', swallowed "
            "the cancellation and returned while its value was in use.",
            "*Fix: find what cancels the fixture's task*",
            "*FixtureEnded: Async fixture 'cancelled' (test_it.py:11) was cancelled while its value was "
            "in use.",
        ]
    )


def test_errors_in_set_up_and_tear_down(run_project: RunProject) -> None:
    """A fixture's own errors are errors of its phase, in the user's frames, and spare the next test."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def broken():
            await asyncio.sleep(0)
            raise LookupError("in set-up")

        @pytest.fixture
        async def breaks_later():
            yield
            await asyncio.sleep(0)
            raise LookupError("in tear-down")

        async def test_broken(broken):
            raise AssertionError("must not run")

        async def test_breaks_later(breaks_later):
            pass

        async def test_next():
            pass
        """
    )
    result.assert_outcomes(errors=2, passed=2)
    result.stdout.fnmatch_lines(["test_it.py:7: LookupError", "test_it.py:13: LookupError"])
    result.stdout.no_fnmatch_line("*asyncio/*")
    result.stdout.no_fnmatch_line("*_loops*")


def test_wrong_numbers_of_yields(run_project: RunProject) -> None:
    """A generator fixture that never yields, or yields twice, is told so by name and line."""
    result = run_project(
        test_it="""
        import pytest

        @pytest.fixture
        async def never():
            if False:
                yield

        @pytest.fixture
        async def twice():
            yield 1
            yield 2

        async def test_never(never):
            pass

        async def test_twice(twice):
            pass
        """
    )
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "Async fixture 'never' (test_it.py:3) did not yield a value: it returned "
            "before its 'yield'.",
            "Async fixture 'twice' (test_it.py:8) has more than one 'yield': it "
            "yielded again during tear-down.",
        ]
    )


def test_cancelled_error_in_a_fixture_does_not_derail_pytest(run_project: RunProject) -> None:
    """A CancelledError that escapes a fixture is an ordinary error, and tear-down goes on."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        events = []

        @pytest.fixture
        def outer():
            yield
            events.append("outer torn down")

        @pytest.fixture
        async def in_set_up(outer):
            raise asyncio.CancelledError

        @pytest.fixture
        async def in_tear_down(outer):
            yield
            raise asyncio.CancelledError

        async def test_set_up(in_set_up):
            pass

        async def test_tear_down(in_tear_down):
            pass

        async def test_next():
            assert events == ["outer torn down"] * 2
        """
    )
    result.assert_outcomes(errors=2, passed=2)
    result.stdout.fnmatch_lines(
        [
            "*FixtureCancelled: Async fixture 'in_set_up' (test_it.py:11) was cancelled during its "
            "set-up.",
            "*FixtureCancelled: Async fixture 'in_tear_down' (test_it.py:15) was cancelled during its "
            "tear-down.",
        ]
    )


def test_fixture_tasks_are_not_the_users(run_project: RunProject) -> None:
    """Code that cancels every other task does not end the fixtures around the test."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def resource():
            yield "alive"
            assert len(asyncio.all_tasks()) == 1

        async def test_cancels_all_others(resource):
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others
        """
    )
    result.assert_outcomes(passed=1)


def test_method_fixtures_share_the_instance(run_project: RunProject) -> None:
    """An async fixture that is a method is bound to the instance of the test."""
    result = run_project(
        test_it="""
        import pytest

        class TestMethods:
            @pytest.fixture(autouse=True)
            async def prepare(self):
                self.value = 1
                yield
                assert self.value == 2

            async def test_value(self):
                assert self.value == 1
                self.value = 2
        """
    )
    result.assert_outcomes(passed=1)


def test_xunit_functions_and_sync_fixtures_mix(run_project: RunProject) -> None:
    """Set-up methods, sync fixtures and async fixtures run in pytest's order around an async test."""
    result = run_project(
        test_it="""
        import pytest

        events = []

        @pytest.fixture
        def sync_fixture():
            events.append("sync up")
            yield
            events.append("sync down")

        @pytest.fixture
        async def async_fixture(sync_fixture):
            events.append("async up")
            yield
            events.append("async down")

        class TestOrder:
            def setup_method(self):
                events.append("method up")

            def teardown_method(self):
                events.append("method down")

            async def test_order(self, async_fixture):
                events.append("test")

        def test_result():
            assert events == [
                "method up", "sync up", "async up", "test", "async down", "sync down", "method down",
            ]
        """
    )
    result.assert_outcomes(passed=2)


def test_strict_mode_leaves_plain_fixtures_alone(run_project: RunProject) -> None:
    """In strict mode only fixtures made with ``pytest_asyncio.fixture`` are run."""
    result = run_project(
        ini="asyncio_mode = strict",
        test_it="""
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def decorated():
            return 1

        @pytest_asyncio.fixture(scope="module", loop_scope="session")
        async def with_arguments():
            yield 2

        @pytest.fixture
        async def plain():
            return 3

        @pytest.mark.asyncio
        async def test_decorated(decorated, with_arguments):
            assert (decorated, with_arguments) == (1, 2)

        @pytest.mark.asyncio
        async def test_plain(plain):
            pass
        """,
    )
    result.assert_outcomes(passed=1, errors=1)


def test_getfixturevalue_of_sync_fixtures_inside_an_async_test(run_project: RunProject) -> None:
    """An async test may ask for sync fixtures, narrow and wide; async ones are still explained."""
    result = run_project(
        test_it="""
        import asyncio
        import contextvars
        import pytest

        V = contextvars.ContextVar("V", default=0)

        @pytest.fixture(scope="session")
        def wide():
            return "wide"

        @pytest.fixture
        def narrow():
            V.set(1)
            yield "narrow"

        @pytest.fixture(scope="session")
        async def pool():
            return 1

        @pytest.fixture
        async def resource():
            yield

        async def test_asks(request, tmp_path, resource):
            assert request.getfixturevalue("narrow") == "narrow"
            assert request.getfixturevalue("wide") == "wide"
            assert V.get() == 1

        async def test_asks_in_a_thread(request, tmp_path):
            assert await asyncio.to_thread(request.getfixturevalue, "narrow") == "narrow"

        async def test_asks_for_async(request, tmp_path):
            request.getfixturevalue("pool")

        async def test_asks_again(request):
            request.getfixturevalue("pool")

        async def test_gone():
            assert V.get() == 0
        """
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*RunningLoopError: Cannot run fixture pool from inside *"] * 2)


def test_parametrised_scope_overrides_the_fixtures(run_project: RunProject) -> None:
    """``parametrize(indirect=True, scope=...)`` widens an async fixture and the loop it runs on."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def thing(request):
            yield request.param, asyncio.get_running_loop()

        @pytest.mark.parametrize("thing", [1, 2], indirect=True, scope="module")
        class TestThing:
            async def test_one(self, thing):
                assert asyncio.get_running_loop() is thing[1]

            async def test_two(self, thing):
                assert asyncio.get_running_loop() is thing[1]
        """
    )
    result.assert_outcomes(passed=4)


def test_the_death_of_an_overridden_fixture_is_seen(run_project: RunProject) -> None:
    """A fixture that an overriding one requests by its own name cancels the test when it dies."""
    result = run_project(
        conftest="""
        import asyncio
        import pytest

        @pytest.fixture
        async def base():
            async with asyncio.timeout(0.05):
                yield 1
        """,
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def base(base):
            yield base + 1

        async def test_waits(base):
            await asyncio.sleep(3600)
        """,
    )
    result.assert_outcomes(failed=1)


def test_a_fixture_that_died_between_tests_fails_the_next_sync_test(
    run_project: RunProject,
) -> None:
    """A wide fixture that dies under a test that does not use it fails the next one that does."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        events = []

        @pytest.fixture(scope="module")
        async def server():
            events.append(asyncio.Event())
            async with asyncio.TaskGroup() as group:
                group.create_task(crash())
                yield

        async def crash():
            await events[0].wait()
            raise ConnectionError("the server is gone")

        @pytest.mark.asyncio(loop_scope="module")
        async def test_first(server):
            pass

        @pytest.mark.asyncio(loop_scope="module")
        async def test_bystander():
            events[0].set()
            await asyncio.sleep(0.01)

        def test_sync(server):
            raise AssertionError("must not run")
        """
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.no_fnmatch_line("*must not run*")


def test_root_conftest_may_import_pytest_asyncio(run_project: RunProject) -> None:
    """``import pytest_asyncio`` works in the first conftest, which is imported early."""
    result = run_project(
        conftest="""
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def value():
            return 1
        """,
        test_it="async def test_it(value): assert value == 1",
        subprocess=True,
    )
    result.assert_outcomes(passed=1)
