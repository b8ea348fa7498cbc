"""Runs of programs with a network, and what two of them must have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

import aldente
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.random import Random

Main = Callable[[], Coroutine[Any, Any, Any]]


def run_under(seed: int, main: Main) -> Run:
    strategy = Random(seed)
    strategy.start()
    return simulate(main, strategy, RunSettings())


def assert_never_fails(main: Main, *, runs: int) -> None:
    exploration = aldente.search(main, runs=runs, seed=1)
    assert exploration.failure is None, exploration.failure.report()
    assert exploration.escaped == ""


def what_happened(run: Run) -> str:
    """All that a run decided and gave, to be compared with another process's."""
    assert run.error is None, run.error
    told = repr((run.result, run.choices, run.counts))
    return hashlib.sha256(told.encode()).hexdigest()
