"""The clocks of the process follow loop time, and are as before afterwards."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import threading
import time
from time import monotonic as imported_monotonic
from time import time as imported_time

import pytest

import aldente


def test_clocks_follow() -> None:
    """What tells the time of day, and time.monotonic(), go with loop time; durations stay real."""

    async def main() -> None:
        before = (time.time(), imported_time(), time.monotonic())
        today = datetime.datetime.now()
        real = (time.perf_counter(), imported_monotonic())
        nanoseconds = (time.time_ns(), time.monotonic_ns())
        await asyncio.sleep(7200.5)
        after = (time.time(), imported_time(), time.monotonic())
        assert [late - early for early, late in zip(before, after, strict=True)] == pytest.approx(
            [7200.5] * 3
        )
        assert datetime.datetime.now() - today == datetime.timedelta(seconds=7200.5)
        assert (time.time_ns() - nanoseconds[0], time.monotonic_ns() - nanoseconds[1]) == (
            7_200_500_000_000,
            7_200_500_000_000,
        )
        assert time.perf_counter() - real[0] < 60
        assert imported_monotonic() - real[1] < 60

    began = time.time()
    aldente.run(main, clock="virtual", wall=True)
    assert time.time() - began < 60
    assert time.monotonic is imported_monotonic


def test_they_stand_still_with_the_loop() -> None:
    """While a task runs no time passes, on any of the clocks."""

    async def main() -> None:
        first = time.time()
        for _ in range(10_000):
            pass
        await asyncio.sleep(0)
        assert time.time() == first

    aldente.run(main, clock="virtual", wall=True)


def test_a_decade() -> None:
    """Nothing is lost over ten years."""

    async def main() -> None:
        first = time.time_ns()
        for _ in range(10):
            await asyncio.sleep(365 * 86_400)
        assert time.time_ns() - first == 3650 * 86_400 * 1_000_000_000

    aldente.run(main, clock="virtual", wall=True, max_virtual_time=1e10)


def test_jobs_and_threads_work_meanwhile() -> None:
    """Real waits, of threads and of the loop for them, neither hang nor return at once."""

    async def main() -> float:
        began = time.perf_counter()
        event = threading.Event()
        async with asyncio.timeout(30):
            await asyncio.to_thread(event.wait, 0.05)
        return time.perf_counter() - began

    assert 0.05 <= aldente.run(main, clock="virtual", wall=True) < 20


def test_an_exception_restores_the_clocks() -> None:
    """However the program ends, the clocks are as before."""

    async def main() -> None:
        await asyncio.sleep(86_400)
        raise KeyError("soup")

    with pytest.raises(KeyError):
        aldente.run(main, clock="virtual", wall=True)
    assert time.monotonic is imported_monotonic
    assert abs(time.time() - datetime.datetime.now().timestamp()) < 60


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time-machine the error says what to install."""

    real = importlib.import_module

    def refuse(name: str) -> object:
        if name.startswith("time_machine"):
            raise ModuleNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", refuse)

    async def main() -> None:
        pass

    with pytest.raises(aldente.MissingExtra) as caught:
        aldente.run(main, clock="virtual", wall=True)
    assert str(caught.value) == (
        'wall=True needs time-machine, which is not installed.\nMend: pip install "aldente[wall]"'
    )
