# shared.py
import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import WatchError


@asynccontextmanager
async def locked(redis: Redis, name: str, seconds: float) -> AsyncIterator[None]:
    """Hold a lock that ends by itself after some seconds, if its holder has died."""
    token = uuid.uuid4().hex
    while not await redis.set(f"lock:{name}", token, nx=True, px=int(seconds * 1000)):
        await asyncio.sleep(1)
    try:
        yield
    finally:
        async with redis.pipeline() as pipe:
            await pipe.watch(f"lock:{name}")
            if await pipe.get(f"lock:{name}") == token:
                pipe.multi()
                pipe.delete(f"lock:{name}")
                with suppress(WatchError):  # it has ended by itself meanwhile
                    await pipe.execute()


async def listen(redis: Redis, channel: str) -> AsyncIterator[str]:
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(channel)
        async for message in subscription.listen():
            yield message["data"]


async def visit(redis: Redis, page: str, limit: int) -> bool:
    """Count a visit; False if there have been too many."""
    visits = int(await redis.get(page) or 0)
    if visits >= limit:
        return False
    await redis.set(page, visits + 1)
    return True
