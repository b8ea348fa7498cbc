"""Tools that freeze, move or shorten time: the event loop goes on, on the clock it should have."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

_LOOPTIME = ["looptime_plugin", "looptime_chronometers", "looptime_timeproxies"]


def test_freezegun_freezes_the_code_and_not_the_loop(run_project: RunProject) -> None:
    """Under freezegun with ``real_asyncio=True`` async code sees frozen time, and sleeps still end."""
    pytest.importorskip("freezegun")
    result = run_project(
        fresh=True,
        test_it="""
        import asyncio
        import datetime
        import pytest
        from freezegun import freeze_time

        FROZEN = datetime.datetime(2020, 2, 29)

        @pytest.fixture
        def frozen():
            with freeze_time(FROZEN, real_asyncio=True) as clock:
                yield clock

        @pytest.fixture
        async def resource(frozen):
            await asyncio.sleep(0.01)
            yield datetime.datetime.now()
            await asyncio.sleep(0.01)
            assert datetime.datetime.now() == FROZEN + datetime.timedelta(hours=1)

        async def test_fixtures(frozen, resource):
            await asyncio.sleep(0.01)
            assert datetime.datetime.now() == resource == FROZEN
            frozen.tick(3600)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.get_running_loop().create_future()

        @freeze_time(FROZEN, real_asyncio=True)
        async def test_decorated():
            await asyncio.sleep(0.01)
            assert datetime.datetime.now() == FROZEN

        async def test_context():
            with freeze_time(FROZEN, real_asyncio=True):
                await asyncio.sleep(0.01)
                assert datetime.datetime.now() == FROZEN
            await asyncio.sleep(0.01)
            assert datetime.datetime.now() != FROZEN

        async def test_undone():
            assert datetime.datetime.now() > FROZEN + datetime.timedelta(days=365)
            await asyncio.sleep(0.01)
        """,
    )
    result.assert_outcomes(passed=4)


def test_a_frozen_loop_is_closed_all_the_same(run_project: RunProject) -> None:
    """Ending what a test left on its loop needs no clock, so one frozen by freezegun is no hang."""
    pytest.importorskip("freezegun")
    result = run_project(
        fresh=True,
        test_it="""
        import asyncio
        import pytest
        from freezegun import freeze_time

        ended = []

        @pytest.fixture(scope="module", autouse=True)
        def frozen():
            with freeze_time("2020-02-29"):
                yield

        @pytest.fixture
        async def resource():
            yield
            ended.append("resource")

        async def linger():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                ended.append("task")

        async def test_leaves_a_task(resource):
            task = asyncio.get_running_loop().create_task(linger())
            asyncio.get_running_loop()._left = task
            asyncio.get_running_loop().run_in_executor(None, int)
            await asyncio.sleep(0)

        def test_ended():
            assert ended == ["resource", "task"]
        """,
    )
    result.assert_outcomes(passed=2)


_FROZEN_TESTS = """
    import asyncio
    import sys
    import threading
    import aldente
    import pytest
    from freezegun import freeze_time

    @aldente.virtual_time
    class TestVirtual:
        async def test_sleep(self, clock):
            with freeze_time("2012-01-14"):
                await asyncio.sleep(3600)
            assert clock.elapsed == 3600

        async def test_connection(self, clock):
            async def answer(reader, writer):
                await reader.readline()
                await asyncio.sleep(30)
                writer.write(b"soup")
                await writer.drain()
                writer.close()

            with freeze_time("2012-01-14"):
                async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
                    address = server.sockets[0].getsockname()
                    reader, writer = await asyncio.open_connection(*address)
                    writer.write(b"please\\n")
                    assert await reader.read() == b"soup"
                    writer.close()
            assert clock.elapsed == 30

        async def test_job(self):
            with freeze_time("2012-01-14"), pytest.raises(TimeoutError):
                over = threading.Event()
                try:
                    async with asyncio.timeout(0.1):
                        await asyncio.to_thread(over.wait, 300)
                finally:
                    over.set()

        async def test_process(self, clock):
            with freeze_time("2012-01-14"):
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await process.wait()
                process.kill()
                await process.wait()

        async def test_deadlock(self):
            with freeze_time("2012-01-14"):
                await asyncio.Event().wait()

        @aldente.timeout(0.3)
        async def test_endless(self):
            with freeze_time("2012-01-14"):
                while True:
                    await asyncio.sleep(0)

    @aldente.explore(runs=5)
    async def test_explored():
        with freeze_time("2012-01-14"):
            await asyncio.gather(*map(asyncio.sleep, [1, 2, 3]))

    @aldente.timeout(0.3)
    async def test_frozen_loop():
        with freeze_time("2012-01-14"):
            await asyncio.sleep(0.01)

    @aldente.timeout(0.3)
    async def test_endless_step():
        with freeze_time("2012-01-14"):
            while True:
                pass

    async def test_deadlock():
        with freeze_time("2012-01-14"):
            await asyncio.Event().wait()
    """


@pytest.mark.parametrize("before", ["", "freeze_time('2013-01-01').start()"])
def test_freezegun_stops_no_clock_of_ours(run_project: RunProject, before: str) -> None:
    """Under freezegun virtual time goes on, and time-outs and deadlocks end a test on either time."""
    pytest.importorskip("freezegun")
    result = run_project(
        "-rA",
        "--tb=no",
        fresh=True,
        conftest=f"from freezegun import freeze_time\n{before}",
        test_it=_FROZEN_TESTS,
    )
    result.assert_outcomes(passed=5, failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED test_it.py::TestVirtual::test_deadlock - deadlock: *",
            "FAILED test_it.py::TestVirtual::test_endless - PhaseTimeout*",
            "FAILED test_it.py::test_frozen_loop - PhaseTimeout*",
            "FAILED test_it.py::test_endless_step - PhaseTimeout*",
            "FAILED test_it.py::test_deadlock - deadlock: *",
        ]
    )


def test_freezegun_beats_wall(run_project: RunProject) -> None:
    """What freezegun shows is shown with ``wall=True`` too, whoever has begun first."""
    pytest.importorskip("freezegun")
    pytest.importorskip("time_machine")
    result = run_project(
        fresh=True,
        test_it="""
        import asyncio
        import datetime
        import time
        import aldente
        import pytest
        from freezegun import freeze_time

        pytestmark = aldente.virtual_time(wall=True)

        @pytest.fixture
        def frozen():
            with freeze_time("2012-01-14"):
                yield

        async def test_before(frozen, clock):
            await asyncio.sleep(3600)
            assert datetime.datetime.now() == datetime.datetime(2012, 1, 14)
            assert clock.elapsed == 3600

        async def test_meanwhile(clock):
            with freeze_time("2012-01-14"):
                await asyncio.sleep(3600)
                assert datetime.datetime.now() == datetime.datetime(2012, 1, 14)
            assert time.time() == 1_893_456_000 + 3600

        async def test_after():
            assert time.time() == 1_893_456_000
        """,
    )
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("tick", [False, True])
def test_time_machine_moves_the_code_and_not_the_loop(run_project: RunProject, tick: bool) -> None:
    """Under time-machine async code sees the time travelled to, ticking or not; sleeps still end."""
    pytest.importorskip("time_machine")
    result = run_project(
        plugins=["time_machine"],
        fresh=True,
        conftest=f"""
        TICK = {tick}
        """,
        test_it="""
        import asyncio
        import datetime
        import pytest
        from conftest import TICK
        from time_machine import travel

        THEN = datetime.datetime(2020, 2, 29, tzinfo=datetime.timezone.utc)

        def is_then():
            passed = datetime.datetime.now(datetime.timezone.utc) - THEN
            if TICK:
                return datetime.timedelta() <= passed < datetime.timedelta(minutes=5)
            return passed == datetime.timedelta()

        @pytest.fixture
        async def abroad():
            with travel(THEN, tick=TICK):
                await asyncio.sleep(0.01)
                yield
                assert is_then()
                await asyncio.sleep(0.01)

        async def test_fixture(abroad):
            await asyncio.sleep(0.01)
            assert is_then()

        @travel(THEN, tick=TICK)
        async def test_decorated():
            await asyncio.sleep(0.01)
            assert is_then()

        async def test_its_fixture(time_machine):
            time_machine.move_to(THEN, tick=TICK)
            await asyncio.sleep(0.01)
            assert is_then()

        async def test_undone():
            assert not is_then()
            await asyncio.sleep(0.01)
        """,
    )
    result.assert_outcomes(passed=4)


def test_looptime_shortens_marked_tests(run_project: RunProject) -> None:
    """``@pytest.mark.looptime`` makes loop time pass at once, in the marked test only."""
    pytest.importorskip("looptime")
    result = run_project(
        plugins=_LOOPTIME,
        fresh=True,
        test_it="""
        import asyncio
        import time
        import pytest

        @pytest.fixture
        async def resource():
            await asyncio.sleep(0)
            yield asyncio.get_running_loop()

        @pytest.mark.looptime
        async def test_marked(looptime, resource):
            began = time.monotonic()
            assert asyncio.get_running_loop() is resource
            await asyncio.sleep(10)
            assert looptime == 10
            assert time.monotonic() - began < 9

        @pytest.mark.looptime(start=100)
        async def test_start(looptime):
            assert looptime == 100
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await asyncio.get_running_loop().create_future()
            assert looptime == 110

        async def test_unmarked():
            began = time.monotonic()
            await asyncio.sleep(0.05)
            assert time.monotonic() - began > 0.04

        def test_sync():
            pass
        """,
    )
    result.assert_outcomes(passed=4)


def test_looptime_shortens_all_tests_on_request(run_project: RunProject) -> None:
    """``--looptime`` shortens unmarked async tests, and leaves those that are marked otherwise."""
    pytest.importorskip("looptime")
    result = run_project(
        "--looptime",
        plugins=_LOOPTIME,
        fresh=True,
        test_it="""
        import asyncio
        import time
        import pytest

        async def test_unmarked(looptime):
            began = time.monotonic()
            await asyncio.sleep(10)
            assert looptime == 10
            assert time.monotonic() - began < 9

        @pytest.mark.looptime(False)
        async def test_excepted():
            began = time.monotonic()
            await asyncio.sleep(0.05)
            assert time.monotonic() - began > 0.04

        def test_sync():
            pass
        """,
    )
    result.assert_outcomes(passed=3)


def test_looptime_works_on_shared_loops(run_project: RunProject) -> None:
    """On a loop that outlives the test looptime's time goes on from test to test."""
    pytest.importorskip("looptime")
    result = run_project(
        plugins=_LOOPTIME,
        fresh=True,
        test_it="""
        import asyncio
        import time
        import pytest

        @pytest.fixture(scope="module")
        async def server():
            yield asyncio.get_running_loop()

        @pytest.mark.looptime
        async def test_first(server):
            began = time.monotonic()
            before = asyncio.get_running_loop().time()
            await asyncio.sleep(10)
            assert time.monotonic() - began < 9
            assert asyncio.get_running_loop() is server
            assert asyncio.get_running_loop().time() == pytest.approx(before + 10)

        @pytest.mark.looptime
        async def test_second(server):
            began = time.monotonic()
            before = asyncio.get_running_loop().time()
            await asyncio.sleep(10)
            assert time.monotonic() - began < 9
            assert asyncio.get_running_loop() is server
            assert asyncio.get_running_loop().time() == pytest.approx(before + 10)

        async def test_unmarked(server):
            began = time.monotonic()
            await asyncio.sleep(0.05)
            assert time.monotonic() - began > 0.04
        """,
    )
    result.assert_outcomes(passed=3)
