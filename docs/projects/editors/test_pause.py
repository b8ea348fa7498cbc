# test_pause.py
import asyncio
import time

import aldente
import pytest


async def fetch(pause):
    async with asyncio.timeout(0.5):
        pause()  # you, at a breakpoint
        await asyncio.sleep(0.1)
        return "menu"


def breakpoint_of_a_second():
    with aldente.allow("blocking-call", "slow-step"):
        time.sleep(1)


@aldente.real_time
async def test_real_time():
    with pytest.raises(TimeoutError):
        await fetch(breakpoint_of_a_second)


@aldente.virtual_time
async def test_virtual_time(clock):
    assert await fetch(breakpoint_of_a_second) == "menu"
    assert clock.elapsed == 0.1
