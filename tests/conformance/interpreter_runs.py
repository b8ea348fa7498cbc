"""Runs modules of the interpreter's own tests of asyncio, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import pytest

from tests.conformance.interpreter_tests import SECONDS_AT_MOST

ROOT = Path(__file__).parents[2]

# For the test modules that use this.
NEEDS_THE_INTERPRETERS_TESTS = [
    pytest.mark.skipif(sys.platform == "win32", reason="virtual time needs a selector event loop"),
    pytest.mark.skipif(
        importlib.util.find_spec("test") is None
        or importlib.util.find_spec("test.test_asyncio") is None,
        reason="this Python was installed without its own tests (the package test.test_asyncio)",
    ),
]


class Run(NamedTuple):
    """What a run of a module came to.

    Attributes:
        tests: what was told of each test.
        status: the exit status.
        errors: what was printed to stderr.
    """

    tests: list[dict[str, Any]]
    status: int
    errors: str

    def names(self, outcome: str) -> list[str]:
        return [test["name"] for test in self.tests if test["outcome"] == outcome]


def run_module(kind: str, name: str, *only: str, seed: int | None = None) -> Run:
    """Run a module of the interpreter's tests in a process of its own.

    Args:
        kind: the kind of loop.
        name: the module.
        only: the names of the tests to run; none for all that are not excluded.
        seed: for a simulated loop: what its schedules follow from; None for stock order.
    """
    environment = {**os.environ}
    if seed is not None:
        environment["SIMULATED_SEED"] = str(seed)
    command = [sys.executable, "-m", "tests.conformance.interpreter_tests", kind, name, *only]
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        # Into files, as those of a pipe would be waited for which a test has left behind.
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        ) as process:
            try:
                status = process.wait(timeout=SECONDS_AT_MOST + 30)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        errors.seek(0)
        # What the tests print themselves stands between the lines of JSON.
        lines = [line for line in output if line.startswith('{"name": ')]
        return Run([json.loads(line) for line in lines], status, errors.read())


def passed_although_excluded(kind: str, module: str, excluded: list[str]) -> list[str]:
    """Those of the excluded tests of a module that pass.

    One that ends the process, or goes on for ever, does not; those behind it are run again.
    """
    passed: list[str] = []
    left = excluded
    while left:
        run = run_module(kind, module, *left)
        told = [test["name"] for test in run.tests if test["outcome"] != "excluded"]
        passed += run.names("passed")
        left = [name for name in left if name not in told][1:]
    return passed
