"""Plugins that run tests elsewhere, again, in another order, or not to their end."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject


def test_xdist_gives_each_worker_its_session(run_project: RunProject) -> None:
    """Each of two xdist workers sets up an async session fixture once and tears it down."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n",
        "2",
        plugins=["xdist"],
        subprocess=True,
        test_it="""
        import asyncio
        import pathlib
        import pytest

        @pytest.fixture(scope="session")
        async def pool(worker_id):
            log = pathlib.Path(f"{worker_id}.log")
            log.write_text("up ")
            yield asyncio.get_running_loop()
            await asyncio.sleep(0)
            log.write_text(log.read_text() + "down")

        @pytest.mark.parametrize("n", range(10))
        async def test_pool(pool, n):
            assert asyncio.get_running_loop() is pool
            assert n != 7
        """,
        conftest="""
        import pathlib

        def pytest_unconfigure(config):
            if not hasattr(config, "workerinput"):
                for log in sorted(pathlib.Path().glob("*.log")):
                    print(log.stem, log.read_text())
        """,
    )
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_pool[[]7[]]*", "gw0 up down", "gw1 up down"]
    )


def test_xdist_workers_agree_on_loop_factories(run_project: RunProject) -> None:
    """Tests that run once with each loop factory have the same names in every xdist worker."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n",
        "2",
        "-v",
        plugins=["xdist"],
        subprocess=True,
        conftest="""
        import asyncio

        def pytest_asyncio_loop_factories(config, item):
            return {"plain": asyncio.new_event_loop, "selector": asyncio.SelectorEventLoop}
        """,
        test_it="""
        async def test_it():
            pass
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["*::test_it[[]plain[]]*", "*::test_it[[]selector[]]*"])


