"""The table of rules and the modules of the rules say the same."""

from __future__ import annotations

import pytest

from aldente._rules import RULES, RuleRow, module_of, rule_named


@pytest.mark.parametrize("row", RULES, ids=lambda row: row.name)
def test_a_row_is_true(row: RuleRow) -> None:
    """A rule has the name of its row, and its module the functions that the row promises."""
    assert rule_named(row.name).name == row.name
    module = module_of(row.name)
    assert hasattr(module, "install") == row.observes_loops
    assert hasattr(module, "find_in_failure") == (row.shown_by is not None)


def test_explaining_rules_exist() -> None:
    """The rule that explains another one's findings is in the table."""
    names = {row.name for row in RULES}
    assert {rule_named(name).explained_by for name in names} <= names | {None}
