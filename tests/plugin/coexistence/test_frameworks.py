"""Plugins that run async tests themselves, and tools that leave a loop running."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

# For projects: which library runs the code that calls it. Neither asyncio nor trio has such a question.
_LIBRARY_IN_USE = """
import asyncio
import trio

def library_in_use():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio.lowlevel.current_trio_token()
        return "trio"
    return "asyncio"
"""


def test_anyio_tests_are_left_to_anyio(run_project: RunProject) -> None:
    """Tests with anyio's mark run as anyio runs them, beside tests that aldente runs."""
    pytest.importorskip("anyio")
    pytest.importorskip("trio")
    result = run_project(
        plugins=["anyio"],
        subprocess=True,
        library=_LIBRARY_IN_USE,
        test_it="""
        import asyncio
        import anyio
        import pytest
        from library import library_in_use

        @pytest.fixture
        async def library():
            found = library_in_use()
            yield found
            assert library_in_use() == found

        @pytest.mark.anyio
        async def test_anyio(library, anyio_backend_name):
            assert library == library_in_use() == anyio_backend_name
            if library == "asyncio":
                assert asyncio.current_task().get_name() != "test_anyio[asyncio]"

        async def test_ours(library):
            assert library == "asyncio"
            assert asyncio.current_task().get_name() == "test_ours"
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)

        def test_sync(library):
            assert library == "asyncio"
        """,
    )
    result.assert_outcomes(passed=4)


def test_anyio_backend_fixture_claims_tests(run_project: RunProject) -> None:
    """A test that uses anyio's ``anyio_backend`` is anyio's, on the backend that it names."""
    pytest.importorskip("anyio")
    pytest.importorskip("trio")
    result = run_project(
        plugins=["anyio"],
        subprocess=True,
        library=_LIBRARY_IN_USE,
        conftest="""
        import pytest

        @pytest.fixture(scope="session")
        def anyio_backend():
            return "trio"
        """,
        test_it="""
        import anyio
        import pytest
        from library import library_in_use

        @pytest.fixture(scope="session")
        async def portal(anyio_backend):
            yield library_in_use()
            await anyio.sleep(0)

        async def test_requests_it(portal):
            assert portal == library_in_use() == "trio"

        @pytest.mark.anyio
        class TestMarked:
            async def test_marked(self, portal):
                assert portal == library_in_use() == "trio"

        async def test_ours():
            assert library_in_use() == "asyncio"
        """,
    )
    result.assert_outcomes(passed=3)


