# test_followed.py
import asyncio
import datetime

import aldente


class Token:
    def __init__(self):
        self.expires = datetime.datetime.now() + datetime.timedelta(hours=1)

    def is_valid(self):
        return datetime.datetime.now() < self.expires


@aldente.virtual_time(wall="2030-01-01T00:00Z")
async def test_expires():
    token = Token()
    await asyncio.sleep(3599)
    assert token.is_valid()
    await asyncio.sleep(1)
    assert not token.is_valid()
