# test_transport.py
import httpx
import pytest

from weather import Weather


@pytest.fixture
async def weather():
    def answer(request):
        if request.url.path == "/rome":
            return httpx.Response(200, json={"degrees": 31})
        return httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        yield Weather(http)


async def test_rome(weather):
    assert await weather.degrees("rome") == 31
