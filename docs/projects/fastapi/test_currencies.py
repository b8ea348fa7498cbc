# test_currencies.py
import aldente
import pytest

from app import Rates, app


@pytest.fixture
def rates(client):
    rates = aldente.Double(Rates)

    async def the_double():
        return rates

    app.dependency_overrides[Rates] = the_double
    return rates


async def test_dollars(client, rates):
    rates.of.when("USD").returns(1.5)
    response = await client.get("/prices/penne", params={"currency": "USD"})
    assert response.json() == {"price": 15}


async def test_an_error(client, rates):
    rates.of.raises(ConnectionError("closed"))
    with pytest.raises(ConnectionError):  # a server would answer with status 500
        await client.get("/prices/penne", params={"currency": "USD"})


@aldente.virtual_time
async def test_a_bank_that_does_not_answer(client, rates, clock):
    rates.of.never_returns()
    response = await client.get("/prices/penne", params={"currency": "USD"})
    assert response.status_code == 504
    assert clock.elapsed == 5
