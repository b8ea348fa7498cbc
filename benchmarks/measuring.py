"""Measures child processes in pairs, and makes the environments they run in.

Every benchmark of this folder compares programs by ratios of times taken side by side: in each
round all of them run once, in an order that turns with the round, so that a slow minute of the
machine hits all alike. CPU time is user plus system time of the child and its own children; wall
time is what a user waits. Runs on any POSIX system.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = Path(__file__).parent / ".environments"

# Settings of the caller's shell that change what a child does: how Python and pytest start, and
# whether they keep the bytecode they compile, are part of what is measured.
_INHERITED_NOISE = ("PYTHON", "PYTEST", "COVERAGE", "VIRTUAL_ENV")


class ChildFailed(Exception):
    """A measured program did not end as it should, so its time means nothing.

    Args:
        command: what was run.
        status: its exit status.
        output: what it printed.
    """

    def __init__(self, command: Sequence[str], status: int, output: str) -> None:
        self.command = list(command)
        self.status = status
        self.output = output
        super().__init__(self.command, status, output)

    def __str__(self) -> str:
        return f"exit status {self.status} of: {' '.join(self.command)}\n{self.output}"


@dataclasses.dataclass(frozen=True, slots=True)
class Time:
    """How long one run of a child took, in seconds."""

    cpu: float
    wall: float


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """Something to measure.

    Attributes:
        name: as it stands in the table.
        command: what is run.
        folder: where it is run.
        marker: a text that its output must contain, so that a run that did nothing is no fast one.
    """

    name: str
    command: Sequence[str]
    folder: Path
    marker: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """How one program compares with the reference, in one kind of time.

    Attributes:
        least: the ratio of the shortest times of all rounds, which other work on the machine
            disturbs least.
        median: the median of the ratios of each round.
    """

    least: float
    median: float


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line of a benchmark asks for.

    Attributes:
        rounds: how often each program is run.
        tests: how many tests the generated suites have.
        python: the interpreter to measure with.
    """

    rounds: int
    tests: int
    python: str


def parse_arguments(documentation: str | None, arguments: Sequence[str] | None) -> Options:
    """Read the command line of a benchmark.

    Args:
        documentation: the docstring of its script, whose first line says what it is.
        arguments: the arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(description=(documentation or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--tests", type=int, default=2_000, help="default: %(default)s")
    parser.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    parser.add_argument("--quick", action="store_true", help="3 rounds: a rough idea")
    given = parser.parse_args(arguments)
    return Options(3 if given.quick else given.rounds, given.tests, given.python)


def clean_environment() -> dict[str, str]:
    """The environment variables for a measured child."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_INHERITED_NOISE)
    }
    # The order of sets and dictionaries of strings is the same in every run.
    return {**kept, "PYTHONHASHSEED": "0"}


def run_once(program: Program) -> Time:
    """Run a program to its end.

    Raises:
        ChildFailed: it failed, or did not print its marker.
    """
    environment = clean_environment()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    child = subprocess.run(
        program.command,
        cwd=program.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode != 0 or program.marker not in child.stdout:
        raise ChildFailed(program.command, child.returncode, child.stdout)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Time(cpu, wall)


def run_interleaved(programs: Sequence[Program], rounds: int) -> dict[str, list[Time]]:
    """Run every program once a round, and once before the first to fill caches.

    Returns:
        The times of each program by its name, in the order of the rounds.
    """
    for program in programs:
        run_once(program)
    times: dict[str, list[Time]] = {program.name: [] for program in programs}
    for number in range(rounds):
        turn = number % len(programs)
        for program in (*programs[turn:], *programs[:turn]):
            times[program.name].append(run_once(program))
    return times


def ratio(subject: Sequence[float], reference: Sequence[float]) -> Ratio:
    """How the times of one program compare with those of another, taken in the same rounds.

    >>> ratio([2.0, 3.0, 9.0], [1.0, 2.0, 3.0])
    Ratio(least=2.0, median=2.0)
    """
    pairs = zip(subject, reference, strict=True)
    return Ratio(min(subject) / min(reference), statistics.median(a / b for a, b in pairs))


def cpu_ratio(subject: Sequence[Time], reference: Sequence[Time]) -> Ratio:
    """The `ratio` of CPU times."""
    return ratio([t.cpu for t in subject], [t.cpu for t in reference])


def wall_ratio(subject: Sequence[Time], reference: Sequence[Time]) -> Ratio:
    """The `ratio` of wall times."""
    return ratio([t.wall for t in subject], [t.wall for t in reference])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header, the first column to the left, the others to the right.

    >>> print(table(["what", "CPU"], [["plain", "1.0"], ["aldente", "10.5"]]))
    what      CPU
    plain     1.0
    aldente  10.5
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def python_version(python: str) -> str:
    """The version of an interpreter, as ``3.13.0``."""
    script = "import platform; print(platform.python_version())"
    return output_of([python, "-I", "-c", script]).strip()


def make_environment(name: str, python: str, requirements: Sequence[str]) -> Path:
    """An environment with the given packages installed; made once, and kept.

    Args:
        name: the name of its folder.
        python: the interpreter to make it from.
        requirements: what pip is to install; an environment that was made for others is made anew.

    Returns:
        The environment's interpreter.
    """
    folder = ENVIRONMENTS / f"{name}-{python_version(python)}"
    installed = folder / "installed.txt"
    wanted = "\n".join(requirements)
    interpreter = folder / "bin" / "python"
    if not installed.is_file() or installed.read_text(encoding="utf-8") != wanted:
        output_of([python, "-m", "venv", "--clear", str(folder)])
        install(interpreter, requirements)
        installed.write_text(wanted, encoding="utf-8")
    return interpreter


def install(interpreter: Path, arguments: Sequence[str]) -> None:
    """Have pip install packages into an environment, their bytecode compiled."""
    pip = [str(interpreter), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    output_of([*pip, "--compile", *arguments])


def write_package_file(interpreter: Path, name: str, text: str) -> None:
    """Write a file where an environment's packages are."""
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    file = Path(output_of([str(interpreter), "-I", "-c", script]).strip()) / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def build_wheel(python: Path) -> Path:
    """Build aldente's wheel from the sources as they are now."""
    folder = ENVIRONMENTS / "wheel"
    for old in folder.glob("*.whl"):
        old.unlink()
    pip = [str(python), "-m", "pip", "wheel", "-qq", "--disable-pip-version-check"]
    output_of([*pip, "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed_version(interpreter: Path, package: str) -> str:
    """The version of a package in an environment."""
    script = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return output_of([str(interpreter), "-I", "-c", script]).strip()


def output_of(command: Sequence[str]) -> str:
    """What a program prints, errors included.

    Raises:
        ChildFailed: it failed.
    """
    child = subprocess.run(
        command,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise ChildFailed(command, child.returncode, child.stdout)
    return child.stdout
