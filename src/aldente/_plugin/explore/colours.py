"""The story in a report on a terminal that has colours: with these, and with a small picture.

The text of a report has none: it is written to files, and sent between processes.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

# The first line of a step: its mark, its time if there is one, and who takes it.
_STEP = re.compile(r"  (?P<mark>[> ]) (?=\S| *[\d.e+-]+ s  )")

# A step in the picture: with what it left stock order, its number, and its marks.
_BLOCK = re.compile(r"(?P<mark>>?)[\[(]\d+[\])](?P<marks>[rwax!]*)")

# A place with its source.
_SOURCE = re.compile(r"^(?P<before>.*?\S:\d+  )(?P<source>\S.*)$")


def colour_story(report: pytest.TestReport, title: str, picture: Sequence[str]) -> None:
    """Have the section of a report with the story written in colour where the writer has them.

    Args:
        report: the report.
        title: the title of the section.
        picture: the lines of the picture; none without one.
    """
    longrepr: Any = report.longrepr
    sections = getattr(longrepr, "sections", None)
    if isinstance(sections, list) and any(name == title for name, *_ in sections):
        plain = longrepr.toterminal
        longrepr.toterminal = functools.partial(_write, longrepr, plain, title, picture)


def _write(
    longrepr: Any,
    plain: Callable[[Any], None],
    title: str,
    picture: Sequence[str],
    writer: Any,
) -> None:
    if not writer.hasmarkup:
        plain(writer)
        return
    sections = longrepr.sections
    told = [section for section in sections if section[0] == title]
    longrepr.sections = [section for section in sections if section[0] != title]
    try:
        plain(writer)
    finally:
        longrepr.sections = sections
    for name, content, separator in told:
        writer.sep(separator, name)
        _write_picture(writer, picture)
        _write_story(writer, content.splitlines())


def _write_picture(writer: Any, picture: Sequence[str]) -> None:
    def coloured(found: re.Match[str]) -> str:
        is_red = bool(found["mark"]) or "!" in found["marks"]
        is_yellow = bool(found["marks"]) and not is_red
        text: str = writer.markup(found.group(), red=is_red, yellow=is_yellow)
        return text

    for line in picture:
        writer.line(_BLOCK.sub(coloured, line))
    if picture:
        writer.line()


def _write_story(writer: Any, lines: list[str]) -> None:
    end = lines.index("") if "" in lines else len(lines)
    begin = next((n for n, line in enumerate(lines) if line.startswith("What happened")), end)
    if begin > end:
        # Behind the paragraph on what raced.
        end = lines.index("", begin) if "" in lines[begin:] else len(lines)
    steps = [number for number in range(begin + 1, end) if _STEP.match(lines[number])]
    # The last step is the one that fails.
    is_red = False
    for number, line in enumerate(lines):
        if number in steps:
            is_red = number == steps[-1] or line.startswith("  >")
        elif not begin < number < end or line.startswith("      ..."):
            is_red = False
        if is_red:
            writer.line(line, red=True)
            continue
        found = _SOURCE.match(line) if begin < number < end else None
        if found is None:
            writer.line(line)
        else:
            writer.line(found["before"] + _highlighted(writer, found["source"]))


def _highlighted(writer: Any, source: str) -> str:
    """A line of source in the colours in which pytest writes source."""
    if not getattr(writer, "code_highlight", False):
        return source
    try:
        # It comes with pytest, but not with an old one.
        pygments = importlib.import_module("pygments")
        formatters = importlib.import_module("pygments.formatters")
        lexers = importlib.import_module("pygments.lexers")
        formatter = formatters.TerminalFormatter(
            bg=os.getenv("PYTEST_THEME_MODE", "dark"), style=os.getenv("PYTEST_THEME")
        )
        text: str = pygments.highlight(source, lexers.PythonLexer(), formatter)
    except Exception:  # pygments is missing, or the theme is unknown: pytest has said so
        return source
    return text.rstrip("\n")
