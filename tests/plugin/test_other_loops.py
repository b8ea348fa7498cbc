"""Errors about a different or a closed loop say what belongs to which loop."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

_FIX = (
    "*Fix: make it in the test, or in a fixture of the same scope. Or make it in an async fixture of a "
    "wider scope: all tests that request it run on one loop with it."
)


@pytest.mark.parametrize(
    ("make", "use", "what"),
    [
        (
            "FUTURE.append(asyncio.get_running_loop().create_future())",
            "await FUTURE[0]",
            "an item of FUTURE (a Future)",
        ),
        (
            "FUTURE.append(asyncio.get_running_loop().create_future())",
            "await asyncio.sleep(0)\n"
            "                with contextlib.suppress(RuntimeError): await FUTURE[0]\n"
            "                await FUTURE[0]",
            "an item of FUTURE (a Future)",
        ),
        (
            "FUTURE.append(asyncio.Event()); asyncio.create_task(FUTURE[0].wait()); "
            "await asyncio.sleep(0)",
            "await FUTURE[0].wait()",
            "an item of FUTURE (an Event)",
        ),
        (
            "await LOCK.acquire(); asyncio.create_task(LOCK.acquire()); await asyncio.sleep(0)",
            "await LOCK.acquire()",
            "LOCK (a Lock)",
        ),
        (
            "self.kept['it'] = asyncio.get_running_loop().create_future()",
            "await self.kept['it']",
            "an item of self.kept (a Future)",
        ),
        (
            "FUTURE.append(asyncio.get_running_loop().create_future()); "
            "FUTURE[0].add_done_callback(print)",
            "FUTURE[0].set_result(1)",
            "an item of FUTURE (a Future)",
        ),
    ],
)
def test_what_belongs_to_the_loop_of_another_test(
    run_project: RunProject, make: str, use: str, what: str
) -> None:
    """The note names it, and the test whose loop it was made on."""
    result = run_project(
        "-p",
        "no:randomly",
        ini="aldente_rules =\n    leaked-task = off",
        test_it=f"""
        import asyncio
        import contextlib

        LOCK = asyncio.Lock()
        FUTURE = []

        class TestIt:
            kept = {{}}

            async def test_makes(self):
                {make}

            async def test_uses(self):
                self.kept
                {use}
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"E *It is about {what}, made or first used on the event loop of "
            "test_it.py::TestIt::test_makes, which has ended.",
            "E " + _FIX,
        ]
    )


def test_what_belongs_to_a_wider_loop(run_project: RunProject) -> None:
    """It is named, too, where the test is on a loop of its own."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest
        import pytest_asyncio

        @pytest.fixture(scope="module")
        async def future():
            return asyncio.get_running_loop().create_future()

        @pytest.fixture(scope="session", name="session_future")
        async def make_session_future():
            return asyncio.get_running_loop().create_future()

        @pytest.mark.asyncio(loop_scope="function")
        async def test_module(future):
            await future

        @pytest.mark.asyncio(loop_scope="function")
        async def test_session(session_future):
            await session_future

        @pytest_asyncio.fixture(loop_scope="function")
        async def narrow(session_future):
            await session_future

        @pytest.mark.asyncio(loop_scope="function")
        async def test_fixture(narrow):
            pass
        """
    )
    result.assert_outcomes(failed=2, errors=1)
    made = "E *It is about {} (a Future), made or first used on the event loop of {}."
    result.stdout.fnmatch_lines_random(
        [
            made.format("future", "module test_it.py"),
            made.format("session_future", "the session"),
            "E " + _FIX,
        ]
    )


def test_several_objects_of_another_loop(run_project: RunProject) -> None:
    """It is the one that the error is about, not the first that is found."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio

        kept = {}

        async def test_makes():
            kept["future"] = asyncio.get_running_loop().create_future()
            kept["event"], kept["queue"] = asyncio.Event(), asyncio.Queue()
            for waits in (kept["event"].wait(), kept["queue"].get()):
                task = asyncio.create_task(waits)
                await asyncio.sleep(0)
                task.cancel()

        async def test_event():
            await kept["event"].wait()

        async def test_queue():
            await kept["queue"].get()

        async def test_future():
            await kept["future"]
        """,
    )
    result.assert_outcomes(passed=1, failed=3)
    told = (
        "E *It is about an item of kept ({}), made or first used on the event loop of *test_makes*"
    )
    result.stdout.fnmatch_lines([told.format(what) for what in ("an Event", "a Queue", "a Future")])


def test_explored_tests_say_it_once(run_project: RunProject) -> None:
    """They have a note of their own."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        LOCK = asyncio.Lock()

        async def work():
            async with LOCK:
                await asyncio.sleep(0)

        @aldente.explore
        async def test_it():
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
                group.create_task(work())
                group.create_task(asyncio.sleep(0))
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Every run of an explored test has an event loop of its own*"])
    result.stdout.no_fnmatch_line("*It is about*")


def test_what_only_looks_like_a_future(run_project: RunProject) -> None:
    """A mock, and a container with a broken length, are not taken for what the error is about."""
    result = run_project(
        test_it="""
        import asyncio
        from unittest.mock import Mock

        class Broken(list):
            def __len__(self):
                raise ValueError("no length")

        async def test_it():
            future, broken = Mock(spec=asyncio.Future), Broken()
            raise RuntimeError("Event loop is closed")
        """
    )
    result.assert_outcomes(failed=1)
    assert "It is about" not in result.stdout.str()
    assert "ValueError: no length" not in result.stdout.str()


def test_a_client_of_aiohttp(run_project: RunProject) -> None:
    """aiohttp says only that there is no task; the note says that the client has another loop."""
    pytest.importorskip("aiohttp")
    result = run_project(
        test_it="""
        import aiohttp
        import pytest

        @pytest.fixture(scope="session")
        async def wide():
            yield

        @pytest.fixture(scope="module")
        async def client():
            async with aiohttp.ClientSession() as session:
                yield session

        async def test_its_own_loop(client):
            pass

        async def test_other_loop(client, wide):
            await client.get("http://127.0.0.1:1")
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*Timeout context manager should be used inside a task",
            "*It is about client (a ClientSession), made or first used on the event loop of "
            "module test_it.py.",
            _FIX,
        ]
    )
