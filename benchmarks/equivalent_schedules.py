"""In how many runs `dfs` exhausts programs whose tasks use several objects, and what a run takes.

Usage: ``python benchmarks/equivalent_schedules.py [--quick]``. README.md beside this file says what
the numbers mean. It has no limit, as a number of runs that rises makes tests fail; the exit status
is 1 when a program that could be exhausted no longer can.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import measuring

# How many runs a search may take. Without skipping a program that needs more counts as endless.
MOST_RUNS = 5_000

_PROGRAM = """
import asyncio, json, logging, sys, time
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.dfs import Dfs

most, is_all = int(sys.argv[1]), sys.argv[2] == "all"
logging.disable(logging.CRITICAL)

class Account:
    def __init__(self):
        self.balance = 0
        self.history = []
        self.lock = asyncio.Lock()

async def transfer(account):
    await asyncio.sleep(0)
    balance = account.balance
    await asyncio.sleep(0)
    account.balance = balance + 1

async def note(account):
    await asyncio.sleep(0)
    account.history.append(1)
    await asyncio.sleep(0)
    account.balance = len(account.history)

async def locked(account):
    await asyncio.sleep(0)
    async with account.lock:
        balance = account.balance
        await asyncio.sleep(0)
        account.balance = balance + 1

def with_accounts(work, *shared):
    async def main():
        accounts = {number: Account() for number in shared}
        await asyncio.gather(*(work(accounts[number]) for number in shared))
    return main

class Shard:
    def __init__(self):
        self.values = {}
        self.lock = asyncio.Lock()

class Cache:
    def __init__(self, count):
        self.shards = [Shard() for _ in range(count)]

    async def get(self, shard, key):
        await asyncio.sleep(0)
        async with shard.lock:
            if key not in shard.values:
                await asyncio.sleep(0)
                shard.values[key] = 1
            return shard.values[key]

async def sharded_cache():
    cache = Cache(2)
    one, other = cache.shards
    await asyncio.gather(cache.get(one, 1), cache.get(one, 1), cache.get(other, 2))

async def larger_cache():
    cache = Cache(3)
    one, other, third = cache.shards
    await asyncio.gather(
        cache.get(one, 1), cache.get(one, 1), cache.get(other, 2), cache.get(third, 3))

async def put(queue, count):
    for number in range(count):
        await queue.put(number)
        await asyncio.sleep(0)

async def take(queue, count):
    for _ in range(count):
        await queue.get()

async def two_queues():
    one, other = asyncio.Queue(), asyncio.Queue()
    await asyncio.gather(put(one, 2), put(other, 2), take(one, 2), take(other, 2))

async def pipeline():
    one, other = asyncio.Queue(1), asyncio.Queue(1)
    async def pass_on():
        for _ in range(2):
            await other.put(await one.get())
    await asyncio.gather(put(one, 2), pass_on(), take(other, 2))

async def philosophers():
    forks = [asyncio.Lock() for _ in range(3)]
    async def dine(first, second):
        async with first:
            await asyncio.sleep(0)
            async with second:
                await asyncio.sleep(0)
    # In the order of the forks, so that there is no deadlock.
    await asyncio.gather(
        dine(forks[0], forks[1]), dine(forks[1], forks[2]), dine(forks[0], forks[2]))

async def events():
    pairs = [(asyncio.Event(), Account()) for _ in range(2)]
    async def wait(event, account):
        await event.wait()
        account.balance += 1
    async def wake(event, account):
        await asyncio.sleep(0)
        account.balance += 1
        event.set()
    await asyncio.gather(*(work(*pair) for pair in pairs for work in (wait, wake)))

programs = {
    "3 accounts": with_accounts(transfer, 1, 2, 3),
    "4 accounts": with_accounts(transfer, 1, 2, 3, 4),
    "5 accounts": with_accounts(transfer, 1, 2, 3, 4, 5),
    "3 accounts, 4 tasks": with_accounts(transfer, 1, 1, 2, 3),
    "4 histories": with_accounts(note, 1, 2, 3, 4),
    "2 locks": with_accounts(locked, 1, 2),
    "2 locks, 3 tasks": with_accounts(locked, 1, 1, 2),
    "2 locks, 4 tasks": with_accounts(locked, 1, 1, 2, 2),
    "4 locks": with_accounts(locked, 1, 2, 3, 4),
    "cache of 2 shards": sharded_cache,
    "cache of 3 shards": larger_cache,
    "2 queues": two_queues,
    "pipeline of 2 queues": pipeline,
    "3 philosophers": philosophers,
    "2 events": events,
}
if is_all:
    from tests.conformance.correct import programs_for_this_python
    from tests.conformance.correct.table import SLOW
    from tests.known_bugs.table import BUGS
    programs |= {
        f"{bug.name}, fixed": (lambda program=bug.program: program(True)) for bug in BUGS
        if not bug.has_faults
    }
    programs |= {
        name: program for name, program in programs_for_this_python().items() if name not in SLOW
    }

def search(program, limit, **options):
    strategy, count, began = Dfs(**options), 0, time.process_time()
    while count < limit and strategy.start():
        simulate(program, strategy, RunSettings())
        count += 1
    took = (time.process_time() - began) / max(count, 1)
    return count if strategy.is_exhaustive else None, took

for name, program in programs.items():
    # Code is analysed once in a process.
    search(program, 3)
    everything, plain = search(program, most, skips_equivalent=False)
    reduced, observed = search(program, most)
    print(json.dumps([name, everything, reduced, plain, observed]), flush=True)
"""

Row = tuple[str, int | None, int | None, float, float]


def measure(python: str, part: str) -> list[Row]:
    """Search each program with and without skipping equivalent schedules."""
    interpreter = measuring.make_environment("equivalent-schedules", python, ["pytest"])
    wheel = measuring.build_wheel(interpreter)
    measuring.install(interpreter, ["--force-reinstall", "--no-deps", str(wheel)])
    output = subprocess.run(
        [str(interpreter), "-c", _PROGRAM, str(MOST_RUNS), part],
        cwd=measuring.ROOT,
        env=measuring.clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [json.loads(line) for line in output.splitlines()]


def shown(count: int | None) -> str:
    """A number of runs, or that there were too many."""
    return f"> {MOST_RUNS:,}" if count is None else f"{count:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table; without ``--quick`` also of the programs of the tests."""
    options = measuring.parse_arguments(__doc__, arguments)
    rows = measure(options.python, "some" if options.rounds == 3 else "all")
    header = ["program", "schedules", "runs", "ms per run", "times one not observed"]
    print(f"Python {measuring.python_version(options.python)}")
    print(
        measuring.table(
            header,
            [
                [
                    name,
                    shown(every),
                    shown(some),
                    f"{observed * 1e3:.2f}",
                    f"{observed / plain:.1f}",
                ]
                for name, every, some, plain, observed in rows
            ],
        )
    )
    lost = [name for name, every, some, _, _ in rows if every is not None and some is None]
    print(f"{len(lost)} can't be exhausted by skipping but without: {lost}")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
