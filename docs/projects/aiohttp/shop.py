# shop.py
import asyncio

import aiohttp


async def price(session: aiohttp.ClientSession, url: str) -> int:
    """The price at a URL; asks three times, with a pause of ten seconds."""
    for _ in range(3):
        async with session.get(url) as response:
            if response.status == 200:
                return int(await response.text())
        await asyncio.sleep(10)
    raise RuntimeError(f"{url} has no price.")
