# shared_fixed.py
from redis.asyncio import Redis


async def visit(redis: Redis, page: str, limit: int) -> bool:
    return await redis.incr(page) <= limit
