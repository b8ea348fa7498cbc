"""The part of the page about the findings, by rule and place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from aldente._report.elements import add, add_list
from aldente._report.excerpts import excerpts, path_in

# How many lines of source are shown before and after that of a finding.
_AROUND = 3

_MOST_TESTS = 12

# Of more places only a line is shown each.
_MOST_CAUSES = 100

# A finding as plain values: rule, level, test, what, fix, path, line, source and details.
Plain = Mapping[str, Any]


class Explanation(NamedTuple):
    """What is said of a rule.

    Attributes:
        why: why it matters.
        text: its explanation in full.
        address: the address of the page about it; empty without one.
    """

    why: str
    text: str
    address: str = ""


def add_findings(
    parent: Element,
    causes: Sequence[Sequence[Plain]],
    folder: Path,
    explain: Callable[[str], Explanation],
) -> None:
    """Add a section with the findings of a run.

    Args:
        parent: what gets the section.
        causes: the findings that have one cause, for each cause; the worst first.
        folder: paths inside it are shown relative to it.
        explain: explains a rule.
    """
    section = add(parent, "section", id="findings")
    add(section, "h2", "Findings")
    rules: dict[str, list[Sequence[Plain]]] = {}
    for same in causes:
        rules.setdefault(same[0]["rule"], []).append(same)
    left = _MOST_CAUSES
    for rule, found in rules.items():
        explanation = explain(rule)
        group = add(section, "section", class_="rule", id=f"rule-{rule}")
        count = sum(map(len, found))
        add(group, "h3", f"{rule}: {count:,} finding{'s' * (count != 1)}")
        add(group, "p", explanation.why)
        for same in found[:left]:
            _add_cause(group, same, folder)
        if len(found) > left:
            add_list(group, (_in_short(same[0], folder) for same in found[left:]), class_="more")
        left = max(left - len(found), 0)
        details = add(group, "details")
        add(details, "summary", f"About {rule}: what triggers it, and how to fix it")
        add(details, "pre", explanation.text, tabindex="0")
        if explanation.address:
            add(group, "a", f"{rule} in the documentation", href=explanation.address)


def _in_short(finding: Plain, folder: Path) -> str:
    where = f"{path_in(folder, finding['path'])}:{finding['line']}: " if finding["path"] else ""
    return f"{where}{finding['what']}".replace(f"{folder}/", "")


def _add_cause(parent: Element, same: Sequence[Plain], folder: Path) -> None:
    """Add the findings that have one cause."""
    first = same[0]
    level = "error" if any(each["level"] == "error" for each in same) else "warning"
    article = add(parent, "article", class_=f"finding {level}")
    inside = f"{folder}/"
    if first["path"] is not None:
        add(article, "h4", f"{path_in(folder, first['path'])}:{first['line']} ({level})")
        _add_source(article, first["path"], first["line"])
    else:
        add(article, "h4", f"Without a place in your code ({level})")
    add(article, "p", first["what"].replace(inside, ""))
    fix = add(article, "p", class_="fix")
    add(fix, "strong", "Fix:").tail = f" {first['fix']}"
    if first["details"]:
        details = "\n".join(str(line) for line in first["details"]).replace(inside, "")
        add(article, "pre", details, class_="details", tabindex="0")
    tests = list(dict.fromkeys(each["test"] for each in same if each["test"]))
    if tests:
        add(article, "p", f"In {len(tests):,} test{'s' * (len(tests) != 1)}:")
        shown = tests if len(tests) <= _MOST_TESTS else tests[: _MOST_TESTS - 1]
        more = [f"and {len(tests) - len(shown):,} more"] if len(tests) > len(shown) else []
        add_list(article, [*shown, *more], class_="tests")


def _add_source(parent: Element, path: str, line: int) -> None:
    for begin, lines in excerpts(path, [line], _AROUND):
        source = add(parent, "pre", class_="source", tabindex="0")
        for number, text in enumerate(lines, begin):
            row = add(source, "span", f"{number:>4}  {text}")
            if number == line:
                row.tag = "mark"
            row.tail = "\n"
