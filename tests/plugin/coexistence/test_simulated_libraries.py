"""Real libraries in simulated runs: no schedule breaks them, and runs are the same anywhere.

`networked` has the programs. benchmarks/library_proofs.py tries all of them at length.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.bodies.with_connections import certificate
from tests.plugin.coexistence.networked.checking import assert_never_fails
from tests.plugin.coexistence.networked.replaying import what_happens
from tests.plugin.coexistence.networked.table import PROGRAMS, missing_for

# How many schedules are tried: those that take long, by TLS or by a framework, fewer.
RUNS, DEAR_RUNS, TLS_RUNS = 30, 12, 6
DEAR = {"fastapi-uvicorn-plain", "fastapi-hypercorn-plain"}
# Under how many seeds the runs of two processes are compared.
SEEDS = 2

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Without the lines that hypercorn logs at each start."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def runs_of(name: str) -> int:
    if name.endswith("tls"):
        return TLS_RUNS
    return DEAR_RUNS if name in DEAR else RUNS


def skip_without(name: str) -> None:
    for module in missing_for(name):
        pytest.skip(f"{module} is not installed")
    if name.endswith("tls") and not certificate():
        pytest.skip("Python's tests, which have the certificate, are not there")


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_schedule_breaks_a_library(name: str) -> None:
    """A correct program of a library passes however the network delivers."""
    skip_without(name)
    assert_never_fails(PROGRAMS[name][0], runs=runs_of(name))


def test_the_same_in_another_process() -> None:
    """A seed gives the same run, result and choices included, with any seed of hashes."""
    names = [
        name
        for name in PROGRAMS
        if not missing_for(name) and (certificate() or not name.endswith("tls"))
    ]
    if not names:
        pytest.skip("none of the libraries is installed")
    command = [sys.executable, "-m", "tests.plugin.coexistence.networked.replaying"]
    environment = os.environ | {"PYTHONHASHSEED": "2654435769"}
    # The other process runs while this one does.
    with subprocess.Popen(
        [*command, str(SEEDS), *names],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        here = {name: what_happens(name, SEEDS) for name in names}
        output, _ = other.communicate()
    assert other.returncode == 0
    assert json.loads(output) == here
