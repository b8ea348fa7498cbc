# test_pool.py
import asyncio

import aldente
from hypothesis import given, settings
from hypothesis import strategies as st


class Pool:
    def __init__(self, size):
        self.free = size

    async def take(self):
        if not self.free:
            raise LookupError
        await asyncio.sleep(0)  # say, a line in a log
        self.free -= 1


@aldente.explore
@settings(database=None, max_examples=10)
@given(size=st.integers(1, 4), users=st.integers(1, 4))
async def test_never_more_than_there_are(size, users):
    pool = Pool(size)
    await asyncio.gather(*(pool.take() for _ in range(users)), return_exceptions=True)
    assert pool.free >= 0
