"""How long it takes to judge a history of 1,000 operations over 10 keys, right and wrong ones.

Usage: ``python benchmarks/histories.py [--quick]``. README.md beside this file says what the
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

# Seconds.
LIMIT = 1.0

_PROGRAM = """
import asyncio, json, random, time
import aldente
from aldente import models

def operations(tasks, lost=0.0, wrong=False, keys=10, count=1000):
    chance, history, store = random.Random(0), aldente.history(), {}
    async def act(number, step):
        key = chance.randrange(keys)
        if chance.random() < 0.5:
            with history.operation("set", key, (number, step)):
                await asyncio.sleep(chance.random())
                store[key] = (number, step)
                await asyncio.sleep(chance.random())
                if chance.random() < lost:
                    raise ConnectionError
        else:
            with history.operation("get", key) as operation:
                await asyncio.sleep(chance.random())
                value = store.get(key)
                await asyncio.sleep(chance.random())
                is_wrong = wrong and number == 0 and step > 0.8 * count // tasks
                operation.returns(None if is_wrong else value)
    async def work(number):
        for step in range(count // tasks):
            try:
                await act(number, step)
            except ConnectionError:
                pass
    async def main():
        await asyncio.gather(*map(work, range(tasks)))
    aldente.run(main, clock="virtual")
    assert len(history.operations) == count
    return history, lambda: history.linearizable(models.KeyValue())

def transactions(kind, wrong=False, keys=10, count=1000):
    chance, history, now = random.Random(0), aldente.history(), {}
    for number in range(count):
        with history.transaction() as transaction:
            for key in chance.sample(range(keys), 3):
                if chance.random() < 0.5:
                    initial = [] if kind == "lists" else None
                    is_wrong = wrong and number == 0.9 * count
                    transaction.reads(key, initial if is_wrong else now.get(key, initial))
                elif kind == "lists":
                    transaction.appends(key, number)
                    now[key] = [*now.get(key, []), number]
                else:
                    transaction.writes(key, number)
                    now[key] = number
    return history, history.serializable

HISTORIES = {
    "linearizable, 5 tasks": operations(5),
    "linearizable, 50 tasks": operations(50),
    "5 % of the outcomes unknown": operations(20, lost=0.05),
    "not linearizable": operations(20, lost=0.05, wrong=True),
    "serializable, single values": transactions("values"),
    "serializable, lists": transactions("lists"),
    "not serializable, lists": transactions("lists", wrong=True),
}
seconds = {}
for name, (history, judge) in HISTORIES.items():
    began = time.perf_counter()
    try:
        judge()
        said = True
    except AssertionError:
        said = False
    seconds[name] = time.perf_counter() - began
    assert said is not name.startswith("not "), name
print(json.dumps(seconds))
"""


def prepare_python(python: str) -> Path:
    """Make an environment with aldente."""
    environment = measuring.make_environment("histories", python, ["pytest"])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def run_once(python: Path) -> dict[str, float]:
    """The seconds that each history takes."""
    result = subprocess.run(
        [str(python), "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=measuring.clean_environment(),
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    times: dict[str, float] = json.loads(result.stdout)
    return times


def report(rounds: Sequence[dict[str, float]]) -> bool:
    """Print the figures of all rounds; whether the limit is kept."""
    print(f"{'1,000 operations or transactions':<34}{'seconds':>8}   limit {LIMIT:g}")
    is_kept = True
    for name in rounds[0]:
        seconds = statistics.median(times[name] for times in rounds)
        is_kept = is_kept and seconds <= LIMIT
        print(f"{name:<34}{seconds:>8.3f}   {'kept' if seconds <= LIMIT else 'MISSED'}")
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and say whether the limit is kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