@pytest.mark.skipif(sys.platform == "win32", reason="pytest-timeout's signal is SIGALRM")
def test_timeout_by_signal_fails_the_hung_test_only(run_project: RunProject) -> None:
    """A hung async test fails with pytest-timeout's message; what shares its loop goes on."""
    pytest.importorskip("pytest_timeout")
    result = run_project(
        plugins=["timeout"],
        ini="timeout_method = signal",
        subprocess=True,
        test_it="""
        import asyncio
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        ended = []

        @pytest.fixture(scope="module")
        async def pool():
            yield asyncio.get_running_loop()
            ended.append("pool")

        @pytest.fixture
        async def connection(pool):
            yield
            await asyncio.sleep(0)
            ended.append("connection")

        @pytest.mark.timeout(0.3)
        async def test_hung(connection):
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("test")

        async def test_next(pool):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is pool
            assert ended == ["test", "connection"]

        async def test_last(pool):
            assert ended == ["test", "connection"]
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["E*Failed: Timeout (>0.3s) from pytest-timeout.", "FAILED*test_hung*"]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pytest-timeout's signal is SIGALRM")
def test_timeout_by_signal_shows_where_code_blocks(run_project: RunProject) -> None:
    """A call that blocks the loop is shown as the place where the time ran out."""
    pytest.importorskip("pytest_timeout")
    result = run_project(
        plugins=["timeout"],
        ini="timeout_method = signal\ntimeout = 0.3",
        subprocess=True,
        test_it="""
        import time

        async def fetch():
            time.sleep(60)

        async def test_blocked():
            await fetch()

        async def test_next():
            pass
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([">*time.sleep(60)", "E*Failed: Timeout (>0.3s)*"])


@pytest.mark.skipif(sys.platform == "win32", reason="pytest-timeout's signal is SIGALRM")
def test_timeout_by_signal_ends_hung_fixtures(run_project: RunProject) -> None:
    """An async fixture that hangs, setting up or tearing down, is an error of its test only."""
    pytest.importorskip("pytest_timeout")
    result = run_project(
        "--timeout=0.3",
        plugins=["timeout"],
        ini="timeout_method = signal",
        subprocess=True,
        test_it="""
        import asyncio
        import pytest

        ended = []

        @pytest.fixture
        async def outer():
            yield
            ended.append("outer")

        @pytest.fixture
        async def hangs_early(outer):
            await asyncio.get_running_loop().create_future()
            yield

        @pytest.fixture
        async def hangs_late(outer):
            yield
            await asyncio.get_running_loop().create_future()

        async def test_early(hangs_early):
            pass

        async def test_late(hangs_late):
            pass

        async def test_next():
            assert ended == ["outer", "outer"]
        """,
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_early*",
            "E*Failed: Timeout (>0.3s)*",
            "*ERROR at teardown of test_late*",
            "E*Failed: Timeout (>0.3s)*",
        ]
    )


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_timeout_by_thread_ends_the_run(run_project: RunProject, loop: str) -> None:
    """With the method ``thread`` a hung async test ends pytest, which shows every thread's stack."""
    pytest.importorskip("pytest_timeout")
    pytest.importorskip(loop)
    result = run_project(
        "--timeout=0.3",
        "--timeout-method=thread",
        plugins=["timeout"],
        subprocess=True,
        conftest=f"""
        LOOP = "{loop}"
        """,
        test_it="""
        import asyncio
        import pytest
        from conftest import LOOP

        @pytest.mark.asyncio(loop_factories=[LOOP])
        async def test_hung():
            await asyncio.get_running_loop().create_future()

        async def test_next():
            print("never reached")
        """,
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*+ Timeout +*", "*~ Stack of MainThread *", "*+ Timeout +*"])
    result.stdout.no_fnmatch_line("*passed*")


def test_rerun_test_starts_afresh(run_project: RunProject) -> None:
    """Each rerun of a flaky test has fresh function-scoped fixtures and a fresh loop."""
    pytest.importorskip("pytest_rerunfailures")
    result = run_project(
        "--reruns",
        "2",
        plugins=["rerunfailures"],
        subprocess=True,
        test_it="""
        import asyncio
        import pytest

        loops = []

        @pytest.fixture
        async def loop():
            yield asyncio.get_running_loop()

        async def test_third_time(loop):
            assert asyncio.get_running_loop() is loop
            assert all(earlier.is_closed() for earlier in loops)
            loops.append(loop)
            assert len(loops) == 3
        """,
    )
    result.stdout.fnmatch_lines(["*1 passed, 2 rerun*"])


@pytest.mark.parametrize("scope", ["function", "module"])
def test_rerun_fixture_starts_afresh(run_project: RunProject, scope: str) -> None:
    """A flaky async fixture is set up again for each rerun, and what it had set up is ended."""
    pytest.importorskip("pytest_rerunfailures")
    result = run_project(
        "--reruns",
        "2",
        plugins=["rerunfailures"],
        subprocess=True,
        conftest=f"""
        SCOPE = "{scope}"
        """,
        test_it="""
        import asyncio
        import pytest
        from conftest import SCOPE

        history = []

        @pytest.fixture(scope=SCOPE)
        async def connection():
            yield asyncio.get_running_loop()
            history.append("closed")

        @pytest.fixture(scope=SCOPE)
        async def flaky(connection):
            assert asyncio.get_running_loop() is connection
            await asyncio.sleep(0)
            history.append("attempt")
            assert history.count("attempt") == 3
            yield connection

        async def test_flaky(flaky):
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is flaky

        def test_history():
            assert [entry for entry in history if entry == "attempt"] == ["attempt"] * 3
            if SCOPE == "function":
                assert history == ["attempt", "closed"] * 3
        """,
    )
    result.stdout.fnmatch_lines(["*2 passed, 2 rerun*"])


def test_rerun_of_an_explored_test_starts_afresh(run_project: RunProject) -> None:
    """Each run of an explored test that is run again sets each fixture up once."""
    pytest.importorskip("pytest_rerunfailures")
    result = run_project(
        "--reruns",
        "1",
        plugins=["rerunfailures"],
        subprocess=True,
        test_it="""
        import aldente
        import pytest

        opened, failed = [], []

        @pytest.fixture
        async def connection():
            opened.append(1)
            yield
            opened.pop()

        @aldente.explore(runs=3)
        async def test_flaky(connection, request):
            assert len(opened) == 1
            if len(failed) < 2:
                # The run that fails is repeated, to show it.
                failed.append(1)
                raise ValueError("flaky")
        """,
    )
    result.stdout.fnmatch_lines(["*1 passed, 1 rerun*"])


@pytest.mark.parametrize(
    "fixture",
    [
        "def fixture(): fail_twice()",
        "async def fixture(): fail_twice()",
        "async def fixture(): tries.append(1) or len(tries) > 2 or forget()",
    ],
)
@pytest.mark.parametrize("scope", ["function", "module"])
def test_rerun_after_failed_set_up_starts_afresh(
    run_project: RunProject, fixture: str, scope: str
) -> None:
    """A test whose set-up fails is run again as if it were new, whatever has failed it."""
    pytest.importorskip("pytest_rerunfailures")
    result = run_project(
        "--reruns",
        "3",
        plugins=["rerunfailures"],
        subprocess=True,
        test_it=f"""
        import asyncio
        import pytest

        tries = []

        async def forget():
            pass

        def fail_twice():
            assert asyncio.get_event_loop() is not None
            tries.append(1)
            if len(tries) < 3:
                raise ValueError("flaky")

        @pytest.fixture
        {fixture}

        @pytest.mark.asyncio(loop_scope="{scope}")
        async def test_flaky(fixture):
            assert len(tries) == 3

        def test_afterwards():
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
        """,
    )
    result.stdout.fnmatch_lines(["*2 passed, 2 rerun*"])
    result.stdout.no_fnmatch_line("*AttributeError*")


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_tests_keep_their_loops(run_project: RunProject, seed: int) -> None:
    """In whatever order pytest-randomly runs them, tests share the loop of their scope."""
    pytest.importorskip("pytest_randomly")
    modules = {
        f"test_{name}": """
        import asyncio
        import pytest
        from conftest import order

        @pytest.fixture(scope="module")
        async def of_module():
            yield asyncio.get_running_loop()

        @pytest.mark.parametrize("n", range(4))
        async def test_module(of_module, n):
            order.append(n)
            assert asyncio.get_running_loop() is of_module

        @pytest.mark.parametrize("n", range(4))
        async def test_session(of_session, n):
            assert asyncio.get_running_loop() is of_session

        @pytest.fixture(scope="class")
        async def of_class():
            yield asyncio.get_running_loop()

        class TestClass:
            async def test_one(self, of_class):
                assert asyncio.get_running_loop() is of_class

            async def test_two(self, of_class):
                assert asyncio.get_running_loop() is of_class

        async def test_alone():
            pass
        """
        for name in ("one", "two")
    }
    result = run_project(
        f"--randomly-seed={seed}",
        plugins=["randomly"],
        subprocess=True,
        conftest="""
        import asyncio
        import pytest

        order = []
        ended = []

        @pytest.fixture(scope="session")
        async def of_session():
            yield asyncio.get_running_loop()
            ended.append("session")

        def pytest_unconfigure(config):
            print("shuffled:", order != [0, 1, 2, 3, 0, 1, 2, 3], "ended:", len(ended))
        """,
        **modules,
    )
    result.assert_outcomes(passed=22)
    result.stdout.fnmatch_lines(["shuffled: True ended: 1"])
