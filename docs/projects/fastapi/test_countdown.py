# test_countdown.py
import aldente


@aldente.virtual_time
async def test_lines(client, clock):
    response = await client.get("/countdown")
    assert response.text == "3\n2\n1\n"
    assert clock.elapsed == 180
