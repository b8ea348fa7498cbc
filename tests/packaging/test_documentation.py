"""The documentation names every rule and every option."""

from __future__ import annotations

from pathlib import Path

import pytest

from aldente._plugin.option_table import OPTIONS
from aldente._settings import DEFAULT_LEVELS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("rule", DEFAULT_LEVELS)
def test_a_rule_is_documented(rule: str) -> None:
    """A rule has a page, and a row with its level in the list of rules."""
    page = (ROOT / "docs" / "rules" / f"{rule}.md").read_text(encoding="utf-8")
    assert page.startswith("#")
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert f"| [{rule}](rules/{rule}.md) | {DEFAULT_LEVELS[rule]} |" in rules


def test_options_are_documented() -> None:
    """The reference has a row for each option of the command line and of the configuration file."""
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in reference.splitlines() if line.startswith("|"))
    names = [name for option in OPTIONS for name in (option.flag, option.key) if name is not None]
    assert [name for name in names if f"`{name}" not in rows] == []
