"""What a simulated run costs: steps per second beside asyncio and peers, time and memory per run.

Usage: ``python benchmarks/simulation.py [--quick]``. README.md beside this file says what the
numbers mean. The exit status is 1 when aldente misses a limit.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import measuring

# What else simulates asyncio in random order; seedloop, which knows stock order only, is left out.
PEERS = {"detangle": "0.1.0", "simloop": "0.2.2", "simloom": "0.5.0"}

STEPS_LIMIT = 0.9  # x stock asyncio's steps per second, for 10 tasks
STEPS_PEER_LIMIT = 3.5  # x those of the best peer
TIMERS_PEER_LIMIT = 2.0
MANY_LIMIT = 0.5  # x stock asyncio's, for 1,000 and 4,000 tasks
RUN_LIMIT = 1.0  # x the time of asyncio.run, for a program of three tasks
HEAP_LIMIT = 1.15  # x the time of a run, with a million objects more
MEMORY_LIMIT = 20.0  # MB more after 100,000 runs
CHECK_LIMIT = 1.0  # x a run, for the search for entropy besides the runs of a search
AUTO_LIMIT = 1.5  # x the time of a run in random order
SEARCH_LIMIT = 2.0  # x the time of asyncio.run, for a run of a search with the default settings

# The least of several times each, all in one process, so that all share its luck.
_PROGRAM = """
import asyncio, gc, json, resource, sys, time

async def yields(count):
    for _ in range(count):
        await asyncio.sleep(0)

async def naps(number, count):
    for _ in range(count):
        await asyncio.sleep(1 + number / 16)

def of(tasks, count, work=None):
    async def main():
        async with asyncio.TaskGroup() as group:
            for number in range(tasks):
                group.create_task(naps(number, count) if work else yields(count))
    return main

def least(run, main, times):
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run(main)
        found.append(time.perf_counter() - began)
    return min(found)

def aldente_run(slack=1.0):
    from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
    from aldente._strategies.random import Random
    strategy = Random(1)
    def run(main):
        strategy.start()
        result = simulate(main, strategy, RunSettings(slack=slack))
        if result.error is not None:
            raise result.error
            assert len(result.choices) > 4
    return run

def detangle_run():
    import detangle
    from detangle import strategies
    return lambda main: detangle.execute(main, strategy=strategies.make_strategy("random", 1))

def simloop_run():
    from simloop import SimLoop
    def run(main):
        loop = SimLoop(1)
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
    return run

def simloom_run():
    import simloom
    return lambda main: simloom.run(main, seed=1, virtual_time=True)

TEN, TIMERS, THREE = of(10, 100), of(10, 100, "timers"), of(3, 3)
figures = {}
stock = lambda main: asyncio.run(main())
ours = aldente_run()
# One after the other, so that a busy minute of the machine hits both.
for name, main, times in (
    ("ten", TEN, 15),
    ("thousand", of(1000, 10), 5),
    ("four thousand", of(4000, 5), 3),
    ("three", THREE, 200),
):
    figures["asyncio " + name] = least(stock, main, times)
    figures["aldente " + name] = least(ours, main, times)
figures["aldente timers"] = least(ours, TIMERS, 15)
figures["aldente timers only"] = least(aldente_run(0.0), TIMERS, 15)
for name in sys.argv[1:]:
    peer = globals()[name + "_run"]()
    figures[name + " ten"] = least(peer, TEN, 7)
    figures[name + " timers"] = least(peer, TIMERS, 7)

# A run in a search, all included, with the default strategy; 5 tasks x 10 sleep(0).
import aldente
FIVE, RUNS = of(5, 10), 300

def searching(strategy, runs):
    def run(main):
        exploration = aldente.search(main, runs=runs, strategy=strategy)
        assert exploration.runs == runs and not exploration.escaped
    return run

def several(main):
    for _ in range(RUNS):
        asyncio.run(main())

found = {}
for _ in range(5):
    for name, run in (
        ("asyncio five", several),
        ("random five", searching("random", RUNS)),
        ("auto five", searching("auto", RUNS)),
    ):
        found[name] = min(found.get(name, 9e9), least(run, FIVE, 1) / RUNS)
figures |= found

# What a search of two runs takes besides them: it looks once whether the program depends on more.
from aldente._explore.explorer import Explorer
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import Program
from aldente._strategies.registry import make_strategy

