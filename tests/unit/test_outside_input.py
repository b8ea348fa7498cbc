"""Malformed input from outside gives a valid value or a clear error; `benchmarks/fuzz_inputs.py` tries more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.outside_input.parsers import outcomes, parsers

# How many inputs each gets.
_COUNTS = {
    "tokens": 400,
    "replays of forged tokens": 20,
    "search states": 150,
    "stop files": 300,
    "commands": 60,
}


@pytest.mark.parametrize("name", _COUNTS)
def test_malformed_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a valid value, or an error that names the input and what to do, comes of it."""
    # A command may add the current folder.
    monkeypatch.setattr(sys, "path", [*sys.path])
    (parser,) = (each for each in parsers(tmp_path) if each.name == name)
    found = list(outcomes(parser, _COUNTS[name]))
    assert [each for each in found if each.kind == "anything else"] == []
    assert {each.kind for each in found} == ({"valid", "clear error"} if parser.errors else {"valid"})


def test_all_are_tried(tmp_path: Path) -> None:
    """Each reader of the table is in this test."""
    assert [each.name for each in parsers(tmp_path)] == list(_COUNTS)
