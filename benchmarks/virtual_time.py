"""What virtual time costs: timers per second beside the best peer, and a long sleep beside none.

Usage: ``python benchmarks/virtual_time.py [--quick]``. README.md beside this file says what the
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

PEER = "looptime"
PEER_VERSION = "0.9"

# How many times as many timers a second as the peer's, and how much longer a sleep of an hour may
# take than one of no time, in seconds.
TIMERS_LIMIT = 5.0
SLEEP_LIMIT = 0.001

# All loops run in one process, one after the other, so that they share its luck.
_PROGRAM = """
import asyncio, json, sys, time
import looptime
from aldente._virtual_time.loop import VirtualTimeLoop

async def nap(number):
    for _ in range(100):
        await asyncio.sleep(1 + number / 16)

async def timers():
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(nap(number))

async def nothing():
    for _ in range(1000):
        await asyncio.sleep(0)

async def hours():
    for _ in range(1000):
        await asyncio.sleep(3600)

def seconds(loop, program):
    began = time.perf_counter()
    loop.run_until_complete(program())
    return time.perf_counter() - began

def measure(loop, programs):
    asyncio.set_event_loop(loop)
    try:
        for program in programs:
            seconds(loop, program)
        return {program.__name__: seconds(loop, program) for program in programs}
    finally:
        loop.close()

loop = looptime.new_event_loop()
loop.setup_looptime(start=0, _enabled=True)
print(json.dumps({
    "aldente": measure(VirtualTimeLoop(), [timers, nothing, hours]),
    "looptime": measure(loop, [timers, hours]),
    "asyncio": measure(asyncio.new_event_loop(), [nothing]),
}))
"""

Times = dict[str, dict[str, float]]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente and the peer."""
    environment = measuring.make_environment(
        "virtual-time", python, ["pytest", f"{PEER}=={PEER_VERSION}"]
    )
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def run_once(python: Path) -> Times:
    """The seconds of each program on each loop."""
    result = subprocess.run(
        [str(python), "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    times: Times = json.loads(result.stdout)
    return times


def report(rounds: Sequence[Times]) -> bool:
    """Print the figures of all rounds; whether the limits are kept."""

    def median(loop: str, program: str) -> float:
        return statistics.median(times[loop][program] for times in rounds)

    ratio = statistics.median(
        times[PEER]["timers"] / times["aldente"]["timers"] for times in rounds
    )
    extra = statistics.median(
        (times["aldente"]["hours"] - times["aldente"]["nothing"]) / 1000 for times in rounds
    )
    print("10 tasks x 100 timers, thousands of timers per second")
    for loop in ("aldente", PEER):
        print(f"  {loop:<10} {1 / median(loop, 'timers'):8.1f}")
    print(f"  for comparison, asyncio's sleep(0): {1 / median('asyncio', 'nothing'):.1f}")
    print(
        f"  limit {TIMERS_LIMIT:g} x {PEER}, aldente {ratio:.1f}: {_verdict(ratio >= TIMERS_LIMIT)}"
    )
    print("sleep(3600) over sleep(0), microseconds of real time")
    print(f"  {PEER:<10} {(median(PEER, 'hours') - median('aldente', 'nothing')) * 1000:8.1f}")
    verdict = _verdict(extra <= SLEEP_LIMIT)
    print(f"  limit {SLEEP_LIMIT * 1e6:g}, aldente {extra * 1e6:.1f}: {verdict}")
    return ratio >= TIMERS_LIMIT and extra <= SLEEP_LIMIT


def _verdict(is_kept: bool) -> str:
    return "kept" if is_kept else "MISSED"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
