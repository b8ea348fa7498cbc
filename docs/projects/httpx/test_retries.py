# test_retries.py
import aldente
import httpx
import pytest

from weather import Weather

pytestmark = aldente.virtual_time


async def test_back_off(respx_mock, clock):
    route = respx_mock.get("https://weather.example/rome")
    answer = httpx.Response(200, json={"degrees": 31})
    route.side_effect = [httpx.ConnectError, httpx.Response(503), answer]
    async with httpx.AsyncClient() as http:
        assert await Weather(http).degrees("rome") == 31
    assert clock.elapsed == 1 + 2


async def test_it_gives_up(respx_mock, clock):
    respx_mock.get("https://weather.example/rome").respond(503)
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.HTTPStatusError):
            await Weather(http).degrees("rome")
    assert clock.elapsed == 1 + 2 + 4
