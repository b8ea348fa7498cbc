"""Tells on a terminal how far a long exploration is."""

from __future__ import annotations

import pytest

from aldente._clocks import monotonic
from aldente._plugin import pytest_compat

# When it is told first, and how often then, in seconds.
_FIRST = 1.0
_EVERY = 0.2

_LEAST_ROOM = 12


class Progress:
    """Writes how many runs there were to the end of the line, over what it wrote before.

    Args:
        config: pytest's configuration.
        limit: how many runs there are at most.
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
        self._runs += 1
        now = monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        room = pytest_compat.room_in_line(self._config)
        if room < _LEAST_ROOM:
            return
        of = f"/{self._limit:,}" if self._runs <= self._limit else ""
        self._write(f" {self._runs:,}{of} runs, {now - self._began:.0f} s "[:room])

    def end(self) -> None:
        """All runs have ended: leave nothing behind."""
        if self._written:
            self._write("")

    def _write(self, text: str) -> None:
        back = "\b" * self._written
        over = " " * self._written
        pytest_compat.write_raw(self._config, f"{back}{over}{back}{text}")
        self._written = len(text)
