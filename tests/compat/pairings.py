"""Runs the tests beside the oldest and the newest releases of what users pair aldente with.

Usage: ``python tests/compat/pairings.py [--python PATH] [--end oldest|newest|beside] [--only PACKAGE]
[--jobs N] [--keep]``. The exit status is 1 when a test fails, or when an environment could not be
made.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# For a script Python puts the script's folder there; its modules are part of the package tests.
sys.path[0] = str(Path(__file__).parents[2])

from tests.compat.environments import (  # noqa: E402
    ENVIRONMENTS,
    ROOT,
    CommandFailed,
    build_wheel,
    clean_variables,
    install,
    make_empty,
    output_of,
    pip,
    python_version,
)

COEXISTENCE = "tests/plugin/coexistence"


@dataclasses.dataclass(frozen=True, slots=True)
class Paired:
    """A package that aldente works with.

    Attributes:
        package: its name.
        oldest: its oldest release that is supported, by the first version of Python on which it is
            that one. On newer ones it may be the first that has a wheel for that Python, or whose
            own code does not make it warn, as warnings are errors in the tests.
        tests: where the tests are that have to do with it.
    """

    package: str
    oldest: Mapping[tuple[int, int], str]
    tests: tuple[str, ...]

    def pinned(self, python: tuple[int, int]) -> str:
        """Its oldest release for a version of Python, as pip takes it."""
        known = [since for since in self.oldest if since <= python]
        return f"{self.package}=={self.oldest[max(known)]}"


PAIRED = (
    Paired("pytest", {(3, 11): "8.4.0"}, ("tests/plugin",)),
    Paired(
        "pytest-xdist",
        {(3, 11): "3.6.1"},
        (COEXISTENCE, "tests/plugin/rules", "tests/plugin/test_exploring.py"),
    ),
    Paired(
        "hypothesis",
        {(3, 11): "6.100.0", (3, 15): "6.165.7"},
        (
            f"{COEXISTENCE}/test_hypothesis.py",
            "tests/plugin/test_exploring_examples.py",
            "tests/plugin/test_exploring_hostile.py",
            "tests/unit/test_hypothesis_notes.py",
            "tests/unit/test_virtual_time_model.py",
        ),
    ),
    # 4.6.0 does not give back the fixtures that its tests have used.
    Paired("anyio", {(3, 11): "4.6.1"}, (COEXISTENCE, "tests/unit/test_leaked_resource.py")),
    Paired("trio", {(3, 11): "0.27.0"}, (f"{COEXISTENCE}/test_frameworks.py",)),
    Paired(
        "time-machine",
        {(3, 11): "3.0.0", (3, 15): "3.4.0"},
        (f"{COEXISTENCE}/test_clocks.py", "tests/unit/test_wall.py"),
    ),
    Paired(
        "uvloop",
        {(3, 11): "0.21.0", (3, 14): "0.23.0"},
        (
            f"{COEXISTENCE}/test_runners.py",
            f"{COEXISTENCE}/test_silent_concurrency.py",
            "tests/plugin/test_loop_factories.py",
            "tests/plugin/test_virtual_time.py",
            "tests/plugin/rules",
            "tests/unit/test_blocking_call.py",
            "tests/unit/test_leaked_resource.py",
            "tests/unit/test_nested_loop.py",
        ),
    ),
    Paired(
        "aiohttp",
        {(3, 11): "3.11.0", (3, 14): "3.13.0", (3, 15): "3.14.4"},
        (COEXISTENCE, "tests/unit/doubles", "tests/unit/test_virtual_time_loop.py"),
    ),
)

# With the newest pytest-asyncio and what requires it, for which aldente is to be drop-in.
BESIDE_TESTS = (
    f"{COEXISTENCE}/test_aiohttp_plugin.py",
    f"{COEXISTENCE}/test_web.py",
    "tests/packaging/test_beside_pytest_asyncio.py",
    "tests/plugin/test_drop_in.py",
)

ENDS = ("oldest", "newest", "beside")
# Whose versions the table shows, beside those above.
_ALSO_SHOWN = ("pytest-asyncio", "pytest-aiohttp")


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a run of the tests came to.

    Attributes:
        end: which releases it was run with.
        versions: these, by the names of their packages.
        summary: pytest's last line.
        failed: pytest's lines on the tests that failed.
    """

    end: str
    versions: Mapping[str, str]
    summary: str
    failed: Sequence[str]
    has_passed: bool


