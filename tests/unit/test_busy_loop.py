"""A loop is busy when several looks in a row find it at work."""

from __future__ import annotations

from types import FrameType

import pytest

from aldente._guards import busy_loop
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, look, selecting


class Pauses:
    """A watch, and what it has had done on the loop."""

    def __init__(self) -> None:
        self.loop = MadeUpLoop()
        self.run = MadeUpRun()
        self.done: list[str] = []
        self._watch = busy_loop.Watch(
            lambda: self.done.append("paused"), lambda: self.done.append("resumed")
        )

    def look(self, frame: FrameType | None, times: int = 1) -> None:
        """Look at the loop, so many times."""
        for _ in range(times):
            self._watch.look(look(self.run, frame, 0.0, loop=self.loop))


@pytest.mark.parametrize("where", ["step", "selector"])
def test_a_loop_at_work(where: str) -> None:
    """A loop in a step is busy, and so is one that asks its selector while callbacks are ready."""
    pauses = Pauses()
    if where == "selector":
        pauses.loop._ready = ["callback"]
    frame = selecting() if where == "selector" else frame_of("compute")
    pauses.look(frame, times=2)
    assert pauses.loop.to_call == []
    pauses.look(frame)
    # By the loop, as coroutines are tracked by the thread that makes them.
    assert pauses.done == []
    pauses.loop.call_all()
    assert pauses.done == ["paused"]
    pauses.look(frame, times=5)
    assert pauses.loop.to_call == []


def test_a_loop_that_waits_again() -> None:
    """When a busy loop waits in its selector with nothing ready, it is not busy any more."""
    pauses = Pauses()
    pauses.look(frame_of("compute"), times=3)
    pauses.look(selecting())
    assert pauses.done == []
    pauses.loop.call_all()
    assert pauses.done == ["paused", "resumed"]
    pauses.look(selecting(), times=5)
    assert pauses.loop.to_call == []


def test_a_pause_in_between() -> None:
    """A loop that waits now and then is not busy, however often it is seen at work."""
    pauses = Pauses()
    for _ in range(4):
        pauses.look(frame_of("compute"), times=2)
        pauses.look(selecting())
    assert pauses.loop.to_call == []


def test_a_function_named_as_the_selectors() -> None:
    """A function of the user's that is called ``select`` is work."""
    pauses = Pauses()
    pauses.look(frame_of("select"), times=3)
    pauses.loop.call_all()
    assert pauses.done == ["paused"]


@pytest.mark.parametrize("whose", ["another runner", "the same runner"])
def test_another_run(whose: str) -> None:
    """Another run begins as one that is not busy."""
    pauses = Pauses()
    pauses.look(frame_of("compute"), times=3)
    if whose == "another runner":
        pauses.run = MadeUpRun()
    else:
        pauses.run.runs += 1
    pauses.look(frame_of("compute"), times=2)
    pauses.loop.call_all()
    assert pauses.done == ["paused", "resumed"]
