# test_rows.py
import asyncio

import pytest


@pytest.fixture(scope="session")
async def pool(worker_id, tmp_path_factory):
    # One database for each worker: gw0, gw1, ...
    path = tmp_path_factory.mktemp("data") / f"{worker_id}.sqlite"
    path.touch()
    yield path
    await asyncio.sleep(0)  # say, it closes connections


@pytest.mark.parametrize("number", range(4))
async def test_row(pool, number):
    assert pool.stem in ("gw0", "gw1")