def test_anyio_auto_mode_takes_every_async_test(run_project: RunProject) -> None:
    """With ``anyio_mode = auto`` every async test is anyio's, and sync tests may use async fixtures."""
    anyio = pytest.importorskip("anyio.pytest_plugin")
    pytest.importorskip("trio")
    if not hasattr(anyio, "pytest_addoption"):
        pytest.skip("anyio's auto mode came with 4.12")
    result = run_project(
        plugins=["anyio"],
        ini="anyio_mode = auto",
        subprocess=True,
        library=_LIBRARY_IN_USE,
        test_it="""
        import pytest
        from library import library_in_use

        @pytest.fixture
        async def library():
            return library_in_use()

        async def test_anyio(library, anyio_backend_name):
            assert library == library_in_use() == anyio_backend_name

        def test_sync(library):
            assert library == "asyncio"
        """,
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("mark", ["curio", "detangle"])
def test_tests_are_left_to_the_plugin_of_their_mark(run_project: RunProject, mark: str) -> None:
    """A plugin that calls the functions of tests with its own mark gets them as they were written."""
    result = run_project(
        conftest=f"""
        import inspect
        import pytest

        def pytest_configure(config):
            config.addinivalue_line("markers", "{mark}: a mark of another plugin")

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if pyfuncitem.get_closest_marker("{mark}") is None:
                return None
            assert inspect.iscoroutinefunction(pyfuncitem.obj)
            with pytest.raises(StopIteration):
                pyfuncitem.obj().send(None)
            return True
        """,
        test_it=f"""
        import asyncio
        import pytest

        @pytest.mark.{mark}
        async def test_theirs():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()

        async def test_ours():
            asyncio.get_running_loop()
        """,
    )
    result.assert_outcomes(passed=2)


def test_marks_that_have_no_effect_on_tests_of_others_are_warned_of(
    run_project: RunProject,
) -> None:
    """A mark that needs aldente's loop says so on a test that anyio or unittest runs; one of a class does not."""
    pytest.importorskip("anyio")
    result = run_project(
        "-W",
        "default",
        plugins=["anyio"],
        subprocess=True,
        test_it="""
        import unittest
        import aldente
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @aldente.virtual_time
        @pytest.mark.anyio
        async def test_time():
            pass

        @aldente.explore
        async def test_schedules(anyio_backend):
            pass

        @aldente.timeout(60)
        @pytest.mark.anyio
        async def test_limit():
            pass

        class TestCase(unittest.IsolatedAsyncioTestCase):
            @aldente.virtual_time
            async def test_case(self):
                pass

        @aldente.real_time
        @pytest.mark.anyio
        async def test_real():
            pass

        @aldente.virtual_time
        async def test_ours():
            pass

        @aldente.virtual_time
        @pytest.mark.anyio
        class TestClass:
            async def test_inside(self):
                pass
        """,
    )
    result.assert_outcomes(passed=7, warnings=4)
    result.stdout.fnmatch_lines_random(
        [
            "*test_time> is marked with aldente.virtual_time, but aldente does not run it (the fixture "
            "'anyio_backend' gives it to another plugin), so its time is real. Fix: *",
            "*test_schedules> is marked with aldente.explore(), but *, so it is run once. Fix: *",
            "*test_limit> is marked with aldente.timeout(), but *, so nothing ends it. Fix: *",
            "*test_case> is marked with aldente.virtual_time, but * (unittest does), so its time *",
        ]
    )


def test_trio_tests_are_left_to_trio(run_project: RunProject) -> None:
    """Tests with trio's mark run as pytest-trio runs them, beside tests that aldente runs."""
    pytest.importorskip("pytest_trio")
    result = run_project(
        plugins=["trio"],
        subprocess=True,
        test_it="""
        import asyncio
        import pytest
        import trio

        @pytest.fixture
        async def used_by_trio():
            await trio.lowlevel.checkpoint()
            yield trio.current_time()
            await trio.lowlevel.checkpoint()

        @pytest.fixture
        async def used_by_asyncio():
            await asyncio.sleep(0)
            yield asyncio.get_running_loop()

        @pytest.mark.trio
        async def test_trio(used_by_trio, autojump_clock, nursery):
            nursery.start_soon(trio.sleep, 3600)
            await trio.sleep(3600)
            assert trio.current_time() >= used_by_trio + 3600

        async def test_ours(used_by_asyncio):
            assert asyncio.get_running_loop() is used_by_asyncio

        def test_sync(used_by_asyncio):
            assert not used_by_asyncio.is_running()
        """,
    )
    result.assert_outcomes(passed=3)


def test_trio_mode_takes_every_async_test(run_project: RunProject) -> None:
    """With ``trio_mode = true`` unmarked async tests and their fixtures are pytest-trio's."""
    pytest.importorskip("pytest_trio")
    result = run_project(
        plugins=["trio"],
        ini="trio_mode = true",
        subprocess=True,
        test_it="""
        import pytest
        import trio

        @pytest.fixture
        async def clock():
            await trio.lowlevel.checkpoint()
            yield trio.current_time
            await trio.lowlevel.checkpoint()

        @pytest.mark.parametrize("n", [1, 2])
        async def test_trio(clock, n):
            await trio.lowlevel.checkpoint()
            assert clock() >= 0

        async def test_fails():
            await trio.lowlevel.checkpoint()
            assert False, "in trio"
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: in trio"])


# What the synchronous API of Playwright does: its own loop is suspended in another greenlet, inside a
# callback, and counts as running in this thread from its start until it is stopped.
_PLAYWRIGHT = """
import asyncio
import greenlet
import pytest

@pytest.fixture(scope="session")
def page():
    loop = asyncio.new_event_loop()
    main = greenlet.getcurrent()

    def run():
        loop.call_soon(main.switch)
        loop.run_forever()

    fiber = greenlet.greenlet(run)
    fiber.switch()
    assert asyncio.get_running_loop() is loop
    yield loop
    loop.stop()
    fiber.switch()
    loop.close()
"""


def test_async_tests_run_beside_playwright(run_project: RunProject) -> None:
    """While a session fixture has its loop suspended, async tests and fixtures run as ever."""
    result = run_project(
        subprocess=True,
        conftest=_PLAYWRIGHT,
        test_it="""
        import asyncio
        import time
        import aldente
        import pytest

        @pytest.fixture
        async def connection():
            yield asyncio.get_running_loop()
            await asyncio.sleep(0)

        @pytest.fixture(scope="session")
        async def server():
            yield
            await asyncio.sleep(0)

        async def test_before():
            pass

        def test_page(page):
            assert asyncio.get_running_loop() is page

        async def test_async(page):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is not page

        def test_page_again(page):
            # No blocking call: nothing runs on that loop now.
            time.sleep(0.2)
            assert asyncio.get_running_loop() is page

        def test_fixtures(connection, server):
            assert connection is not asyncio.get_running_loop()

        @aldente.virtual_time
        async def test_virtual_time():
            await asyncio.sleep(3600)

        @aldente.explore
        async def test_explored():
            await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))

        def test_page_at_last(page):
            assert asyncio.get_running_loop() is page
        """,
    )
    result.assert_outcomes(passed=8)
    for line in ("*never awaited*", "*Task was destroyed*", "*Event loop is closed*", "*blocking*"):
        result.stdout.no_fnmatch_line(line)
        result.stderr.no_fnmatch_line(line)


def test_loops_set_up_before_playwright_are_ended_after_it(run_project: RunProject) -> None:
    """An async session fixture outlives a loop left running inside its life, and is torn down."""
    result = run_project(
        subprocess=True,
        conftest=_PLAYWRIGHT
        + """
@pytest.fixture(scope="session")
async def server():
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)
    print("server stopped")
""",
        test_it="""
        async def test_server(server):
            pass

        def test_page(server, page):
            pass
        """,
    )
    result.assert_outcomes(passed=2)


def test_fixtures_are_torn_down_beside_playwright(run_project: RunProject) -> None:
    """An async fixture is torn down while the loop of another tool is suspended."""
    result = run_project(
        "-s",
        subprocess=True,
        conftest=_PLAYWRIGHT,
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def connection():
            yield
            await asyncio.sleep(0)
            print("connection closed")

        def test_page(connection, request):
            request.getfixturevalue("page")
            asyncio.get_running_loop()

        def test_sync():
            pass
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*connection closed*"])
    for line in ("*never awaited*", "*Task was destroyed*", "*Cannot run the event loop*"):
        result.stdout.no_fnmatch_line(line)
        result.stderr.no_fnmatch_line(line)
