"""The command line and the ini keys of the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from aldente._records import Level
from aldente._settings import BLOCKING_GROUPS, DEFAULT_LEVELS, Settings, parse_levels, rules_set_by
from aldente._validation import parse_limit, parse_names, parse_seconds
from aldente.errors import InvalidSetting


def add_options(parser: pytest.Parser) -> None:
    """Register the options of the rules."""
    group = parser.getgroup("aldente")
    group.addoption(
        "--aldente-rule",
        dest="aldente_rule",
        action="append",
        default=[],
        metavar="RULE=LEVEL",
        help="the level of a rule: error, warn or off",
    )
    group.addoption(
        "--aldente-strict",
        dest="aldente_strict",
        action="store_true",
        default=False,
        help="treat every finding as an error",
    )
    group.addoption(
        "--aldente-timeout",
        dest="aldente_timeout",
        default=None,
        metavar="SECONDS",
        help="the time limit of an async test, and of each set-up and tear-down of its fixtures",
    )
    group.addoption(
        "--aldente-rules",
        dest="aldente_rules",
        action="store_true",
        default=False,
        help="explain every rule, and exit",
    )
    group.addoption(
        "--aldente-explain",
        dest="aldente_explain",
        default=None,
        metavar="RULE",
        help="explain one rule, and exit",
    )
    group.addoption(
        "--aldente-findings",
        dest="aldente_findings",
        default=None,
        metavar="FILE",
        help="write all findings to a file, as JSON lines",
    )
    group.addoption(
        "--aldente-baseline",
        dest="aldente_baseline",
        default=None,
        metavar="FILE",
        help="a file of findings that are known: written if it is not there, else these are passed "
        "over",
    )
    _add_ini(parser)


def _add_ini(parser: pytest.Parser) -> None:
    parser.addini(
        "aldente_rules", "levels of rules, one 'rule = error|warn|off' a line", "linelist", []
    )
    parser.addini("aldente_strict", "default of --aldente-strict", "bool", False)
    parser.addini("aldente_timeout", "default of --aldente-timeout", default=None)
    parser.addini(
        "aldente_slow_step",
        "how long a step of the event loop may take, in seconds (default: 0.1)",
        default=None,
    )
    parser.addini(
        "aldente_blocking_calls",
        "dotted names of blocking functions for the rule blocking-call, one a line",
        "linelist",
        [],
    )
    parser.addini(
        "aldente_blocking_groups",
        f"what the rule blocking-call looks at in addition: {', '.join(BLOCKING_GROUPS)}",
        "args",
        [],
    )
    parser.addini(
        "aldente_known_tasks",
        "names of coroutines that may be left running, with * as in file names, one a line",
        "linelist",
        [],
    )


def read(config: pytest.Config) -> dict[str, Any]:
    """The fields of `Settings` that are about rules.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    timeout = config.getoption("aldente_timeout")
    if timeout is None:
        timeout = config.getini("aldente_timeout")
    slow_step = config.getini("aldente_slow_step")
    given, strict = config.getoption("aldente_rule") or (), bool(config.getoption("aldente_strict"))
    in_file, strict_in_file = (
        config.getini("aldente_rules") or (),
        bool(config.getini("aldente_strict")),
    )
    return {
        "levels": parse_levels(
            given,
            name="--aldente-rule",
            strict=strict,
            defaults=parse_levels(
                in_file, name="aldente_rules", strict=strict_in_file, defaults=DEFAULT_LEVELS
            ),
        ),
        "set_rules": rules_set_by([*given, *in_file], strict=strict or strict_in_file),
        "timeout": parse_limit("aldente_timeout", timeout),
        "slow_step": (
            parse_seconds("aldente_slow_step", slow_step) if slow_step else Settings().slow_step
        ),
        "blocking_functions": _dotted_names(
            "aldente_blocking_calls", config.getini("aldente_blocking_calls")
        ),
        "blocking_groups": parse_names(
            "aldente_blocking_groups", config.getini("aldente_blocking_groups"), BLOCKING_GROUPS
        ),
        "known_tasks": _names(config.getini("aldente_known_tasks")),
    }


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.strip() for line in lines if line.strip())


def _dotted_names(name: str, lines: Sequence[str]) -> tuple[str, ...]:
    """Check dotted names of functions, without importing their modules yet.

    Raises:
        InvalidSetting: one is not a dotted name.
    """
    names = _names(lines)
    for given in names:
        if "." not in given or not all(part.isidentifier() for part in given.split(".")):
            raise InvalidSetting(
                name,
                given,
                "Allowed are dotted names of functions: package.module.function or "
                "package.module.Class.method.",
            )
    return names


def wants_files(config: pytest.Config) -> bool:
    """Whether to write the findings of the run to a file, even if there are none."""
    return (
        config.getoption("aldente_findings") is not None
        or config.getoption("aldente_baseline") is not None
    )


def explain(config: pytest.Config, get_levels: Callable[[], Mapping[str, Level]]) -> int | None:
    """Explain rules, if that is all that was asked for, and return the exit status.

    Args:
        config: pytest's configuration.
        get_levels: gives the level of each rule.

    Raises:
        InvalidSetting: there is no rule of the given name.
    """
    one = config.getoption("aldente_explain")
    if not one and not config.getoption("aldente_rules"):
        return None
    from aldente._diagnosis import finding_text
    from aldente._rules import registry
    from aldente._settings import parse_rule

    levels = get_levels()
    try:
        chosen = (
            [registry.rule_named(parse_rule("--aldente-explain", one))]
            if one
            else registry.all_rules()
        )
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    # pytest has no terminal writer yet.
    print("\n\n".join(finding_text.explain(rule, levels[rule.name]) for rule in chosen))
    return 0
