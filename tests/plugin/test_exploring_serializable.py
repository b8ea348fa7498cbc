"""`aldente.serializable` in explored tests: the report of operations that are not atomic."""

from __future__ import annotations

from tests.plugin.conftest import RunProject

_SHOP = """
import asyncio
import aldente
import pytest

class Shop:
    def __init__(self):
        self.stock = 1

    async def buy(self, who):
        if not self.stock:
            return False
        TAKE
        return True

@pytest.fixture
async def shop():
    return aldente.serializable(Shop())

@aldente.explore
async def test_shop(shop):
    async with asyncio.TaskGroup() as group:
        group.create_task(shop.buy("a"), name="first")
        group.create_task(shop.buy("b"), name="second")
"""


def test_the_report(run_project: RunProject) -> None:
    """It has what the operations gave here and one at a time, what raced, and the token."""
    module = _SHOP.replace("TAKE", "await asyncio.sleep(0.01); self.stock -= 1")
    result = run_project(test_it=module)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "The outcome of 2 operations of Shop matches no serial order of them.",
            "Here:",
            "    first: buy('a') returned True; second: buy('b') returned True; in the end "
            "{'stock': -1}",
            "One at a time, in all orders:",
            "    first: buy('a') returned True; second: buy('b') returned False; in the end "
            "{'stock': 0}",
            "Fix: do the steps that belong together without an await in between, *",
            "Run it again: pytest test_it.py::test_shop --aldente-replay=*",
        ]
    )
    assert "traceback" not in result.stdout.str()
    token = result.stdout.str().partition("--aldente-replay=")[2].split()[0]
    again = run_project(f"--aldente-replay={token}", test_it=module)
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["The outcome of 2 operations of Shop *"])


def test_a_correct_program(run_project: RunProject) -> None:
    """An object whose methods are atomic passes, and the summary has no word about judging."""
    result = run_project(test_it=_SHOP.replace("TAKE", "self.stock -= 1; await asyncio.sleep(0)"))
    result.assert_outcomes(passed=1)
    assert "not judged" not in result.stdout.str()


def test_not_judged(run_project: RunProject) -> None:
    """The summary says how many runs were not judged, and why."""
    take = "asyncio.get_running_loop().call_later(9, int); await asyncio.sleep(1); self.stock -= 1"
    result = run_project(test_it=_SHOP.replace("TAKE", take))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["not judged: test_it.py::test_shop: * of * runs, because operations set timers"]
    )


def test_fixtures_are_made_anew_for_serial_runs(run_project: RunProject) -> None:
    """A sync fixture too: each run one at a time begins with a new one."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest
        import aldente

        class Shop:
            def __init__(self):
                self.stock = 1

            async def buy(self):
                if self.stock:
                    await asyncio.sleep(0.01)
                    self.stock -= 1
                    return True
                return False

        @pytest.fixture
        def shop():
            return Shop()

        @pytest.fixture
        async def other_shop():
            return Shop()

        @aldente.explore
        async def test_sync_fixture(shop):
            shop = aldente.serializable(shop)
            await asyncio.gather(shop.buy(), shop.buy())

        @aldente.explore
        async def test_async_fixture(other_shop):
            shop = aldente.serializable(other_shop)
            await asyncio.gather(shop.buy(), shop.buy())
        """
    )
    result.assert_outcomes(failed=2)
    assert (
        result.stdout.str().count(
            "The outcome of 2 operations of Shop matches no serial order of them"
        )
        >= 2
    )
    result.stdout.no_fnmatch_line("*not judged*")
