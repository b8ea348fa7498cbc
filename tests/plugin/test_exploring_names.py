"""What an explored test says to the explorer: cancellations, invariants, values, notes."""

from __future__ import annotations

from tests.plugin.conftest import RunProject


def test_a_cancellation_is_found_and_told(run_project: RunProject) -> None:
    """A test fails for what is lost at one of the awaits, and the report tells the cancellation."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente
        import pytest

        @pytest.fixture
        async def slots():
            return asyncio.Semaphore(1)

        async def work(slots):
            await slots.acquire()
            await asyncio.sleep(1)
            slots.release()

        @aldente.explore
        async def test_slots(slots):
            aldente.note("the worker begins")
            worker = aldente.may_be_cancelled(asyncio.create_task(work(slots), name="worker"))
            await asyncio.gather(worker, return_exceptions=True)
            assert not slots.locked()

        @aldente.explore
        async def test_time_out(slots):
            try:
                await aldente.maybe_timeout(work(slots))
            except TimeoutError:
                assert not slots.locked()
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            ">       assert not slots.locked()",
            "*test_slots*note: the worker begins",
            "  > (explorer) *cancels 'worker' in sleep",
            "*await asyncio.sleep(1)",
            "*is cancelled by the explorer in sleep*",
        ]
    )
    result.stdout.fnmatch_lines(["  > (explorer) *lets 'test_time_out' time out in sleep"])


def test_an_invariant_fails_a_test_at_once(run_project: RunProject) -> None:
    """A check's assertion is shown as pytest shows assertions, with the step that broke it last."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        class Pool:
            used = 0

            def is_within_limit(self):
                assert self.used <= 2

            async def use(self):
                await asyncio.sleep(0)
                self.used += 1
                await asyncio.sleep(0)
                self.used -= 1

        @aldente.explore
        async def test_pool():
            pool = Pool()
            aldente.invariant(pool.is_within_limit)
            await asyncio.gather(pool.use(), pool.use(), pool.use())
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert self.used <= 2",
            "E       *assert 3 <= 2",
            "E       * where 3 = <*Pool object*>.used",
            "*(loop) *the invariant 'Pool.is_within_limit' is broken",
        ]
    )


def test_an_invariant_holds_for_the_test(run_project: RunProject) -> None:
    """Tear-down may break an invariant; the last lines of the test may not."""
    result = run_project(
        test_it="""
        import aldente
        import pytest

        class Client:
            is_open = True

        @pytest.fixture
        async def client():
            client = Client()
            yield client
            client.is_open = False

        @aldente.explore
        async def test_passes(client):
            aldente.invariant(lambda: client.is_open)

        @aldente.explore
        async def test_fails(client):
            with aldente.invariant(lambda: client.is_open):
                pass
            aldente.invariant(lambda: client.is_open)
            client.is_open = False
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*InvariantBroken: The invariant 'test_fails.<locals>.<lambda>' (*test_it.py:21) does not*"
        ]
    )


def test_in_other_tests_they_do_next_to_nothing(run_project: RunProject) -> None:
    """Where no run is simulated all names but one may be used, and that one says what it needs."""
    result = run_project(
        test_it="""
        import asyncio
        import aldente

        async def test_async():
            task = aldente.may_be_cancelled(asyncio.create_task(asyncio.sleep(0, "task")))
            assert await aldente.maybe_timeout(task) == "task"
            assert aldente.choose(["first", "second"]) == "first"
            aldente.note("nobody reads this")

        @aldente.virtual_time
        async def test_virtual():
            assert await aldente.maybe_timeout(asyncio.sleep(100, "done")) == "done"

        def test_sync():
            assert aldente.choose("xy") == "x"
            aldente.note("nor this")

        async def test_invariant():
            aldente.invariant(lambda: True)
        """
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.NotSimulated: aldente.invariant() was called outside of a simulated run.*",
            "E * Fix: call it in an explored test, or in a program that aldente.search(main) *",
        ]
    )