def requirements(end: str, wheel: Path, python: tuple[int, int], only: str | None) -> list[str]:
    """What is installed for an end, as pip takes it; what is not pinned is the newest."""
    if end == "beside":
        return [str(wheel), "--group", f"{ROOT / 'pyproject.toml'}:compat"]
    pins = [
        paired.pinned(python)
        for paired in PAIRED
        if end == "oldest" and only in (None, paired.package)
    ]
    return [str(wheel), "--group", f"{ROOT / 'pyproject.toml'}:test", *pins]


def tests_for(end: str, only: str | None) -> list[str]:
    """Which tests are run for an end: those of all packages, each once."""
    if end == "beside":
        return list(BESIDE_TESTS)
    wanted = {COEXISTENCE} if only is None else set()
    for paired in PAIRED:
        if only in (None, paired.package):
            wanted.update(paired.tests)
    # pytest would run what is within another one a second time.
    return sorted(
        place
        for place in wanted
        if not any(str(parent) in wanted for parent in Path(place).parents)
    )


def run(end: str, wheel: Path, options: argparse.Namespace) -> Result:
    """Make an environment, run the tests in it, and remove it.

    Raises:
        CommandFailed: it could not be made.
    """
    version = python_version(options.python)
    major, minor, *_ = map(int, version.split(".")[:2])
    folder = ENVIRONMENTS / f"pairing-{end}-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    make_empty(folder, options.python)
    wanted = requirements(end, wheel, (major, minor), options.only)
    # Whoever has no compiler gets wheels, and so do we, to know what that means.
    install(folder, options.python, ["--prefer-binary", *wanted])
    try:
        return _tested(end, folder, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _tested(end: str, folder: Path, options: argparse.Namespace) -> Result:
    parallel = ["-n", str(options.jobs), "--dist", "loadfile"] if options.jobs > 1 else []
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "--tb=short", *parallel]
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.run(
            [*command, "-p", "no:cacheprovider", *tests_for(end, options.only)],
            cwd=ROOT,
            env=clean_variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    lines = log.read_text(encoding="utf-8").splitlines()
    failed = [line for line in lines if line.startswith(("FAILED tests", "ERROR tests"))]
    versions = _versions(folder, options.python)
    return Result(end, versions, lines[-1] if lines else "", failed, child.returncode == 0)


def _versions(folder: Path, python: str) -> dict[str, str]:
    """The versions of what is paired, in an environment."""
    shown = {paired.package for paired in PAIRED} | set(_ALSO_SHOWN)
    listed = output_of([*pip(python), "--python", str(folder), "list", "--format=json"])
    found = {entry["name"].lower(): entry["version"] for entry in json.loads(listed)}
    return {name: version for name, version in sorted(found.items()) if name in shown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ends asked for, print what they came to, and say whether all is well."""
    options = _parser().parse_args(arguments)
    # A shell has what it runs in the background ignore it, and time limits of tests need it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wheel = build_wheel(options.python)
    is_well = True
    print(f"Python {python_version(options.python)}")
    for end in options.end or ENDS:
        try:
            result = run(end, wheel, options)
        except CommandFailed as problem:
            print(f"\n{end}: could not be installed: {problem}", flush=True)
            is_well = False
            continue
        print(f"\n{end}: " + ", ".join(" ".join(pair) for pair in result.versions.items()))
        print("\n".join([result.summary, *result.failed]), flush=True)
        is_well = is_well and result.has_passed
    return 0 if is_well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    parser.add_argument("--end", nargs="+", choices=ENDS, help="default: all three")
    names = [paired.package for paired in PAIRED]
    parser.add_argument(
        "--only", choices=names, metavar="PACKAGE", help="the others are the newest"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many tests at a time")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    return parser


if __name__ == "__main__":
    sys.exit(main())
