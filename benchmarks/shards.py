"""How much sooner two processes end a search of 10 s than one.

Usage: ``python benchmarks/shards.py [--quick]``. README.md beside this file says what the numbers
mean. The exit status is 1 when aldente misses a limit.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import measuring

# How many times as fast two processes are, at least.
LIMIT = 1.8

# How long one process takes, in seconds of CPU time.
SECONDS = 10.0

PROGRAM = """
import asyncio

async def main():
    async def work(number):
        for count in range(10):
            await asyncio.sleep(0)
    await asyncio.gather(*(work(number) for number in range(5)))
"""

# Searches with some number of processes, and prints how long it and each process has taken; or, if
# it is to do no runs, how many one process does in some seconds.
SCRIPT = """
import json, os, sys, time
from concurrent.futures import ProcessPoolExecutor
import aldente
import program_of_shards as program

def spent(seconds):
    # So that each process takes one of these.
    time.sleep(seconds)
    return os.getpid(), time.process_time()

def search(processes, runs):
    if processes == 1:
        return time.perf_counter(), aldente.search(program.main, runs=runs)
    with ProcessPoolExecutor(processes) as pool:
        found = aldente.search(program.main, runs=runs, executor=pool)
        ended = time.perf_counter()
        while len(workers) < processes:
            workers.update(pool.map(spent, [0.2] * processes))
    return ended, found

if __name__ == "__main__":
    processes, runs, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    workers = {}
    search(1, 2)
    spent_before = time.process_time()
    if not runs:
        search(1, 2_000)
        print(json.dumps(round(2_000 * seconds / (time.process_time() - spent_before))))
        sys.exit()
    began = time.perf_counter()
    ended, found = search(processes, runs)
    assert found.failure is None and found.runs == runs, found
    ended = time.perf_counter() if processes == 1 else ended
    own = time.process_time() - spent_before
    print(json.dumps([ended - began, own, sorted(workers.values()), found.distinct]))
"""


class Took(NamedTuple):
    """What a search has taken.

    Attributes:
        wall: seconds.
        cpu: seconds of CPU time of all processes.
        longest: those of this process and of the worker that took longest: how long it takes where
            each process has a core of its own.
        distinct: how many schedules were different.
    """

    wall: float
    cpu: float
    longest: float
    distinct: int


def prepare(python: str) -> tuple[Path, Path]:
    """Make an environment with aldente, and a folder with the program."""
    environment = measuring.make_environment("shards", python, ["pytest"])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    folder = measuring.ENVIRONMENTS / "shards_program"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program_of_shards.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "searching.py").write_text(SCRIPT, encoding="utf-8")
    return environment, folder


def run_script(python: Path, folder: Path, processes: int, runs: int) -> object:
    """What the script prints."""
    command = [str(python), "searching.py", str(processes), str(runs), str(SECONDS)]
    result = subprocess.run(
        command,
        cwd=folder,
        env=measuring.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise measuring.ChildFailed(command, result.returncode, result.stdout + result.stderr)
    return json.loads(result.stdout)


def search(python: Path, folder: Path, processes: int, runs: int) -> Took:
    """Search with some number of processes."""
    found = run_script(python, folder, processes, runs)
    assert isinstance(found, list)
    wall, own, workers, distinct = found
    return Took(wall, own + sum(workers), own + max(workers, default=0.0), distinct)


def search_apart(python: Path, folder: Path, runs: int) -> Took:
    """Two searches at once, each of half of the runs, that do not know of one another."""
    with ThreadPoolExecutor(2) as threads:
        started = [threads.submit(search, python, folder, 1, runs // 2) for _ in range(2)]
        first, second = (each.result() for each in started)
    return Took(
        max(first.wall, second.wall),
        first.cpu + second.cpu,
        max(first.longest, second.longest),
        first.distinct,
    )


NAMES = ("1 process", "2 processes", "2 searches of half")


def report(rounds: Sequence[Sequence[Took]], runs: int) -> bool:
    """Print the figures of all rounds; whether the limit is kept."""
    print(f"\nA search of {runs:,} runs")
    rows = []
    for index, name in enumerate(NAMES):
        took = [each[index] for each in rounds]
        times = [statistics.median(each[part] for each in took) for part in range(3)]
        distinct = statistics.median(each.distinct for each in took)
        rows.append([name, *(f"{seconds:.2f}" for seconds in times), f"{distinct:,.0f}"])
    print(measuring.table(["", "wall s", "CPU s", "longest CPU s", "different schedules"], rows))
    by_wall = statistics.median(one.wall / two.wall for one, two, _ in rounds)
    by_cpu = statistics.median(one.longest / two.longest for one, two, _ in rounds)
    beside = statistics.median(2 * half.longest / two.longest for _, two, half in rounds)
    print(f"2 processes are {by_wall:.2f} x as fast, {by_cpu:.2f} x by the longest CPU time")
    print(f"{beside:.2f} x where 2 searches of half are twice as fast")
    if beside < LIMIT:
        print(f"LIMIT MISSED: at least {LIMIT} x")
    return beside >= LIMIT


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and say whether the limit is kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python, folder = prepare(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    runs = run_script(python, folder, 1, 0)
    assert isinstance(runs, int)
    sides = [
        lambda: search(python, folder, 1, runs),
        lambda: search(python, folder, 2, runs),
        lambda: search_apart(python, folder, runs),
    ]
    rounds = []
    for number in range(options.rounds):
        turn = number % len(sides)
        found = {side: sides[side]() for side in (0, 1, 2)[turn:] + (0, 1, 2)[:turn]}
        rounds.append([found[side] for side in range(len(sides))])
    return 0 if report(rounds, runs) else 1


if __name__ == "__main__":
    sys.exit(main())
