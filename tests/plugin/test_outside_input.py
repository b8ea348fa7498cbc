"""Malformed input of the plugin gives a valid value or a clear error; `benchmarks/fuzz_inputs.py` tries more."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from aldente._plugin.option_table import OPTIONS, OptionRow
from tests.outside_input.parsers import outcomes
from tests.outside_input.plugin_parsers import PARSED, parsers, value_of
from tests.plugin.conftest import RunProject

# How many inputs each gets.
_COUNTS = {
    "settings": 2_500,
    "configurations": 8,
    "baselines": 200,
    "kept failures": 200,
    "messages of workers": 300,
    "the variable of workers": 200,
}


@pytest.mark.parametrize("name", _COUNTS)
def test_malformed_input(name: str, tmp_path: Path) -> None:
    """Nothing but a valid value, or an error that names the input and what to do, comes of it."""
    with parsers(tmp_path) as table:
        (parser,) = (each for each in table if each.name == name)
        found = list(outcomes(parser, _COUNTS[name]))
    assert [each for each in found if each.kind == "anything else"] == []
    assert "clear error" in {each.kind for each in found}


def test_all_are_tried(tmp_path: Path) -> None:
    """Each reader of the table is in this test, and each option that sets something in that."""
    with parsers(tmp_path) as table:
        assert [each.name for each in table] == list(_COUNTS)
    assert set(PARSED) == {option for option in OPTIONS if option.setting is not None}


@pytest.mark.parametrize("option", PARSED, ids=lambda option: option.setting)
def test_values_are_valid(option: OptionRow) -> None:
    """What malformed values are made from is valid itself, so that they are malformed in one place."""
    is_list = option.kind in ("linelist", "args")
    value: object = [value_of(option)] if is_list else value_of(option)
    option.parse(option.key or option.flag or "", value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("aldente_known_tasks = [1, 2]", "1 is not a valid aldente_known_tasks. It must be a list of strings."),
        ("aldente_rules = [[1]]", "?1? is not a valid aldente_rules. It must be a list of strings."),
        ("aldente_blocking_groups = [true]", "True is not a valid aldente_blocking_groups.*"),
        ('aldente_html = "a\\u0000b"', "'a?x00b' is not a valid aldente_html.*"),
        ("aldente_strict = 'maybe'", "'maybe' is not a valid aldente_strict. It must be true or false."),
        ("aldente_blocking_groups = '\"files'", "* is not a valid aldente_blocking_groups. It must be a list of words with balanced quotes."),
        ("aldente_wall = '0001-01-01T00:00+23:59'", "* is not a valid aldente_wall. It must be True or False, or *"),
        (f"aldente_runs = '{'9' * 5_000}'", "* is not a valid aldente_runs. It must be a whole number from 1 to *"),
    ],
)  # fmt: skip
def test_a_key_of_another_type(
    run_project: RunProject, pytester: pytest.Pytester, line: str, said: str
) -> None:
    """A value that TOML or pytest lets through, or refuses without a name, is refused by name."""
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{line}\n")
    result = run_project("-c", "pyproject.toml", test_it="def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def test_the_variable_of_workers(run_project: RunProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of workers that aldente has not set is told."""
    monkeypatch.setenv("ALDENTE_WORKER", "yes")
    before = signal.getsignal(signal.SIGINT)
    result = run_project(test_it="def test_it(): pass")
    # It is no worker, which would ignore Ctrl-C.
    assert signal.getsignal(signal.SIGINT) is before
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: the environment variable ALDENTE_WORKER is 'yes'. aldente sets it only for the processes that it starts.",
            "Fix: unset it.",
        ]
    )
