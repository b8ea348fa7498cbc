# test_invite.py
import aldente
import pytest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def send(doubles):
    return doubles.patch("views.mailer.send", strict=False)


async def test_invite(async_client, ann, send):
    send.returns(None)
    response = await async_client.get("/invite/ann/")
    assert response.json() == {"sent": True}
    send.assert_awaited_once_with("ann@example.org", "Come and eat.")


@aldente.virtual_time
async def test_a_mail_server_that_hangs(async_client, ann, send, clock):
    send.never_returns()
    response = await async_client.get("/invite/ann/")
    assert response.status_code == 504
    assert 10 <= clock.elapsed < 20
