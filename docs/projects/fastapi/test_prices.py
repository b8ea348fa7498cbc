# test_prices.py
import pytest


@pytest.mark.parametrize(("name", "status"), [("penne", 200), ("pizza", 404)])
async def test_price(client, name, status):
    response = await client.get(f"/prices/{name}")
    assert response.status_code == status
