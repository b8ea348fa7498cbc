"""The documentation names every rule and every option."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aldente
from aldente._plugin.option_table import OPTIONS
from aldente._rules import rule_named
from aldente._settings import DEFAULT_LEVELS, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("rule", DEFAULT_LEVELS)
def test_a_rule_is_documented(rule: str) -> None:
    """A rule has a page, and a row with its level in the list of rules."""
    page = (ROOT / "docs" / "rules" / f"{rule}.md").read_text(encoding="utf-8")
    assert page.startswith("#")
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert f"| [{rule}](rules/{rule}.md) | {DEFAULT_LEVELS[rule]} |" in rules


def test_the_rules_that_a_block_allows_are_documented() -> None:
    """The list of rules says which ones a "with" block can allow, and no other."""
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    listed = re.search(
        r"^A `with` block allows findings while it runs: ([^.]+)\.", rules, re.MULTILINE
    )
    assert listed is not None
    named = {word for word in re.findall(r"[a-z-]+", listed[1]) if word in DEFAULT_LEVELS}
    assert named == {rule for rule in DEFAULT_LEVELS if rule_named(rule).is_seen_at_once}


def test_the_limit_of_slow_steps_is_documented() -> None:
    """The documentation names the default limit of a step, where it says what the rule catches."""
    limit = f"{Settings().slow_step:g}"
    for name in ("docs/rules.md", "docs/rules/slow-step.md"):
        assert f"for longer than {limit} s" in (ROOT / name).read_text(encoding="utf-8")
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    [row] = [line for line in reference.splitlines() if line.startswith("| `aldente_slow_step`")]
    assert row.endswith(f"| `{limit}` |")


def test_options_are_documented() -> None:
    """The reference has a row for each option of the command line and of the configuration file."""
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    rows = "\n".join(line for line in reference.splitlines() if line.startswith("|"))
    names = [name for option in OPTIONS for name in (option.flag, option.key) if name is not None]
    # An option may have an argument: `--aldente-shard N/M`.
    assert [name for name in names if not re.search(rf"`{name}(?![\w-])", rows)] == []


def test_all_public_names_are_in_the_reference() -> None:
    """Each name of the package is on one page of those that are made from docstrings."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/api").glob("*.md"))
    named = re.findall(r"^\.\. auto\w+:: aldente\.([a-zA-Z]\w*)", pages, re.MULTILINE)
    assert sorted(named) == sorted(set(aldente.__all__) - {"__version__"})
