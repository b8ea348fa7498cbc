# test_visits_fixed.py
import asyncio

import aldente

from shared_fixed import visit


@aldente.explore
async def test_visits_are_limited(slow_redis):
    visits = await asyncio.gather(*(visit(slow_redis, "/home", limit=1) for _ in range(2)))
    assert sorted(visits) == [False, True]
