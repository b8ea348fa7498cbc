"""Finds the Pythons on this machine that aldente supports, for the Makefile.

Prints one line for each supported minor version, oldest first: ``3.13=/usr/bin/python3.13``, or
``3.14=`` when the machine has none. A found program counts only when it starts and can make virtual
environments: a name on PATH may be a version manager's stand-in that refuses to run, and Debian
ships Pythons without ``ensurepip``.

Usage: ``python tools/find_pythons.py [PROGRAM...]``; with programs, only these are considered.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]

_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")

# Free-threaded builds are another kind of Python, which aldente does not promise to support. Of an
# environment that is active, such as one of the Makefile's own, which that may remove, counts the
# Python that it was made from.
_TRIAL = """
import sys, sysconfig
import ensurepip, venv
usable = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
version = "%d.%d" % sys.version_info[:2]
print(sys.hexversion if usable else 0, version, sys._base_executable, sep="\\n")
"""
_TRIAL_SECONDS = 20


class Interpreter(NamedTuple):
    """A Python that runs; the one with the greater ``release`` is the newer."""

    release: int
    version: str
    path: str


def supported_versions(pyproject: Path) -> list[str]:
    """The minor versions that a project's classifiers name, oldest first."""
    classifiers = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["classifiers"]
    matches = (_CLASSIFIER.fullmatch(classifier) for classifier in classifiers)
    return sorted((match[1] for match in matches if match), key=_numbers)


def candidates(versions: Sequence[str]) -> Iterator[str]:
    """Programs that may be a Python: by name on PATH, and where pyenv keeps them."""
    for name in (*(f"python{version}" for version in versions), "python3", "python"):
        found = shutil.which(name)
        if found:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for version in versions:
        for folder in sorted(pyenv.glob(f"versions/{version}.*")):
            yield str(folder / "bin" / "python")


def tried(program: str) -> Interpreter | None:
    """The interpreter that a program is, or None when it does not start or is of no use."""
    try:
        answer = subprocess.run(
            [program, "-I", "-c", _TRIAL],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=True,
        )
        release, version, path = answer.stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Interpreter(int(release), version, path) if int(release) else None


def newest_of_each(interpreters: Iterable[Interpreter]) -> dict[str, Interpreter]:
    """The newest interpreter of each minor version; of equals, the one named first."""
    newest: dict[str, Interpreter] = {}
    for interpreter in interpreters:
        known = newest.get(interpreter.version)
        if known is None or interpreter.release > known.release:
            newest[interpreter.version] = interpreter
    return newest


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found; 1 when there is no Python at all to work with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="consider only these")
    programs: list[str] = parser.parse_args(arguments).programs

    versions = supported_versions(_ROOT / "pyproject.toml")
    running: list[Interpreter] = []
    for program in dict.fromkeys(programs or candidates(versions)):
        interpreter = tried(program)
        if interpreter is not None:
            running.append(interpreter)
        elif programs:
            print(f"{program}: not a Python that can be used here", file=sys.stderr)
    found = newest_of_each(running)
    for version in versions:
        print(f"{version}={found[version].path if version in found else ''}")
    if not any(version in found for version in versions):
        print(
            f"No Python of {', '.join(versions)} was found that can make virtual environments "
            "(on Debian, that takes the package python3-venv).",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
