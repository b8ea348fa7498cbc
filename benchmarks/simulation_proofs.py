"""What simulated runs promise, tried at length: no false alarm, stock order, the same run again,
no outcome that is left out with equivalent schedules, and a network like the system's.

Usage: ``python benchmarks/simulation_proofs.py [--quick]``. Tests try a part of it; this takes some
minutes. It measures nothing; the exit status is 1 when a promise is broken.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import measuring

# How many schedules of each correct program in each order, and how many random programs; and a
# tenth of the schedules for programs with threads, which take real time.
SCHEDULES = 2_000
PROGRAMS = 20_000

# How many random programs with races, and as many whose tasks use several objects; and how many
# schedules such a program may have at most. They are tried after all pairs of steps, or a part of
# those.
RACING_PROGRAMS = 3_000
MOST_SCHEDULES = 1_500

# How many random programs of clients and servers.
NETWORK_PROGRAMS = 2_000

# In how many random orders the interpreter's own tests run that need none.
ORDERS = 20

_PROGRAM = """
import asyncio, importlib.util, itertools, logging, sys, time
import aldente
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.loop import SimulatedLoop
from aldente._virtual_time.loop import VirtualTimeLoop
from aldente._strategies.dfs import Dfs
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random
from tests.conformance.correct import programs_for_this_python
from tests.conformance.correct.table import SLOW
from tests.conformance.generated import random_program
from tests.conformance.interpreter_runs import run_module
from tests.conformance.modules import modules_for
from tests.conformance.racing import program_of, racing_program, source_of_pair
from tests.conformance.racing_objects import racing_objects
from tests.conformance.racing_steps import STEPS
from tests.conformance.test_generated_network import SECONDS, on_simulated, on_system
from tests.conformance.test_interpreters_own_simulated import REFUSAL, WITH_SOCKETS

schedules, programs, racing_programs, network_programs, orders, most, part = map(
    int, sys.argv[1:])
logging.disable(logging.CRITICAL)
broken = runs = distinct = 0
began = time.perf_counter()
for name, program in programs_for_this_python().items():
    for order in ("any", "io"):
        count = schedules // 10 if name in SLOW else schedules
        exploration = aldente.search(program, runs=count, strategy="random", order=order)
        runs += exploration.runs
        distinct += exploration.distinct
        if exploration.failure is not None or exploration.escaped:
            broken += 1
            print("FALSE ALARM:", name, order, exploration.failure, exploration.escaped)
print(f"{len(programs_for_this_python())} correct programs, {runs:,} runs, "
      f"{distinct:,} of them distinct, {time.perf_counter() - began:.0f} s: "
      f"{'BROKEN' if broken else 'no false alarm'}")

def notes(main, make_loop):
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(main())
    except Exception as error:
        return repr(error)

def facts(main, seed, order):
    run = simulate(main, Random(seed), RunSettings(order=order), is_traced=True)
    return run.result, repr(run.error), run.choices, run.counts, run.steps

others = again = steps = 0
began = time.perf_counter()
for seed in range(programs):
    main = random_program(seed)
    others += notes(main, VirtualTimeLoop) != notes(main, lambda: SimulatedLoop(Fifo()))
    others += notes(random_program(seed, is_timed=False), asyncio.SelectorEventLoop) != notes(
        random_program(seed, is_timed=False), lambda: SimulatedLoop(Fifo())
    )
    for order in ("any", "io"):
        one, other = (facts(main, seed, order) for _ in range(2))
        again += one != other
        steps += len(one[-1])
print(f"{programs:,} random programs, {steps:,} steps, {time.perf_counter() - began:.0f} s: "
      f"{others} differ from asyncio in stock order, {again} from themselves")

def outcomes(main, strategy):
    found, count = set(), 0
    while count < most and strategy.start():
        run = simulate(main, strategy, RunSettings())
        if strategy.was_needed:
            found.add((repr(run.result), repr(run.error)))
        count += 1
    return count, found, strategy.is_exhaustive

def lost_outcomes(kind, mains):
    lost = tried = reduced = all_runs = reduced_runs = 0
    began = time.perf_counter()
    for name, main in mains:
        count, expected, is_exhaustive = outcomes(main, Dfs(skips_equivalent=False))
        if not is_exhaustive:
            continue
        fewer, found, is_exhaustive = outcomes(main, Dfs())
        tried += 1
        reduced += fewer < count
        all_runs += count
        reduced_runs += fewer
        if found != expected or fewer > count or not is_exhaustive:
            lost += 1
            print("OUTCOME LOST:", name, expected ^ found)
    print(f"{tried:,} {kind}, {all_runs:,} runs, {reduced_runs:,} of them without those "
          f"of equivalent schedules, fewer for {reduced:,} programs, "
          f"{time.perf_counter() - began:.0f} s: {lost} have lost an outcome")
    return lost

pairs = list(itertools.combinations_with_replacement(STEPS, 2))[::part]
lost = lost_outcomes(
    "pairs of steps", ((pair, program_of(source_of_pair(*pair))) for pair in pairs))
lost += lost_outcomes(
    "programs with races", ((seed, racing_program(seed)) for seed in range(racing_programs)))
lost += lost_outcomes(
    "programs with objects", ((seed, racing_objects(seed)) for seed in range(racing_programs)))

def differs_from_system(seed):
    simulated = on_simulated(seed)
    return all(simulated != on_system(seed, seconds) for seconds in SECONDS)

began = time.perf_counter()
unlike = []
if sys.platform == "linux":
    unlike = [seed for seed in range(network_programs) if differs_from_system(seed)]
    print(f"{network_programs:,} programs of clients and servers, "
          f"{time.perf_counter() - began:.0f} s: {len(unlike)} differ from real sockets {unlike}")

began = time.perf_counter()
disturbed = []
# Some Pythons are installed without their tests.
if importlib.util.find_spec("test") and importlib.util.find_spec("test.test_asyncio"):
    for name in modules_for("random"):
        for seed in range(1, orders + 1):
            run = run_module("random", name, seed=seed)
            failed = run.names("failed")
            if name in WITH_SOCKETS:
                failed = [each["name"] for each in run.tests
                          if each["outcome"] == "failed" and REFUSAL not in each["detail"]]
            if run.status:
                failed.append(run.errors[-4000:])
            disturbed += [(name, seed, each) for each in failed]
    print(f"{len(modules_for('random'))} modules of the interpreter's tests, each in {orders} "
          f"orders, {time.perf_counter() - began:.0f} s: {len(disturbed)} failures {disturbed}")
sys.exit(bool(broken or others or again or lost or unlike or disturbed))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it all, and say whether all promises are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = measuring.make_environment("simulation-proofs", options.python, ["pytest"])
    wheel = measuring.build_wheel(python)
    measuring.install(python, ["--force-reinstall", "--no-deps", str(wheel)])
    part = 10 if options.rounds == 3 else 1
    print(f"Python {measuring.python_version(options.python)}")
    tried = (SCHEDULES, PROGRAMS, RACING_PROGRAMS, NETWORK_PROGRAMS, ORDERS)
    numbers = [*(count // part for count in tried), MOST_SCHEDULES, part]
    child = subprocess.run(
        [str(python), "-c", _PROGRAM, *map(str, numbers)],
        cwd=measuring.ROOT,
        env=measuring.clean_environment(),
        check=False,
    )
    return min(child.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
