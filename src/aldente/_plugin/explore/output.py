"""The output and warnings of an explored test, from one of its runs; and its progress."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

import pytest

from aldente._plugin import runtime_compat
from aldente._system import monotonic

# How many different texts a warning of one line may have; the text may contain an address, or a
# number that differs in every run.
_MOST_TEXTS = 10


class Output:
    """Keeps the output of one run: the failed one that is shown, else the first.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._first: tuple[str, str] | None = None
        self._is_last_begun = False

    def end_run(self) -> None:
        """A run has ended."""
        if self._first is None:
            self._first = runtime_compat.take_output(self._config)

    def drop(self) -> None:
        """Drop the output so far."""
        runtime_compat.take_output(self._config)

    def begin_last(self) -> None:
        """Begin the run to show for a failure: drop the output so far."""
        self.drop()
        self._is_last_begun = True

    def end(self) -> None:
        """End all runs: if none is shown, keep the output of the first."""
        if self._is_last_begun or self._first is None:
            return
        runtime_compat.take_output(self._config)
        output, errors = self._first
        sys.stdout.write(output)
        sys.stderr.write(errors)


@contextlib.contextmanager
def each_warning_once() -> Iterator[None]:
    """While entered, a warning of one run is not given again by another.

    Code that records warnings replaces the function behind ``warnings.showwarning``; so this passes
    new warnings to that function, and is not taken for recording itself.
    """
    before: Any = warnings.showwarning
    printed: dict[object, set[str]] = {}

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        texts = printed.setdefault((category, filename, lineno), set())
        text = str(message)
        if text not in texts and len(texts) < _MOST_TEXTS:
            texts.add(text)
            before(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        if warnings.showwarning is show:
            warnings.showwarning = before


# When to show it first, and how often then, in seconds.
_FIRST = 1.0
_EVERY = 0.2

_LEAST_ROOM = 12


class ProgressLine:
    """Writes how many runs there were to the end of the line, over what it wrote before.

    Args:
        config: pytest's configuration.
        limit: the most runs.
    """

    def __init__(self, config: pytest.Config, limit: int) -> None:
        self._config = config
        self._limit = limit
        self._runs = 0
        self._began = monotonic()
        self._next = self._began + _FIRST
        self._written = 0

    def end_run(self) -> None:
        """A run has ended."""
        self.end_runs(1)

    def end_runs(self, number: int) -> None:
        """Some runs have ended."""
        self._runs += number
        now = monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        room = runtime_compat.room_in_line(self._config)
        if room < _LEAST_ROOM:
            return
        of = f"/{self._limit:,}" if self._runs <= self._limit else ""
        self._write(f" {self._runs:,}{of} runs, {now - self._began:.0f} s "[:room])

    def end(self) -> None:
        """Clear the line, after all runs."""
        if self._written:
            self._write("")

    def _write(self, text: str) -> None:
        back = "\b" * self._written
        over = " " * self._written
        runtime_compat.write_raw(self._config, f"{back}{over}{back}{text}")
        self._written = len(text)
