"""What the fixtures of an explored test cost in each run, and what pytest adds to a bare one.

Usage: ``python benchmarks/explored_tests.py [--quick]``. README.md beside this file says what the
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

# How much longer a run may take with two plain fixtures, in seconds.
LIMIT = 0.0001

RUNS = 5_000

_CONFTEST = """
import json, pathlib

took = {}

def pytest_runtest_logreport(report):
    if report.when == "call":
        assert report.passed, report.longrepr
        took[report.nodeid.partition("::")[2]] = report.duration

def pytest_sessionfinish(session):
    pathlib.Path("took.json").write_text(json.dumps(took))
"""

# All in one session, one after the other, so that they share the luck of the machine.
_TESTS = f"""
import asyncio
import aldente
import pytest

@pytest.fixture
def plain():
    return []

@pytest.fixture
def closed(plain):
    yield plain

@pytest.fixture
async def in_loop():
    yield []

async def body():
    async def work():
        await asyncio.sleep(0)
    await asyncio.gather(work(), work(), work())

explored = aldente.explore(runs={RUNS}, strategy="random")

def test_search():
    assert aldente.search(body, runs={RUNS}, strategy="random").runs == {RUNS}

@explored
async def test_bare():
    await body()

@explored
async def test_two_fixtures(plain, closed):
    await body()

@explored
async def test_async_fixture(in_loop):
    await body()
"""

Times = dict[str, float]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente."""
    environment = measuring.make_environment("explored_tests", python, ["pytest"])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def prepare_suite() -> Path:
    """Write the tests."""
    folder = measuring.ENVIRONMENTS / "explored_tests_suite"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (folder / "test_it.py").write_text(_TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return folder


def run_once(python: Path, folder: Path) -> Times:
    """How long one run of each test takes, in seconds."""
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        command,
        cwd=folder,
        env=measuring.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise measuring.ChildFailed(command, result.returncode, result.stdout)
    took: Times = json.loads((folder / "took.json").read_text(encoding="utf-8"))
    return {name: seconds / RUNS for name, seconds in took.items()}


def report(rounds: Sequence[Times]) -> bool:
    """Print the figures of all rounds; whether the limit is kept."""
    print(f"{'microseconds per run':<24}{'in all':>8}{'more':>8}")
    for name in rounds[0]:
        in_all = statistics.median(times[name] for times in rounds)
        more = statistics.median(times[name] - times["test_bare"] for times in rounds)
        print(f"{name:<24}{in_all * 1e6:>8.1f}{more * 1e6:>8.1f}")
    more = statistics.median(times["test_two_fixtures"] - times["test_bare"] for times in rounds)
    is_kept = more <= LIMIT
    verdict = "kept" if is_kept else "MISSED"
    print(f"two plain fixtures: {more * 1e6:.1f} more, limit {LIMIT * 1e6:g}: {verdict}")
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and say whether the limit is kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python, folder = prepare_python(options.python), prepare_suite()
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python, folder) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
