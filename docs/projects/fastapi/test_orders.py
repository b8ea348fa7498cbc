# test_orders.py
import aldente

from app import Mailer, app


async def test_a_mail_is_sent(client):
    mailer = aldente.Double(Mailer)
    mailer.send.returns(None)

    async def the_double():
        return mailer

    app.dependency_overrides[Mailer] = the_double
    response = await client.post("/orders", params={"address": "ann@example.org"})
    assert response.status_code == 202
    mailer.send.assert_awaited_once_with("ann@example.org", "Thank you for your order.")
