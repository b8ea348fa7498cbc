"""What running tests through aldente costs, beside plain pytest and pytest-asyncio.

Usage: ``python benchmarks/runner.py [--quick]``. README.md beside this file says what the numbers
mean. The exit status is 1 when aldente misses a limit.
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import measuring
from measuring import Program

PEER = "pytest-asyncio"
PEER_VERSION = "1.5.0"
PEER_NAME = f"{PEER} {PEER_VERSION}"
PEER_SESSION_NAME = f"{PEER_NAME}, session loop"

TESTS_PER_MODULE = 100

START_LIMIT_MILLISECONDS = 15.0

_SYNC_TEST = """
def test_{number}():
    assert {number} + 1 > {number}
"""

_ASYNC_TEST = """
async def test_{number}():
    assert {number} + 1 > {number}
"""

_SYNC_FIXTURE = """
import pytest

@pytest.fixture
def value():
    yield 1
"""

_ASYNC_FIXTURE = """
import pytest

@pytest.fixture
async def value():
    yield 1
"""

_SYNC_TEST_WITH_FIXTURE = """
def test_{number}(value):
    assert {number} + value > {number}
"""

_ASYNC_TEST_WITH_FIXTURE = """
async def test_{number}(value):
    assert {number} + value > {number}
"""

# The least that a plugin could do: no fixtures, scopes, rules or time limits, and no tear-down.
_LEAST_PLUGIN = """
import asyncio
import inspect
import pytest

{loop}

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        {run}(pyfuncitem.obj())
        return True
