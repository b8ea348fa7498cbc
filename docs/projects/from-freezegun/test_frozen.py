# test_frozen.py
import asyncio
import datetime

from freezegun import freeze_time


class Token:
    def __init__(self):
        self.expires = datetime.datetime.now() + datetime.timedelta(hours=1)

    def is_valid(self):
        return datetime.datetime.now() < self.expires


async def test_expires():
    with freeze_time("2030-01-01", real_asyncio=True) as frozen:
        token = Token()
        frozen.tick(3599)
        await asyncio.sleep(0)
        assert token.is_valid()
        frozen.tick(1)
        assert not token.is_valid()
