"""Correct programs never fail, whatever the schedule."""

from __future__ import annotations

import pytest

import aldente
from tests.conformance.correct import programs_for_this_python
from tests.conformance.correct.table import SLOW

# benchmarks/simulation_proofs.py runs each of them 2,000 times.
RUNS = 6
SLOW_RUNS = 2


# What some programs do on purpose.
@aldente.allow("blocking-call")
@pytest.mark.parametrize("order", ["any", "io"])
@pytest.mark.parametrize("name", programs_for_this_python())
def test_a_correct_program_never_fails(name: str, order: str) -> None:
    """No schedule makes a program fail that relies on what asyncio promises, or on a convention."""
    program = programs_for_this_python()[name]
    runs = SLOW_RUNS if name in SLOW else RUNS
    exploration = aldente.search(program, runs=runs, strategy="random", order=order)
    assert exploration.failure is None, exploration.failure.report()
    assert exploration.runs == runs or exploration.exhausted


@pytest.mark.parametrize("name", programs_for_this_python())
def test_a_correct_program_depends_on_nothing_but_its_schedule(name: str) -> None:
    """Two runs of one schedule take the same steps, for every construct of asyncio."""
    assert aldente.search(programs_for_this_python()[name], runs=1).escaped == ""
