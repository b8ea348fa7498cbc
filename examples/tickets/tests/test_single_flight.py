"""Many callers, one call: each test in many orders."""

import asyncio

import aldente
import pytest

from conftest import AnyDouble
from tickets.errors import PriceUnavailable
from tickets.single_flight import SingleFlight

pytestmark = aldente.explore(runs=15)


@pytest.fixture
def load() -> AnyDouble:
    """A call that takes a second, and gives the length of the key."""
    return aldente.Double(name="load").calls(len).takes(1)


@pytest.fixture
def flights(load: AnyDouble) -> SingleFlight[str, int]:
    """What is tested."""
    return SingleFlight(load)


async def test_one_call_for_all(flights: SingleFlight[str, int], load: AnyDouble) -> None:
    """Who asks while a call is under way gets its result."""
    assert await asyncio.gather(*(flights.get("tea") for _ in range(5))) == [3] * 5
    assert load.await_count == 1


async def test_different_keys_do_not_wait(flights: SingleFlight[str, int], load: AnyDouble) -> None:
    """Calls for different keys are made side by side."""
    tea, penne = await asyncio.gather(flights.get("tea"), flights.get("penne"))

    assert (tea, penne) == (3, 5)
    assert load.peak_concurrency == 2


async def test_a_result_is_not_kept(flights: SingleFlight[str, int], load: AnyDouble) -> None:
    """Who asks later has a new call."""
    await flights.get("tea")
    await flights.get("tea")

    assert load.await_count == 2


async def test_a_failure_is_for_those_who_wait(
    flights: SingleFlight[str, int], load: AnyDouble
) -> None:
    """All who wait get it, and the next one gets a new call."""
    load.returns_each(PriceUnavailable(1, "gone"), 3)

    first = await asyncio.gather(*(flights.get("tea") for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in first] == [PriceUnavailable] * 3
    assert await flights.get("tea") == 3


async def test_who_is_cancelled_leaves_alone(
    flights: SingleFlight[str, int], load: AnyDouble
) -> None:
    """Whoever of those who wait is cancelled, and whenever, the others get the result."""
    tasks = [asyncio.create_task(flights.get("tea"), name=name) for name in ("one", "two", "three")]
    aldente.may_be_cancelled(tasks[0])
    aldente.may_be_cancelled(tasks[1])

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert results[2] == 3
    assert load.pending == 0


async def test_nobody_waits_any_more(flights: SingleFlight[str, int], load: AnyDouble) -> None:
    """When all are cancelled the call is, too, and the next one gets a new call."""
    tasks = [asyncio.create_task(flights.get("tea")) for _ in range(2)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    again = asyncio.create_task(flights.get("tea"))
    await asyncio.wait(tasks)

    assert [task.cancelled() for task in tasks] == [True, True]
    assert await again == 3
    assert (load.cancelled_count, load.pending) == (1, 0)
