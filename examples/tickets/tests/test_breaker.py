"""The circuit breaker."""

import asyncio

import aldente
import pytest

from conftest import AnyDouble
from tickets.breaker import CircuitBreaker
from tickets.errors import CircuitOpen


class Broken(Exception):
    """What the other side answers when it is out of order."""


class Refused(Exception):
    """What the other side answers when it is in order."""


@pytest.fixture
def action() -> AnyDouble:
    """A call that fails after a second."""
    return aldente.Double(name="action").raises(Broken).takes(1)


@pytest.fixture
def breaker() -> CircuitBreaker:
    """What is tested."""
    return CircuitBreaker(failures=2, seconds=30, counts=lambda error: isinstance(error, Broken))


async def opened(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """Have the circuit opened."""
    for _ in range(2):
        with pytest.raises(Broken):
            await breaker.call(action)
    assert breaker.is_open


async def test_failures_in_a_row_open_it(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """After so many failures no calls are made."""
    await opened(breaker, action)

    with pytest.raises(CircuitOpen):
        await breaker.call(action)
    assert action.await_count == 2


async def test_a_success_in_between_counts_anew(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """Failures that are not in a row do not open it."""
    action.returns_each(Broken(), "fine", Broken())
    with pytest.raises(Broken):
        await breaker.call(action)
    await breaker.call(action)
    with pytest.raises(Broken):
        await breaker.call(action)

    assert not breaker.is_open


async def test_a_refusal_is_no_failure(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """The other side is in order when it says no."""
    action.raises(Refused)
    for _ in range(3):
        with pytest.raises(Refused):
            await breaker.call(action)

    assert not breaker.is_open


async def test_it_closes_when_the_probe_succeeds(
    breaker: CircuitBreaker, action: AnyDouble, clock: aldente.Clock
) -> None:
    """After its seconds a call is made again, and not before."""
    await opened(breaker, action)
    action.returns("fine")
    await clock.advance(29)
    with pytest.raises(CircuitOpen):
        await breaker.call(action)
    await clock.advance(1)

    assert await breaker.call(action) == "fine"
    assert not breaker.is_open


async def test_it_stays_open_when_the_probe_fails(
    breaker: CircuitBreaker, action: AnyDouble, clock: aldente.Clock
) -> None:
    """It is as long until the next probe."""
    await opened(breaker, action)
    await clock.advance(30)
    with pytest.raises(Broken):
        await breaker.call(action)
    await clock.advance(29)

    with pytest.raises(CircuitOpen):
        await breaker.call(action)


@aldente.explore(runs=15)
async def test_one_probe_at_a_time(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """However many come when the seconds are over, one call is made until the circuit is closed."""
    await opened(breaker, action)
    probe: AnyDouble = aldente.Double(name="probe").returns("fine").takes(1)
    await asyncio.sleep(30)

    with aldente.invariant(lambda: probe.pending <= 1 or not breaker.is_open):
        outcomes = await asyncio.gather(
            *(breaker.call(probe) for _ in range(3)), return_exceptions=True
        )

    assert "fine" in outcomes


@aldente.explore(runs=15)
async def test_a_cancelled_probe_makes_room(breaker: CircuitBreaker, action: AnyDouble) -> None:
    """Whenever the probe is cancelled, the next one who comes makes another, or it is closed."""
    await opened(breaker, action)
    action.returns("fine")
    await asyncio.sleep(60)
    probe = aldente.may_be_cancelled(asyncio.create_task(breaker.call(action), name="probe"))
    await asyncio.wait([probe])

    assert await breaker.call(action) == "fine"
    assert not breaker.is_open


@aldente.explore(runs=15)
async def test_late_failures_do_not_open_it_again(
    breaker: CircuitBreaker, action: AnyDouble
) -> None:
    """What began before the circuit opened says nothing of how it is after the probe."""
    late: AnyDouble = aldente.Double(name="late").raises(Broken).takes(40)
    begun = [asyncio.create_task(breaker.call(late)) for _ in range(2)]
    await asyncio.sleep(1)
    await opened(breaker, action)
    action.returns("fine")
    while breaker.is_open:
        await asyncio.sleep(10)
        await asyncio.gather(breaker.call(action), return_exceptions=True)
    await asyncio.wait(begun)

    assert [type(task.exception()) for task in begun] == [Broken, Broken]
    assert not breaker.is_open
