# test_frozen_loop.py
import asyncio

import aldente
from freezegun import freeze_time


@aldente.timeout(0.5)
async def test_sleeps():
    with freeze_time("2030-01-01"):
        await asyncio.sleep(0.1)
