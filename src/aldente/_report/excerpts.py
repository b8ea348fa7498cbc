"""The lines of source files that a page shows."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator
from pathlib import Path

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
