"""Runs the tests of public packages with pytest-asyncio and with aldente, and compares outcomes.

Usage: ``python tests/compat/compare.py [--python PATH] [--only NAME ...] [--keep] [--list]``.
README.md beside this file says what the table means. The exit status is 1 when a test ends
otherwise without a known reason, or when a suite could not be run.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

# For a script Python puts the script's folder there; its modules are part of the package tests.
sys.path[0] = str(Path(__file__).parents[2])

from tests.compat import comparing, environments, reporting, running  # noqa: E402
from tests.compat.suites import SUITES, Suite  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the suites asked for, print the table, and say whether all is well."""
    options = _parser().parse_args(arguments)
    chosen = [suite for suite in SUITES if not options.only or suite.name in options.only]
    if options.warnings_are_errors:
        chosen = [
            dataclasses.replace(suite, arguments=("-W", "error", *suite.arguments))
            for suite in chosen
        ]
    if options.list:
        print("\n".join(f"{suite.pinned}: {suite.about}" for suite in chosen))
        return 0
    comparisons, failures = compare_all(
        chosen, options.python, keep=options.keep, subject_first=options.aldente_first
    )
    print(reporting.summary(comparisons))
    for comparison in comparisons:
        print("".join(f"\n{paragraph}\n" for paragraph in reporting.details(comparison)), end="")
    for name, problem in failures.items():
        print(f"\n{name} could not be run: {problem}")
    return 1 if failures or any(comparison.unexpected for comparison in comparisons) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    names = [suite.name for suite in SUITES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="these suites")
    parser.add_argument("--keep", action="store_true", help="keep environments for the next time")
    parser.add_argument(
        "--warnings-are-errors", action="store_true", help="run both sides with -W error"
    )
    parser.add_argument(
        "--aldente-first", action="store_true", help="install aldente before all else, not after"
    )
    parser.add_argument("--list", action="store_true", help="list the suites, and do nothing else")
    return parser


def compare_all(
    suites: Sequence[Suite], python: str, *, keep: bool, subject_first: bool = False
) -> tuple[list[comparing.Comparison], dict[str, str]]:
    """Compare suites one after the other.

    Returns:
        The comparisons, and what went wrong with the suites that could not be run, by their names.
    """
    wheel = environments.build_wheel(python)
    comparisons = []
    failures = {}
    for suite in suites:
        print(f"{suite.name} ...", file=sys.stderr, flush=True)
        try:
            archive = environments.download(suite, python)
            pair = environments.make_pair(suite, python, wheel, subject_first=subject_first)
            comparisons.append(comparing.compare(suite, pair, archive))
        except (environments.CommandFailed, environments.NoArchive, running.RunFailed) as problem:
            failures[suite.name] = str(problem)
        if not keep:
            environments.remove_pair(suite, python)
    return comparisons, failures


if __name__ == "__main__":
    sys.exit(main())
