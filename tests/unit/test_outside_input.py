"""Malformed input from outside gives a valid value or a clear error; `benchmarks/fuzz_inputs.py` tries more."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aldente._explore import progress_json
from aldente._strategies.shared_coverage import _number_of, most_level
from tests.outside_input.parsers import outcomes, parsers, progress

# How many inputs each gets.
_COUNTS = {
    "tokens": 500,
    "replays of forged tokens": 20,
    "search states": 150,
    "stop files": 300,
    "commands": 120,
}


@pytest.mark.parametrize("name", _COUNTS)
def test_malformed_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but a valid value, or an error that names the input and what to do, comes of it."""
    # A command may add the current folder.
    monkeypatch.setattr(sys, "path", [*sys.path])
    (parser,) = (each for each in parsers(tmp_path) if each.name == name)
    found = list(outcomes(parser, _COUNTS[name]))
    assert [each for each in found if each.kind == "anything else"] == []
    assert {each.kind for each in found} == (
        {"valid", "clear error"} if parser.errors else {"valid"}
    )


def test_all_are_tried(tmp_path: Path) -> None:
    """Each reader of the table is in this test."""
    assert [each.name for each in parsers(tmp_path)] == list(_COUNTS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"next": [9, 0]}, "it lacks what was covered before round 9"),
        ({"next": [3, 10_001]}, "10001 stands where a whole number from 0 to 10000 must be"),
        ({"waiting": [[0, 0, None]]}, r"a batch at \(0, 0\) does not wait for one at \(3, 1\)"),
        ({"covered": [[], {"7": "1" + "0" * 60}]}, "levels of up to 240, where 200 is the most"),
        ({"covered": [[["", True, [[7, 201]]]], {}]}, "201 stands where a whole number from 0 to 200"),
        ({"failed": ["3", 1, "", False, None]}, "has no valid token of a schedule. It is too short."),
        ({"number": float("nan")}, "nan stands where a whole number from 1"),
    ],
)  # fmt: skip
def test_progress_of_no_search(changes: dict[str, Any], said: str) -> None:
    """What has the types of a search's progress, and can be that of none, is refused."""
    valid = json.loads(json.dumps(progress_json.of_progress(progress())))
    with pytest.raises(ValueError, match=said):
        progress_json.progress_of({**valid, **changes})


def test_a_great_level() -> None:
    """Only the number of lines may have a level that takes memory."""
    lines = _number_of("lines")
    assert most_level(lines) > 1_000_000
    assert most_level(lines + 1) < 1_000
