# test_cache.py
import asyncio


class Cache:
    value = None

    async def get(self, load):
        if self.value is None:
            self.value = await load()
        return self.value


async def load(asked):
    asked.append("menu")
    await asyncio.sleep(0.05)  # the server
    return "penne"


async def test_value():
    assert await Cache().get(lambda: load([])) == "penne"


async def test_one_request():
    cache, asked = Cache(), []

    async def read_later():
        await asyncio.sleep(0.05)
        return await cache.get(lambda: load(asked))

    await asyncio.gather(cache.get(lambda: load(asked)), read_later())
    assert len(asked) == 1
