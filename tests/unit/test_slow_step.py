"""The rule ``slow-step``: what counts of a step, by looks at made-up moments."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aldente._guards import slow_step
from aldente._guards.watchdog import Look
from aldente._loops.runner import LoopRunner
from aldente._records import Finding

# What is called inside the step: takes a look after so many seconds.
LookAfter = Callable[[float], None]


def _watched(step: Callable[[LookAfter], None]) -> list[Finding]:
    """What is found while a function is called in one step of a loop."""
    found: list[Finding] = []
    watch = slow_step.Watch(found.append, 0.1, lambda: False)
    runner = LoopRunner()
    now = 0.0

    def look_after(seconds: float) -> None:
        nonlocal now
        now += seconds
        frames = {threading.get_ident(): sys._getframe(1)}
        watch.look(Look(runner.loop, runner, frames, now))

    async def take_step() -> None:
        step(look_after)

    runner.run(take_step(), context=contextvars.copy_context(), name="test")
    watch.on_run_end(runner)
    runner.close()
    return found


def test_a_step_that_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is seen again and again for longer than the limit is told with its length."""
    monkeypatch.setattr(slow_step, "_starved", lambda schedule: 0.0)

    def step(look_after: LookAfter) -> None:
        for _ in range(7):
            look_after(0.02)

    (finding,) = _watched(step)
    assert "0.12 s" in finding.what


@pytest.mark.parametrize("exempt", ["import", "ssl", "thread", "tool"])
def test_what_has_no_other_way_does_not_count(
    exempt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports, reading certificates, starting a thread and test tools are no part of a slow step."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_to_import.py").write_text("import asyncio\nasyncio.look_repeatedly()\n")

    def step(look_after: LookAfter) -> None:
        def look_repeatedly(*arguments: object, **named: object) -> None:
            for _ in range(7):
                look_after(0.02)

        monkeypatch.setattr(asyncio, "look_repeatedly", look_repeatedly, raising=False)
        monkeypatch.setattr(ssl, "SSLContext", look_repeatedly)
        look_after(0.02)
        if exempt == "import":
            importlib.import_module("slow_to_import")
            del sys.modules["slow_to_import"]
        elif exempt == "ssl":
            with pytest.raises(AttributeError):
                ssl.create_default_context()
        elif exempt == "tool":
            hypothesis = {"__name__": "hypothesis.core"}
            eval("lambda draw: draw()", hypothesis)(look_repeatedly)
        else:
            thread = threading.Thread(target=int)
            started = thread._started  # type: ignore[attr-defined]
            monkeypatch.setattr(started, "wait", look_repeatedly)
            thread.start()
            while not started.is_set():
                pass
        look_after(0.02)

    assert _watched(step) == []


def test_waiting_for_a_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which the system let the thread wait, as other programs were busy, is left out."""
    starved = 0.0

    def step(look_after: LookAfter) -> None:
        nonlocal starved
        for _ in range(10):
            starved += 0.015
            look_after(0.02)

    monkeypatch.setattr(slow_step, "_starved", lambda schedule: starved)
    assert _watched(step) == []


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this system tells no waiting times"
)
def test_the_system_tells_who_waits_for_a_processor() -> None:
    """For a thread there is the time that it has waited; for one that is gone there is none."""
    schedule = slow_step._schedule_of(threading.get_ident())
    assert Path(schedule).exists()
    assert slow_step._starved(schedule) >= 0
    assert slow_step._starved(slow_step._schedule_of(1)) == 0
