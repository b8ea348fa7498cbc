# test_with_aldente.py
import asyncio

import aldente


class Cache:
    value = None

    async def get(self, load):
        if self.value is None:
            self.value = await load()
        return self.value


@aldente.explore(runs=500)
async def test_one_request(clock):
    cache, loads = Cache(), []

    async def load():
        loads.append(clock.elapsed)
        await asyncio.sleep(0.05)
        return "menu"

    async def read(pause):
        await asyncio.sleep(pause)
        return await cache.get(load)

    await asyncio.gather(read(1.0), read(1.2))
    assert len(loads) == 1
