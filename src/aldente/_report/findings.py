"""The part of the page about the findings, by rule and place, with the lines of source files."""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from aldente._report.elements import add, add_list

# How many lines are shown before and after each.
_AROUND = 10

# The first line's number and the lines.
Excerpt = tuple[int, list[str]]


class Excerpts:
    """Collects lines of files, and reads what stands around them.

    Args:
        folder: paths inside it are shown relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, set[int]] = {}

    def add(self, path: str, line: int) -> None:
        """Add a line of a file.

        Args:
            path: the full path of the file.
            line: the number of the line, from 1.
        """
        self._lines.setdefault(path, set()).add(line)

    def shown(self, path: str) -> str:
        """The path as the page shows it."""
        return path_in(self._folder, path)

    def read(self) -> dict[str, list[Excerpt]]:
        """The excerpts of each file, by the path that is shown."""
        return {
            self.shown(path): list(excerpts(path, sorted(lines)))
            for path, lines in sorted(self._lines.items())
        }


def path_in(folder: Path, path: str) -> str:
    """A path relative to a folder if it lies inside, with slashes.

    >>> path_in(Path("/home"), "/home/it.py"), path_in(Path("/home"), "<string>")
    ('it.py', '<string>')
    """
    given = Path(path)
    return given.relative_to(folder).as_posix() if given.is_relative_to(folder) else path


def excerpts(path: str, lines: list[int], around: int = _AROUND) -> Iterator[Excerpt]:
    """The lines around some lines of a file, in one piece where they meet.

    Args:
        path: the full path of the file.
        lines: the numbers of the lines, from 1, in order.
        around: how many are shown before and after each.
    """
    # Not what only looks like a file: "<string>" may be any code.
    source = linecache.getlines(path) if os.path.isabs(path) else []
    last = 0
    begin = 0
    for line in lines:
        if not 0 < line <= len(source):
            continue
        # A gap of one line would save nothing.
        if begin and line - around > last + 2:
            yield begin, _text(source, begin, last)
            begin = 0
        begin = begin or max(line - around, 1)
        last = min(line + around, len(source))
    if begin:
        yield begin, _text(source, begin, last)


def _text(source: list[str], begin: int, last: int) -> list[str]:
    return [line.rstrip("\n\r") for line in source[begin - 1 : last]]


# How many lines of source are shown before and after that of a finding.
_AROUND_FINDING = 3

_MOST_TESTS = 12

# Of more places only a line is shown each.
_MOST_CAUSES = 100

# A finding as plain values: rule, level, test, what, fix, path, line, source and details.
Plain = Mapping[str, Any]


class Explanation(NamedTuple):
    """What the page says about a rule.

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
    for begin, lines in excerpts(path, [line], _AROUND_FINDING):
        source = add(parent, "pre", class_="source", tabindex="0")
        for number, text in enumerate(lines, begin):
            row = add(source, "span", f"{number:>4}  {text}")
            if number == line:
                row.tag = "mark"
            row.tail = "\n"
