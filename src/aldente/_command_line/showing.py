"""The commands ``explain`` and ``decode``, which run no program."""

from __future__ import annotations

import textwrap

from aldente._diagnosis import finding_text
from aldente._rules import rule_named
from aldente._settings import DEFAULT_LEVELS, parse_rule
from aldente._simulation import tokens

_WIDTH = 100

# How many choices of a token are shown; a short one may stand for millions.
_MOST_SHOWN = 10_000


def explain(name: str) -> str:
    """What a rule catches, why, and how to fix its findings.

    Raises:
        InvalidSetting: there is no such rule.
    """
    rule = parse_rule("rule", name)
    return finding_text.explain(rule_named(rule), DEFAULT_LEVELS[rule])


def decode(token: str) -> str:
    """What a token stands for, in words.

    Raises:
        InvalidToken: the token is malformed.

    >>> print(decode("3AKERpQ"))
    order     any
    slack     1
    seed      0
    Python    not known
    choices   3, of which 1 is not the first option
              0 0 1
    """
    schedule = tokens.decode(token)
    choices = schedule.choices
    others = sum(choice != 0 for choice in choices)
    python = "not known" if schedule.python is None else ".".join(map(str, schedule.python))
    lines = [
        f"order     {schedule.order}",
        f"slack     {schedule.slack:g}",
        f"seed      {schedule.seed}",
        f"Python    {python}",
    ]
    if not choices:
        return "\n".join([*lines, "choices   none: the order of stock asyncio"])
    verb = "is" if others == 1 else "are"
    lines.append(f"choices   {len(choices):,}, of which {others:,} {verb} not the first option")
    indent = " " * 10
    text = " ".join(map(str, choices[:_MOST_SHOWN]))
    lines += textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(choices) > _MOST_SHOWN:
        lines.append(f"{indent}... and {len(choices) - _MOST_SHOWN:,} more")
    return "\n".join(lines)
