"""The schedules that failed, kept in pytest's cache to try them first the next time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import pytest

from aldente import _stored_json
from aldente._explore.result import KeptFailure
from aldente._simulation import tokens
from aldente.errors import InvalidToken

_FOLDER = "aldente"


class Remembered:
    """The failed schedule of one test, in a file of its own, as several processes may run tests.

    Args:
        item: the test.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._path: Path | None = None
        # None with -p no:cacheprovider.
        cache: pytest.Cache | None = getattr(item.config, "cache", None)
        if cache is not None:
            name = hashlib.sha256(item.nodeid.encode()).hexdigest()[:24]
            # pytest itself warns of a cache that can't be written.
            with contextlib.suppress(OSError):
                self._path = Path(cache.mkdir(_FOLDER)) / f"{name}.json"

    def failure(self) -> KeptFailure | None:
        """The failure of the last session; None if there is none."""
        if self._path is None:
            return None
        try:
            text = self._path.read_text(encoding="utf-8")
            kept = _stored_json.record(_stored_json.parsed(text), "token")
            kind = _stored_json.string(kept.get("kind", ""))
            return KeptFailure(tokens.decode(_stored_json.string(kept["token"])), kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, InvalidToken) else f"In its file, {error}."
            self._warn(
                f"the schedule kept for {self._item.nodeid} can't be read, so aldente removes it. "
                f"{reason}"
            )
            self.forget()
            return None

    def keep(self, token: str, kind: str) -> None:
        """Keep a schedule that failed, and how it failed if it was shrunk."""
        if self._path is None:
            return
        kept = {"test": self._item.nodeid, "token": token, "kind": kind}
        text = json.dumps(kept)
        # Atomically, in case the process is killed.
        part = self._path.with_suffix(f".{os.getpid()}")
        try:
            # Anew, so that a link that is there is removed, and not followed.
            part.unlink(missing_ok=True)
            with part.open("x", encoding="utf-8") as file:
                file.write(text)
            part.replace(self._path)
        except OSError as error:
            self._warn(f"{self._path} can't be written. {error}")

    def forget(self) -> None:
        """Remove the kept schedule."""
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(f"{self._path} can't be removed. {error}\nFix: remove it yourself.")

    def _warn(self, message: str) -> None:
        self._item.warn(pytest.PytestCacheWarning(f"aldente: {message}"))
