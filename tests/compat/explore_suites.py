"""Explores all async tests of public packages, and prints what was found in each.

Usage: ``python tests/compat/explore_suites.py [--python PATH] [--only NAME ...] [--runs N] [--keep]``.
README.md beside this file says what is done with the findings. The exit status is 1 when there is a
finding that `KNOWN` does not name, or when a suite could not be run.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

# For a script Python puts the script's folder there; its modules are part of the package tests.
sys.path[0] = str(Path(__file__).parents[2])

from tests.compat import environments, running  # noqa: E402
from tests.compat.explored import KNOWN, SUITES  # noqa: E402
from tests.compat.suites import Suite  # noqa: E402

_EXPLORED = re.compile(r"([\d,]+) tests? explored in ([\d,]+) runs?")
_SECTION = "aldente: exploration of all tests"


class Explored(NamedTuple):
    """What came of a suite.

    Attributes:
        tests: how many tests were explored.
        runs: in how many runs.
        findings: what was found.
        section: the lines of the report's section.
        changed: the tests that ended otherwise than without being explored.
    """

    tests: int
    runs: int
    findings: Sequence[Mapping[str, Any]]
    section: Sequence[str]
    changed: Sequence[str]

    @property
    def unknown(self) -> list[Mapping[str, Any]]:
        """The findings that `KNOWN` does not name."""
        return [each for each in self.findings if each["test"] not in KNOWN]


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore the suites asked for, print what was found, and say whether all of it is known."""
    options = _parser().parse_args(arguments)
    chosen = [suite for suite in SUITES if not options.only or suite.name in options.only]
    wheel = environments.build_wheel(options.python)
    is_well = True
    for suite in chosen:
        try:
            explored = explore(suite, options.python, wheel, options.runs)
        except (
            environments.CommandFailed,
            environments.NoArchive,
            running.RunFailed,
        ) as problem:
            print(f"\n{suite.pinned} could not be run: {problem}", flush=True)
            is_well = False
            continue
        finally:
            if not options.keep:
                environments.remove_pair(suite, options.python)
        is_well = is_well and not explored.unknown and not explored.changed
        _print(suite, explored)
    return 0 if is_well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    names = [suite.name for suite in SUITES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="these suites")
    parser.add_argument("--runs", type=int, default=200, help="of each test; default: 200")
    parser.add_argument("--keep", action="store_true", help="keep environments for the next time")
    return parser


def explore(suite: Suite, python: str, wheel: Path, runs: int) -> Explored:
    """Run a suite's tests with ``--aldente-explore``.

    Raises:
        running.RunFailed: pytest did not run to its end.
    """
    archive = environments.download(suite, python)
    environment = environments.make_subject(suite, python, wheel)
    found = environments.ENVIRONMENTS / "runs" / suite.name / "findings.jsonl"
    found.unlink(missing_ok=True)
    options = (f"--aldente-explore={runs}", f"--aldente-findings={found}", "-v")
    _, before = running.run_alone(suite, environment, archive, ())
    log, run = running.run_alone(suite, environment, archive, options)
    lines = [
        finding
        for finding in map(json.loads, found.read_text(encoding="utf-8").splitlines())
        if finding["rule"] in ("schedule-dependent", "race")
    ]
    section = _section(log.read_text(encoding="utf-8", errors="replace"))
    numbers = _EXPLORED.search("\n".join(section))
    tests, number = (int(each.replace(",", "")) for each in numbers.groups()) if numbers else (0, 0)
    changed = [
        f"{name}: {outcome}, explored: {run.outcomes.get(name)}"
        for name, outcome in before.outcomes.items()
        if outcome != run.outcomes.get(name)
    ]
    return Explored(tests, number, lines, section, changed)


def _section(text: str) -> list[str]:
    """The lines of the section about the exploration of all tests."""
    lines = iter(text.splitlines())
    for line in lines:
        if _SECTION in line:
            break
    section = []
    for line in lines:
        if line.startswith(("=", "-")):
            break
        section.append(line)
    return section


def _print(suite: Suite, explored: Explored) -> None:
    found = len(explored.findings)
    print(
        f"\n{suite.pinned}: {explored.tests} tests explored in {explored.runs:,} runs, "
        f"{found} found, {len(explored.unknown)} of them unknown",
        flush=True,
    )
    for line in explored.section[1:]:
        if not line.startswith("      "):
            print(f"    {line}")
    for line in explored.changed:
        print(f"  ends otherwise: {line}")
    for finding in explored.findings:
        known = KNOWN.get(finding["test"], "unknown")
        print(f"  {finding['test']}: {finding['what']}\n      {known}")
        if finding["test"] not in KNOWN:
            for line in (f"{finding['path']}:{finding['line']}", *finding["details"]):
                print(f"      {line}")


if __name__ == "__main__":
    sys.exit(main())
