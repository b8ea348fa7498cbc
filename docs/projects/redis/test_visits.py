# test_visits.py
import asyncio

import aldente

from shared import visit


@aldente.explore
async def test_visits_are_limited(slow_redis):
    async def visit_later():
        await asyncio.sleep(0.25)
        return await visit(slow_redis, "/home", limit=1)

    visits = await asyncio.gather(visit(slow_redis, "/home", limit=1), visit_later())
    assert visits == [True, False]