"""

# Run in a process that has imported pytest already, as every pytest start has.
_IMPORT = """
import time
import pytest
start = time.perf_counter()
import aldente._plugin
print(time.perf_counter() - start)
"""

# A plugin that does nothing, as pip would have installed it.
_EMPTY_PLUGIN = {
    "empty_plugin.py": "",
    "empty_plugin-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: empty-plugin\nVersion: 1\n",
    "empty_plugin-1.dist-info/RECORD": "empty_plugin.py,,\n",
    "empty_plugin-1.dist-info/entry_points.txt": "[pytest11]\nempty_plugin = empty_plugin\n",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Pythons:
    """The interpreters of the environments, which hold the same pytest."""

    plain: Path
    empty_plugin: Path
    aldente: Path
    peer: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """A generated test suite in a folder of its own."""

    folder: Path
    tests: int

    def run_by(self, name: str, python: Path, *options: str) -> Program:
        """The program that runs this suite with an environment's pytest."""
        return Program(
            name,
            [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
            self.folder,
            marker=f"{self.tests} passed",
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Programs measured against the first of them.

    Attributes:
        title: what is compared with what.
        limit: the greatest ratio allowed to aldente.
        programs: the reference, then aldente, then the peers.
        peer_ratio: the ratio of the first peer on the machine for which the limit was set, if that
            is known.
    """

    title: str
    limit: float
    programs: Sequence[Program]
    peer_ratio: float | None = None


def write_suite(name: str, tests: int, test: str, conftest: str = "") -> Suite:
    """Write a suite of many small tests, in modules of a hundred."""
    folder = measuring.ENVIRONMENTS / "suites" / f"{name}_{tests}"
    folder.mkdir(parents=True, exist_ok=True)
    # Its own configuration file makes the folder pytest's root, whatever lies above.
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    for first in range(0, tests, TESTS_PER_MODULE):
        numbers = range(first, min(first + TESTS_PER_MODULE, tests))
        module = folder / f"test_{first:05}.py"
        module.write_text("\n".join(test.format(number=n) for n in numbers), encoding="utf-8")
    return Suite(folder, tests)


def prepare_pythons(python: str) -> Pythons:
    """Make the environments, all with the newest pytest that the peer allows."""
    peer = measuring.make_environment(PEER, python, [f"{PEER}=={PEER_VERSION}"])
    pytest = f"pytest=={measuring.installed_version(peer, 'pytest')}"
    plain = measuring.make_environment("plain", python, [pytest])
    empty_plugin = measuring.make_environment("empty-plugin", python, [pytest])
    for name, text in _EMPTY_PLUGIN.items():
        measuring.write_package_file(empty_plugin, name, text)
    aldente = measuring.make_environment("aldente", python, [pytest])
    wheel = measuring.build_wheel(aldente)
    measuring.install(aldente, ["--force-reinstall", "--no-deps", str(wheel)])
    return Pythons(plain, empty_plugin, aldente, peer)


def comparisons(pythons: Pythons, tests: int) -> Iterable[Comparison]:
    """What is measured, one after the other."""
    auto = ("-o", "asyncio_mode=auto")
    session = (
        *auto,
        "-o",
        "asyncio_default_test_loop_scope=session",
        "-o",
        "asyncio_default_fixture_loop_scope=session",
    )
    sync_suite = write_suite("sync", tests, _SYNC_TEST)
    async_suite = write_suite("async", tests, _ASYNC_TEST)
    reference = sync_suite.run_by("def tests, plain pytest", pythons.plain)
    yield Comparison(
        f"{tests:,} trivial async tests, against the same as def in plain pytest",
        1.15,
        [
            reference,
            async_suite.run_by("aldente", pythons.aldente),
            async_suite.run_by(PEER_NAME, pythons.peer, *auto),
            async_suite.run_by(PEER_SESSION_NAME, pythons.peer, *session),
            *_least_plugins(pythons, tests),
        ],
        peer_ratio=1.50,
    )
    yield Comparison(
        f"{tests:,} def tests with the plugin loaded, against plain pytest",
        1.03,
        [
            reference,
            sync_suite.run_by("aldente", pythons.aldente),
            sync_suite.run_by(PEER_NAME, pythons.peer, *auto),
        ],
    )
    sync_fixtures = write_suite(
        "sync_fixture", tests, _SYNC_TEST_WITH_FIXTURE, conftest=_SYNC_FIXTURE
    )
    async_fixtures = write_suite(
        "async_fixture", tests, _ASYNC_TEST_WITH_FIXTURE, conftest=_ASYNC_FIXTURE
    )
    yield Comparison(
        f"{tests:,} async tests with an async generator fixture, against all of it sync",
        1.25,
        [
            sync_fixtures.run_by("def tests, plain pytest", pythons.plain),
            async_fixtures.run_by("aldente", pythons.aldente),
            async_fixtures.run_by(PEER_NAME, pythons.peer, *auto),
            async_fixtures.run_by(PEER_SESSION_NAME, pythons.peer, *session),
        ],
    )


def _least_plugins(pythons: Pythons, tests: int) -> Iterable[Program]:
    """What no plugin can fall below that makes a loop for each test, and that makes only one."""
    for name, loop, run in (
        ("asyncio.run, nothing else", "", "asyncio.run"),
        ("one loop, nothing else", "loop = asyncio.new_event_loop()", "loop.run_until_complete"),
    ):
        conftest = _LEAST_PLUGIN.format(loop=loop, run=run)
        suite = write_suite(name.partition(",")[0], tests, _ASYNC_TEST, conftest=conftest)
        yield suite.run_by(name, pythons.plain)


def report(comparison: Comparison, rounds: int) -> bool:
    """Measure and print one comparison.

    Returns:
        Whether aldente, the second program, keeps the limit.
    """
    times = measuring.run_interleaved(comparison.programs, rounds)
    reference, *others = times
    rows = [_row(reference, times[reference], times[reference])]
    rows += [_row(name, times[name], times[reference]) for name in others]
    ratio = measuring.cpu_ratio(times[others[0]], times[reference])
    kept = ratio.median <= comparison.limit
    verdict = "kept" if kept else "MISSED"
    print(f"\n{comparison.title}")
    print(textwrap.indent(measuring.table(_HEADER, rows), "  "))
    print(f"  limit {comparison.limit:.2f}, aldente {ratio.median:.3f}: {verdict}", flush=True)
    if comparison.peer_ratio is not None:
        peer = measuring.cpu_ratio(times[others[1]], times[reference])
        print(
            f"  overhead as a share of {others[1]}'s: "
            f"{(ratio.median - 1) / (peer.median - 1):.2f} (the limit's, where it was set: "
            f"{(comparison.limit - 1) / (comparison.peer_ratio - 1):.2f})",
            flush=True,
        )
    return kept


_HEADER = ("", "CPU s", "CPU min", "CPU median", "wall min", "wall median")


def _row(
    name: str, times: Sequence[measuring.Time], reference: Sequence[measuring.Time]
) -> tuple[str, ...]:
    cpu = measuring.cpu_ratio(times, reference)
    wall = measuring.wall_ratio(times, reference)
    ratios = (cpu.least, cpu.median, wall.least, wall.median)
    return (name, f"{min(t.cpu for t in times):.2f}", *(f"{ratio:.3f}" for ratio in ratios))


def report_start(pythons: Pythons, rounds: int) -> bool:
    """Measure and print what aldente adds to the start of pytest.

    From version 9 on, pytest answers a single ``--version`` before it loads plugins; given twice,
    it loads them to list them. For that it reads the metadata of their packages, which costs the
    same for any plugin, so the reference is one that does nothing. Importing the plugin, which is
    nearly all that it does at the start, is timed inside a process, as whole processes differ by
    more than the limit on a machine that is busy.

    Returns:
        Whether ``--version`` and the import keep the limit.
    """
    # A suite without tests: its configuration file keeps pytest from reading the repository's.
    folder = write_suite("start", 0, _SYNC_TEST).folder
    rows = []
    added_over_empty = []
    for option in ("--version", "--version --version"):
        programs = _starts(pythons, folder, option.split())
        plain, empty, aldente = (
            min(time.wall for time in times) * 1000
            for times in measuring.run_interleaved(programs, rounds).values()
        )
        added_over_empty.append(aldente - empty)
        rows.append((f"pytest {option}", f"{aldente - empty:.1f}", f"{aldente - plain:.1f}"))
    command = [str(pythons.aldente), "-c", _IMPORT]
    importing = min(1000 * float(measuring.output_of(command)) for _ in range(rounds))
    rows.append(("import aldente._plugin, pytest imported", f"{importing:.1f}", ""))
    worst = max(importing, added_over_empty[0])
    kept = worst <= START_LIMIT_MILLISECONDS
    verdict = "kept" if kept else "MISSED"
    print("\nMilliseconds added to the start of pytest, wall, min")
    header = ("", "over an empty plugin", "over no plugin")
    print(textwrap.indent(measuring.table(header, rows), "  "))
    print(f"  limit {START_LIMIT_MILLISECONDS:.0f}, aldente {worst:.1f}: {verdict}", flush=True)
    return kept


def _starts(pythons: Pythons, folder: Path, options: Sequence[str]) -> list[Program]:
    return [
        Program(name, [str(python), "-m", "pytest", *options], folder)
        for name, python in (
            ("no plugin", pythons.plain),
            ("empty plugin", pythons.empty_plugin),
            ("aldente", pythons.aldente),
        )
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all, print tables, and say whether every limit is kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    rounds = options.rounds
    pythons = prepare_pythons(options.python)
    print(
        f"Python {measuring.python_version(options.python)}, "
        f"pytest {measuring.installed_version(pythons.aldente, 'pytest')}, {rounds} rounds"
    )
    kept = [report(comparison, rounds) for comparison in comparisons(pythons, options.tests)]
    kept.append(report_start(pythons, 3 * rounds))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
