"""What a search finds: runs until each known bug shows, by strategy, beside peers.

Usage: ``python benchmarks/exploration.py [--quick]``. README.md beside this file says what the
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

PEERS = {"detangle": "0.1.0", "simloop": "0.2.2", "simloom": "0.5.0"}

# By the name of the column: the peer, and for detangle how much timers may differ from their times.
COLUMNS = {
    "det. 0.1": ("detangle", "0.1"),
    "det. 1.0": ("detangle", "1.0"),
    "simloop": ("simloop", ""),
    "simloom": ("simloom", ""),
}

# seedloop is left out: it knows stock order only, in which none of the bugs shows.
STRATEGIES = ("auto", "pct", "pos", "random", "dfs")

SEEDS, QUICK_SEEDS = 10, 3
MOST_RUNS = 5_000
SECONDS = 10.0  # for each search
ALLOWED_MISSES = 0.1  # of the seeds, with the default settings

# Searches for every bug with every seed, and prints in which run each was found, or null.
_PROGRAM = """
import asyncio, json, sys, time, warnings
folder, tool, strategy, seeds, most, seconds = sys.argv[1:]
sys.path.insert(0, folder)
seeds, most, seconds = int(seeds), int(most), float(seconds)
from tests.known_bugs.table import BUGS
warnings.simplefilter("ignore")

class Counted:
    def __init__(self, main):
        self.main = main
        self.runs = 0
    def of(self):
        async def run():
            self.runs += 1
            await self.main()
        return run

def by_aldente(main, seed):
    import aldente
    found = aldente.search(main, runs=most, strategy=strategy, seed=seed, shrink=False,
                           max_seconds=seconds)
    return found.failure and found.failure.run

def by_detangle(main, seed):
    import detangle
    counted = Counted(main)
    try:
        detangle.explore(counted.of(), runs=most, strategy="auto", seed=seed, shrink=False,
                         max_duration=seconds, database=False, timer_jitter=float(strategy))
    except detangle.BugFound:
        return counted.runs
    return None

def one_by_one(attempt):
    def search(main, seed):
        end = time.monotonic() + seconds
        for number in range(most):
            if time.monotonic() > end:
                break
            try:
                attempt(main, seed * most + number)
            except BaseException:
                return number + 1
        return None
    return search

def run_simloop(main, seed):
    from simloop import SimLoop
    loop = SimLoop(seed)
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()

def run_simloom(main, seed):
    import simloom
    simloom.run(main, seed=seed, virtual_time=True)

search = {
    "aldente": by_aldente,
    "detangle": by_detangle,
    "simloop": one_by_one(run_simloop),
    "simloom": one_by_one(run_simloom),
}[tool]
# Peers can't simulate threads, nor cancel at any await or have hosts and faults, which aldente's
# functions tell them of.
ALDENTES_OWN = (
    "tests.known_bugs.any_await",
    "tests.known_bugs.faults",
    "tests.known_bugs.crashes",
    "thread_against_loop",
)

found = {}
for bug in BUGS:
    if tool != "aldente" and {bug.name, bug.program.__module__} & set(ALDENTES_OWN):
        continue
    found[bug.name] = []
    for seed in range(seeds):
        if found[bug.name][:2] == [None, None] and tool != "aldente":
            # Given up, as it would take hours.
            found[bug.name].append(None)
            continue
        try:
            found[bug.name].append(search(bug.main, seed))
        except Exception:
            found[bug.name].append(None)
fails = []
if tool == "aldente":
    import aldente
    fails = [
        f"{bug.name}: the fixed program fails" for bug in BUGS for seed in range(seeds)
        if aldente.search(bug.fixed, runs=200, strategy=strategy, seed=seed).failure
    ]
    # Tests shrink a part of them.
    for bug in BUGS:
        failure = aldente.search(bug.main, runs=most, strategy=strategy, seed=1,
                                 max_seconds=seconds).failure
        if failure is None:
            continue
        try:
            aldente.replay(bug.main, failure.token)
        except BaseException as error:
            if type(error) is type(failure.exception):
                continue
        fails.append(f"{bug.name}: the token of the shrunk failure does not replay it")
limits = {bug.name: bug.runs for bug in BUGS}
print(json.dumps({"found": found, "fails": fails, "limits": limits}))
"""

Found = dict[str, list[int | None]]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente and the peers."""
    peers = [f"{name}=={version}" for name, version in PEERS.items()]
    environment = measuring.make_environment("exploration", python, ["pytest", *peers])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def search(
    python: Path, tool: str, strategy: str, seeds: int
) -> tuple[Found, list[str], dict[str, int]]:
    """In which runs a tool finds the bugs, what it gets wrong, and what the limits are.

    Args:
        python: the interpreter of the environment.
        tool: aldente, or a peer.
        strategy: the strategy; for detangle its timer jitter.
        seeds: how many searches there are for each bug.
    """
    options = [str(measuring.ROOT), tool, strategy, str(seeds), str(MOST_RUNS), str(SECONDS)]
    result = subprocess.run(
        [str(python), "-c", _PROGRAM, *options],
        capture_output=True,
        text=True,
        check=False,
        env=measuring.clean_environment(),
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    found = json.loads(result.stdout.splitlines()[-1])
    return found["found"], found["fails"], found["limits"]


def median_of(runs: Sequence[int | None]) -> str:
    """The median number of runs; a search that found nothing counts as endless."""
    endless = MOST_RUNS * 1_000
    median = statistics.median(endless if number is None else number for number in runs)
    return "-" if median > MOST_RUNS else f"{median:.0f}"


def report(columns: dict[str, Found], fails: Sequence[str], limits: dict[str, int]) -> bool:
    """Print the medians; whether the limits are kept with the default settings."""
    print(f"{'':<26}" + "".join(f"{name:>10}" for name in columns))
    for bug in limits:
        cells = [median_of(found[bug]) if bug in found else "n/a" for found in columns.values()]
        print(f"  {bug:<24}" + "".join(f"{cell:>10}" for cell in cells))
    totals = [
        f"{sum(median_of(runs) != '-' for runs in found.values())}/{len(found)}"
        for found in columns.values()
    ]
    print(f"  {'found by most seeds':<24}" + "".join(f"{total:>10}" for total in totals))
    is_kept = not fails
    for wrong in fails:
        print(f"  {wrong}: MISSED")
    for bug, runs in columns["auto"].items():
        late = [number for number in runs if number is None or number > limits[bug]]
        if len(late) > ALLOWED_MISSES * len(runs):
            is_kept = False
            print(f"  {bug}: not within {limits[bug]:,} runs for {len(late)} seeds: MISSED")
    print("limits: kept" if is_kept else "limits: MISSED")
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print a table, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    seeds = QUICK_SEEDS if options.rounds < SEEDS else SEEDS
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {seeds} seeds, median runs")
    columns: dict[str, Found] = {}
    fails: list[str] = []
    limits: dict[str, int] = {}
    for strategy in STRATEGIES:
        print(f"  {strategy} is tried", flush=True)
        columns[strategy], failing, limits = search(python, "aldente", strategy, seeds)
        fails += failing
    for column, (peer, jitter) in COLUMNS.items():
        print(f"  {column} is tried", flush=True)
        columns[column] = search(python, peer, jitter, seeds)[0]
    return 0 if report(columns, fails, limits) else 1


if __name__ == "__main__":
    sys.exit(main())
