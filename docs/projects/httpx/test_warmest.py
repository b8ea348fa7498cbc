# test_warmest.py
import aldente
import pytest

from weather import Weather, warmest


@pytest.fixture
def weather():
    weather = aldente.Double(Weather)
    weather.degrees.when("rome").returns(31)
    weather.degrees.when("oslo").returns(12)
    return weather


async def test_warmest(weather):
    assert await warmest(weather.degrees, ["oslo", "rome"]) == "rome"


@aldente.virtual_time
async def test_they_are_asked_at_once(weather, clock):
    weather.degrees.takes(3)
    assert await warmest(weather.degrees, ["oslo", "rome"]) == "rome"
    assert clock.elapsed == 3
    aldente.assert_overlap(weather.degrees)


@aldente.virtual_time
async def test_who_does_not_answer_does_not_count(weather, clock):
    weather.degrees.when("rome").never_returns()
    assert await warmest(weather.degrees, ["oslo", "rome"]) == "oslo"
    assert clock.elapsed == 10
    assert weather.degrees.cancelled_count == 1
