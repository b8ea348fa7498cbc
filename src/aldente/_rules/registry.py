"""Every rule with its explanation."""

from __future__ import annotations

import importlib

from aldente._records import Rule
from aldente._settings import DEFAULT_LEVELS


def rule_named(name: str) -> Rule:
    """Return a rule; import its module on first use."""
    module = importlib.import_module(f"aldente._rules.{name.replace('-', '_')}")
    rule: Rule = module.RULE
    return rule


def all_rules() -> list[Rule]:
    """Return every rule, the most severe first."""
    return [rule_named(name) for name in DEFAULT_LEVELS]
