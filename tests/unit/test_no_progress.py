"""When a run counts as one that makes no progress."""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any

from aldente._rules import long_runs
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, look, selecting


@types.coroutine
def pause() -> Generator[None]:
    """Wait once."""
    yield


class Main:
    """A task at a certain line, which goes on when told so."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self.go_on()

    def get_coro(self) -> Coroutine[Any, Any, None]:
        """As of a task."""
        return self._coroutine

    def go_on(self) -> None:
        """Go on to the next wait."""
        self._coroutine.send(None)


async def stays() -> None:
    while True:
        await pause()


async def moves() -> None:
    while True:
        await pause()
        await pause()


async def inner_moves() -> None:
    await moves()


class Looks:
    """Looks at a run, a second after another.

    Attributes:
        told: for how long no progress was made, each time that it was told, and whether the frame
            was given that blocks the loop.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.main = Main(coroutine)
        self.run = MadeUpRun(self.main)
        self.loop = MadeUpLoop()
        self.told: list[tuple[float, bool]] = []
        self._watch = long_runs.NoProgress(
            lambda run, seconds, frame: self.told.append((seconds, frame is not None))
        )
        self._now = 0.0

    def take(self, number: int, *, is_blocked: bool = False, goes_on: bool = True) -> None:
        """Take some looks, the task going on before each."""
        for _ in range(number):
            if goes_on and not is_blocked:
                self.main.go_on()
            frame = frame_of("compute") if is_blocked else selecting()
            self._watch.look(look(self.run, frame, self._now, loop=self.loop))
            self.loop.call_all()
            self._now += 1


def test_who_stays_where_he_is_is_told_of_once() -> None:
    """A task that waits, or asks again and again, at one line makes no progress."""
    for goes_on in (True, False):
        looks = Looks(stays())
        looks.take(60, goes_on=goes_on)
        assert looks.told == []
        looks.take(100, goes_on=goes_on)
        assert looks.told == [(60.0, False)]


def test_who_comes_to_another_line() -> None:
    """A task that comes to other lines, in whichever of its functions, makes progress."""
    for coroutine in (moves(), inner_moves()):
        looks = Looks(coroutine)
        looks.take(200)
        assert looks.told == []


class AnswersAll:
    """A proxy: each of its attributes is another one."""

    def __getattr__(self, name: str) -> AnswersAll:
        if name in ("close", "throw"):
            # Called as the coroutine is closed.
            raise AttributeError(name)
        return AnswersAll()

    def __await__(self) -> AnswersAll:
        return self

    def __iter__(self) -> AnswersAll:
        return self

    def __next__(self) -> None:
        return None


async def awaits_a_proxy() -> None:
    await AnswersAll()  # type: ignore[misc]


def test_who_awaits_what_answers_all() -> None:
    """An awaitable that has whatever attribute it is asked for is not followed without end."""
    looks = Looks(awaits_a_proxy())
    looks.take(100)
    assert looks.told == [(60.0, False)]


def test_a_blocked_loop() -> None:
    """A step without end is told of with its frame; steps in between change nothing."""
    looks = Looks(stays())
    looks.take(2)
    looks.take(100, is_blocked=True)
    assert looks.told == [(60.0, True)]
    looks.take(3)
    assert len(looks.told) == 1


def test_a_run_with_a_limit() -> None:
    """Where a limit ends the run, nothing is told; the next run counts from its own beginning."""
    looks = Looks(stays())
    looks.run.deadline = 1_000.0
    looks.take(100)
    looks.run.deadline = None
    looks.take(50)
    looks.run.runs += 1
    looks.take(50)
    assert looks.told == []
    looks.take(50)
    assert looks.told == [(60.0, False)]
