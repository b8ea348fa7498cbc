# test_routes.py
import httpx

from weather import Weather


async def test_rome(respx_mock):
    route = respx_mock.get("https://weather.example/rome").respond(json={"degrees": 31})
    async with httpx.AsyncClient() as http:
        assert await Weather(http).degrees("rome") == 31
    assert route.call_count == 1