def runs(count, strategy):
    def run(main):
        chosen, program = make_strategy(strategy, 0), Program(main, RunSettings())
        for _ in range(count):
            assert chosen.start() and program.run(chosen).error is None
        getattr(chosen, "release", bool)()
    return run

def explore(strategy):
    def run(main):
        exploration = Explorer(Program(main, RunSettings())).explore(make_strategy(strategy, 0), 2)
        assert exploration.runs == 2 and not exploration.escaped
    return run

found = {}
for _ in range(15):
    for name, run in (("two runs", runs(2, "auto")), ("two explored", explore("auto"))):
        found[name] = min(found.get(name, 9e9), least(run, TEN, 1))
figures["check"] = 2 * (found["two explored"] / found["two runs"] - 1)

def search(main):
    aldente.search(main, runs=500, strategy="random")

before = least(search, THREE, 3)
kept = [[] for _ in range(1_000_000)]
gc.collect()
figures["heap"] = least(search, THREE, 3) / before
del kept
gc.collect()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6

if sys.platform == "linux":
    aldente.search(THREE, runs=2_000, strategy="random")
    before = resident()
    exploration = aldente.search(THREE, runs=100_000, strategy="random", seed=1)
    figures["memory"] = resident() - before
    assert exploration.runs == 100_000
print(json.dumps(figures))
"""

Figures = dict[str, float]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente and the peers."""
    peers = [f"{name}=={version}" for name, version in PEERS.items()]
    environment = measuring.make_environment("simulation", python, ["pytest", *peers])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def run_once(python: Path, peers: Sequence[str]) -> Figures:
    """The figures of one process."""
    result = subprocess.run(
        [str(python), "-c", _PROGRAM, *peers],
        capture_output=True,
        text=True,
        check=False,
        env=measuring.clean_environment(),
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    figures: Figures = json.loads(result.stdout)
    return figures


def report(rounds: Sequence[Figures]) -> bool:
    """Print the figures of all rounds; whether the limits are kept."""

    def median(name: str) -> float:
        return statistics.median(figures[name] for figures in rounds)

    def ratio(one: str, other: str) -> float:
        return statistics.median(figures[one] / figures[other] for figures in rounds)

    def best(program: str) -> float:
        return statistics.median(
            min(figures[f"{peer} {program}"] for peer in PEERS) / figures[f"aldente {program}"]
            for figures in rounds
        )

    print("whole runs, thousands of steps per second: 10 x 100 sleep(0), and timers")
    for name in ("asyncio", "aldente", *PEERS):
        timers = "" if name == "asyncio" else f"{1 / median(f'{name} timers'):8.0f}"
        print(f"  {name:<10} {1 / median(f'{name} ten'):8.0f} {timers}")
    only = best("timers") * ratio("aldente timers", "aldente timers only")
    print(f"  timers with slack=0, with no more choices than peers make: {only:.2f} x")
    checks = [
        ("steps, x asyncio", ratio("asyncio ten", "aldente ten"), STEPS_LIMIT, True),
        ("steps, x best peer", best("ten"), STEPS_PEER_LIMIT, True),
        ("timers, x best peer", best("timers"), TIMERS_PEER_LIMIT, True),
        ("1,000 tasks, x asyncio", ratio("asyncio thousand", "aldente thousand"), MANY_LIMIT, True),
        (
            "4,000 tasks, x asyncio",
            ratio("asyncio four thousand", "aldente four thousand"),
            MANY_LIMIT,
            True,
        ),
        (
            "run of three tasks, x asyncio.run",
            ratio("aldente three", "asyncio three"),
            RUN_LIMIT,
            False,
        ),
        ("search for entropy, x a run", median("check"), CHECK_LIMIT, False),
        ("run under auto, x under random", ratio("auto five", "random five"), AUTO_LIMIT, False),
        ("run of a search, x asyncio.run", ratio("auto five", "asyncio five"), SEARCH_LIMIT, False),
        ("run with a million objects, x without", median("heap"), HEAP_LIMIT, False),
    ]
    if "memory" in rounds[0]:
        checks.append(("100,000 schedules, MB", median("memory"), MEMORY_LIMIT, False))
    is_kept = True
    for name, value, limit, is_least in checks:
        holds = value >= limit if is_least else value <= limit
        is_kept = is_kept and holds
        bound = "at least" if is_least else "at most"
        verdict = "kept" if holds else "MISSED"
        print(f"  {name:<38} {value:7.2f}  {bound} {limit:g}: {verdict}")
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python, list(PEERS)) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
