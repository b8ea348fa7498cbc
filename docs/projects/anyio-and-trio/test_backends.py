# test_backends.py
import aldente
import anyio
import anyio.lowlevel
import pytest
import sniffio


async def library():
    await anyio.lowlevel.checkpoint()
    return sniffio.current_async_library()


@pytest.mark.anyio
async def test_each(anyio_backend_name):
    assert await library() == anyio_backend_name


@aldente.virtual_time
async def test_here():
    await anyio.sleep(3600)
    assert await library() == "asyncio"
