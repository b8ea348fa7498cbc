# test_messages.py
import asyncio

import aldente

from shared import listen


async def test_messages(redis):
    async def first_two():
        found = []
        async for text in listen(redis, "news"):
            found.append(text)
            if len(found) == 2:
                break
        return found

    listening = asyncio.create_task(first_two())

    async def is_there():
        return dict(await redis.pubsub_numsub("news")) == {"news": 1}

    await aldente.eventually(is_there)
    await redis.publish("news", "penne")
    await redis.publish("news", "pizza")
    assert await listening == ["penne", "pizza"]
