# test_trio_forgets.py
import pytest
import trio


@pytest.mark.trio
async def test_forgets():
    trio.sleep(1)
