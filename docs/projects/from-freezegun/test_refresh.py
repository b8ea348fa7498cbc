# test_refresh.py
import asyncio
import datetime

import aldente


async def keep_fresh(fetch):
    while True:
        expires = await fetch()
        left = expires - datetime.datetime.now() - datetime.timedelta(minutes=1)
        await asyncio.sleep(left.total_seconds())


@aldente.virtual_time(wall="2030-01-01T00:00Z")
async def test_keeps_fresh(clock):
    fetched = []

    async def fetch():
        fetched.append(clock.elapsed)
        return datetime.datetime.now() + datetime.timedelta(hours=1)

    refreshing = asyncio.create_task(keep_fresh(fetch))
    await clock.advance(3 * 3600)
    assert fetched == [0, 3540, 7080, 10620]
    refreshing.cancel()
