# test_refused.py
import aldente
import anyio
import pytest


@aldente.virtual_time
@pytest.mark.anyio
async def test_waits():
    await anyio.sleep(0.01)
