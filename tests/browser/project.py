"""The project whose page the browser opens: failures with few steps, with virtual time, with many."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = """
import asyncio

import aldente


@aldente.explore(runs=50)
async def test_race():
    stock = 1
    sold = []

    async def buy(who):
        nonlocal stock
        if stock > 0:
            await asyncio.sleep(0)
            aldente.note(f"{who} pays")
            if who == "Bob":
                await asyncio.sleep(0)
            stock -= 1
            sold.append(who)

    await asyncio.gather(buy("Ann"), buy("Bob"), buy("Cleo"))
    assert sold[0] == "Ann"


@aldente.explore(runs=300)
async def test_lost():
    queue = asyncio.Queue()
    stored = []

    async def consume():
        while True:
            item = await queue.get()
            await asyncio.sleep(1)
            stored.append(item)

    async def stop():
        await asyncio.sleep(3.5)
        consumer.cancel()

    consumer = asyncio.create_task(consume(), name="consumer")
    stopper = asyncio.create_task(stop(), name="stopper")
    for number in range(2):
        await asyncio.sleep(1)
        queue.put_nowait(number)
    await asyncio.gather(consumer, stopper, return_exceptions=True)
    assert stored == [0, 1]


@aldente.explore(runs=1)
async def test_long():
    total = 0

    async def add(count):
        nonlocal total
        for _ in range(count):
            old = total
            await asyncio.sleep(0)
            total = old + 1

    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(add(160))
    assert total == 1920


def test_plain():
    assert 1 == 2


@aldente.virtual_time
async def test_stuck():
    left, right = asyncio.Lock(), asyncio.Lock()

    async def take(first, second):
        async with first:
            await asyncio.sleep(0.1)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(take(left, right), name="lefty")
        group.create_task(take(right, left), name="righty")
"""


def write_page(folder: Path) -> Path:
    """Run the project's tests in a process of their own, and return the page that this writes."""
    (folder / "test_shop.py").write_text(PROJECT.lstrip(), encoding="utf-8")
    page = folder / "page.html"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--aldente-html={page}"]
    only_aldente = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "aldente"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **only_aldente},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "5 failed" in ended.stdout, ended.stdout + ended.stderr
    return page
