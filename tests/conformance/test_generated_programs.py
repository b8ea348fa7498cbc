"""Random programs: the same as on stock asyncio in stock order, and the same again in any order."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._runner.bystanders import Bystanders
from aldente._schedules import Schedule
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random
from aldente._strategies.replay import Replay
from aldente._virtual_time.loop import VirtualTimeLoop
from tests.conformance.generated import Main, random_program

# benchmarks/simulation_proofs.py tries more.
PROGRAMS = 300


def notes_on(main: Main, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> list[str] | str:
    """What a program notes on a loop; how it ended if it failed."""
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(main())
    except Exception as error:
        return repr(error)


def test_stock_order_is_that_of_asyncio_on_virtual_time() -> None:
    """With option 0 everywhere a program does what asyncio's own loop does, step for step."""
    # Not those of pytest's plugins.
    tools = Bystanders(thread.ident for thread in threading.enumerate() if thread.ident)
    lengths = set()
    for seed in range(PROGRAMS):
        main = random_program(seed)
        expected = notes_on(main, lambda: VirtualTimeLoop(bystanders=tools))
        assert notes_on(main, lambda: SimulatedLoop(Fifo())) == expected, seed
        lengths.add(len(expected))
    # They are programs of some size, and different ones.
    assert len(lengths) > 30


@pytest.mark.skipif(sys.platform == "win32", reason="its default loop is another one")
def test_stock_order_is_that_of_asyncio_in_real_time() -> None:
    """Programs in which no time passes do the same on the loop that asyncio.run takes."""
    lengths = set()
    for seed in range(PROGRAMS):
        main = random_program(seed, is_timed=False)
        expected = notes_on(main, asyncio.SelectorEventLoop)
        assert notes_on(main, lambda: SimulatedLoop(Fifo())) == expected, seed
        lengths.add(len(expected))
    assert len(lengths) > 30


def traced(seed: int, strategy: Any, order: Any) -> Run:
    """A run of a random program, with its steps."""
    return simulate(random_program(seed), strategy, RunSettings(order=order), is_traced=True)


def facts(run: Run) -> tuple[Any, ...]:
    """All that must be the same when a run is repeated."""
    return run.result, repr(run.error), run.choices, run.counts, run.steps


@pytest.mark.parametrize("order", ["any", "io"])
def test_a_replay_takes_the_same_steps(order: str) -> None:
    """A run is a function of its schedule, whatever objects there are besides."""
    kept: list[object] = []
    switched = 0
    for seed in range(PROGRAMS // 3):
        first = traced(seed, Random(seed), order)
        switched += any(first.choices)
        # The heap is another one now, so addresses are too.
        kept.append([[] for _ in range(seed * 7)])
        again = traced(seed, Replay(Schedule(tuple(first.choices), tuple(first.counts))), order)
        assert facts(again) == facts(first), seed
    assert switched > (50 if order == "any" else 2)


def traces_as_text(seeds: range) -> str:
    """The steps of many runs, without folders."""
    return json.dumps(
        [
            [
                (step.task, os.path.basename(step.place), step.woken_by, step.time)
                for step in run.steps
            ]
            for run in (traced(seed, Random(seed), "any") for seed in seeds)
        ]
    )


def test_another_process_takes_the_same_steps() -> None:
    """Neither the process, nor the hash seed, nor what was allocated before changes a run."""
    seeds = range(60)
    script = (
        "import sys; kept = [[] for _ in range(int(sys.argv[1]))];"
        "from tests.conformance.test_generated_programs import traces_as_text;"
        f"print(traces_as_text({seeds!r}))"
    )
    expected = traces_as_text(seeds)
    assert len(expected) > 10_000
    for hash_seed, kept in (("1", "10"), ("4321", "54321")):
        child = subprocess.run(
            [sys.executable, "-c", script, kept],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert child.stdout.strip() == expected
