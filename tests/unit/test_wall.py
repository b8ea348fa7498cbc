"""The clocks of the process follow loop time, and are as before afterwards."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import random
import threading
import time
from time import monotonic as imported_monotonic
from time import time as imported_time
from typing import Any

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
        'wall=True needs time-machine, which is not installed.\nFix: pip install "aldente[wall]"'
    )


def test_they_begin_at_the_same_moment() -> None:
    """The date is 1 January 2030 at first, whole seconds, and time.monotonic() is loop time."""

    async def main() -> tuple[float, int, str, float, int]:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        return time.time(), time.time_ns(), now, time.monotonic(), time.monotonic_ns()

    expected = (
        1_893_456_000.0,
        1_893_456_000_000_000_000,
        "2030-01-01T00:00:00+00:00",
        100_000.0,
        100_000_000_000_000,
    )
    assert aldente.run(main, clock="virtual", wall=True) == expected
    assert aldente.run(main, seed=1, wall=True) == expected


@pytest.mark.parametrize(
    "wall",
    [
        "2031-05-06T07:08Z",
        "2031-05-06T07:08:00+00:00",
        "2031-05-06 09:08:00+02:00",
        datetime.datetime(2031, 5, 6, 7, 8, tzinfo=datetime.UTC),
        datetime.datetime(2031, 5, 6, 7, 8, tzinfo=datetime.UTC).astimezone().replace(tzinfo=None),
    ],
)
@pytest.mark.parametrize("arguments", [{"clock": "virtual"}, {"seed": 1}])
def test_a_moment_of_ones_own(wall: Any, arguments: dict[str, Any]) -> None:
    """The date to begin with can be given; without a time zone it is local time."""

    async def main() -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    expected = datetime.datetime(2031, 5, 6, 7, 8, tzinfo=datetime.UTC)
    assert aldente.run(main, wall=wall, **arguments) == expected


@pytest.mark.parametrize(
    "wall", ["soon", "", 5, None, datetime.date(2030, 1, 1), "1969-12-31T00:00Z"]
)
def test_no_moment(wall: Any) -> None:
    """What is no moment is refused, with what is allowed."""

    async def main() -> None:
        pass

    with pytest.raises(aldente.InvalidSetting) as caught:
        aldente.run(main, clock="virtual", wall=wall)
    assert str(caught.value) == (
        f"{wall!r} is not a valid wall. It must be True or False, or the moment at which they "
        "begin: a datetime or a string such as '2030-01-01T00:00Z', from 1970 on.\n"
        f"It was given as wall={wall!r} ({type(wall).__name__})."
    )


# Floats that are no multiples of anything that another clock shows, and those that are of all.
_WAITS = [
    *(0.1, 0.2, 0.3, 0.7, 1e-6, 0.000_123, 1 / 3, 2 / 3, 1e-7, 59.999, 86_400.1),
    *(random.Random(7).uniform(0.0, 10.0) for _ in range(40)),
]


@pytest.mark.parametrize("first", [0.0, 0.1, 1 / 3, 86_399.9, 30 * 86_400.1])
def test_no_wait_looks_too_short(first: float) -> None:
    """By no clock a wait was shorter than it was meant to be, wherever it began."""

    async def main() -> None:
        await asyncio.sleep(first)
        readings = []
        for wait in _WAITS:
            began = (time.time(), time.monotonic(), imported_time(), datetime.datetime.now())
            readings.append((began[0], began[1]))
            await asyncio.sleep(wait)
            assert time.time() - began[0] >= wait
            assert time.monotonic() - began[1] >= wait
            assert datetime.datetime.now() - began[3] >= datetime.timedelta(seconds=wait)
            # That of time-machine has microseconds, in floats that have quarters of one.
            assert imported_time() - began[2] >= wait - 1e-6
        total = 0.0
        for wait, began_at in zip(reversed(_WAITS), reversed(readings), strict=True):
            total += wait
            assert time.time() - began_at[0] >= total - 1e-12
            assert time.monotonic() - began_at[1] >= total - 1e-12

    aldente.run(main, clock="virtual", wall=True)


@pytest.mark.parametrize("clock", ["virtual", "simulated"])
def test_no_wait_a_hair_longer_than_others_looks_too_short(clock: str) -> None:
    """A wait that is longer than whole seconds by less than loop time shows is not too short."""

    async def main() -> None:
        for count in range(1, 300):
            wait = 0.1 * count + 0.3
            began = (time.time(), time.monotonic())
            await asyncio.sleep(wait)
            assert time.time() - began[0] >= wait
            assert time.monotonic() - began[1] >= wait

    if clock == "virtual":
        aldente.run(main, clock="virtual", wall=True)
    else:
        found = aldente.search(main, runs=2, wall=True)
        assert found.failure is None


def test_what_clocks_can_show_is_exact() -> None:
    """Whole seconds are whole seconds on every clock, whatever has been waited for before."""

    async def main() -> None:
        await asyncio.sleep(0.1)
        for _ in range(100):
            began = (time.time(), time.monotonic(), datetime.datetime.now(), time.time_ns())
            await asyncio.sleep(60)
            assert time.time() - began[0] == 60
            assert time.monotonic() - began[1] == 60
            assert datetime.datetime.now() - began[2] == datetime.timedelta(minutes=1)
            assert time.time_ns() - began[3] == 60_000_000_000

    aldente.run(main, clock="virtual", wall=True)


def test_dates_do_not_drift() -> None:
    """Microseconds and nanoseconds are exact after many waits that no float can hold."""

    async def main() -> None:
        began = datetime.datetime.now(datetime.UTC)
        for passed in range(1, 1001):
            await asyncio.sleep(0.1)
            expected = began + passed * datetime.timedelta(milliseconds=100)
            assert datetime.datetime.now(datetime.UTC) == expected

    aldente.run(main, clock="virtual", wall=True)


def test_travelling_meanwhile() -> None:
    """What the user has time-machine show is shown, and afterwards loop time again."""
    time_machine = pytest.importorskip("time_machine")

    async def main() -> None:
        with time_machine.travel("2020-02-29T00:00+00:00", tick=False):
            assert datetime.datetime.now(datetime.UTC).year == 2020
            assert time.gmtime(time.time()).tm_year == time.gmtime(imported_time()).tm_year == 2020
            assert time.time_ns() == 1_582_934_400_000_000_000
            await asyncio.sleep(60)
            assert time.time() == 1_582_934_400
        assert time.time() == 1_893_456_060

    aldente.run(main, clock="virtual", wall=True)


def test_clocks_that_were_imported_meanwhile() -> None:
    """A clock that is imported by name during a run tells real time after it, and follows the next."""
    kept: list[Any] = []

    async def main() -> None:
        if not kept:
            from time import monotonic, monotonic_ns, time, time_ns

            kept.extend((monotonic, monotonic_ns, time, time_ns))
        begun = [clock() for clock in kept]
        await asyncio.sleep(86_400)
        assert [
            now - then for now, then in zip([clock() for clock in kept], begun, strict=True)
        ] == [
            86_400,
            86_400_000_000_000,
            86_400,
            86_400_000_000_000,
        ]

    aldente.run(main, clock="virtual", wall=True)
    assert abs(kept[0]() - imported_monotonic()) < 3600
    assert abs(kept[2]() - imported_time()) < 3600
    aldente.run(main, clock="virtual", wall=True)
