"""`StopFile`: tells the batches on this machine which of them are still needed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

if sys.platform != "win32":
    import fcntl

_PREFIX = "aldente-search-"

# How many bytes a place has in the file. They are written at once and over one another, so that a
# batch never reads a part of one place as another.
_SIZE = 42
_TOLD = re.compile(rb"(?=.{42}\Z) *(-?[0-9]+) +(-?[0-9]+)\n", re.DOTALL)


class StopFile:
    """A file that is there while batches are needed, and has the place of the last needed one.

    While entered, it is locked. The system unlocks it when the process ends, however it ends; the
    next search in the folder then removes it.

    Args:
        folder: the folder for it; None for that of temporary files.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        self._number = -1
        self.path = self._folder

    def __enter__(self) -> StopFile:
        for left in _files_in(self._folder):
            _remove_if_left(left)
        while True:
            self._number, name = tempfile.mkstemp(prefix=_PREFIX, dir=self._folder)
            self.path = Path(name)
            _lock(self._number, waits=True)
            if self.path.exists():
                return self
            # Another search took it for one that was left, before it was locked.
            os.close(self._number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # In this order, as Windows removes no open file.
        os.close(self._number)
        with contextlib.suppress(FileNotFoundError, PermissionError):
            # Windows refuses it while a batch reads it; then the next search removes it.
            self.path.unlink()

    def tell(self, place: tuple[int, int]) -> None:
        """Have the batches after a place end."""
        with contextlib.suppress(OSError):
            # On a full disk: then they end when the file is gone.
            os.lseek(self._number, 0, os.SEEK_SET)
            os.write(self._number, f"{place[0]:20} {place[1]:20}\n".encode("ascii"))


def needed_by(path: str, place: tuple[int, int]) -> Callable[[], bool]:
    """A function: whether the results of the batch at a place are still needed.

    Args:
        path: the stop file; on this machine.
        place: the place.
    """
    stat = os.stat

    def is_needed() -> bool:
        try:
            if not stat(path).st_size:
                return True
            with open(path, "rb") as file:
                text = file.read(_SIZE)
        except FileNotFoundError:
            return False
        except OSError:
            # Windows has marked it for removal, or opens no more files: ask after the next run.
            return True
        told = _TOLD.fullmatch(text)
        # Not written yet, or by no search.
        return told is None or place < (int(told[1]), int(told[2]))

    return is_needed


def _files_in(folder: Path) -> Iterator[Path]:
    """The stop files in a folder: no links, which anyone may have made in a shared folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _remove_if_left(path: Path) -> None:
    """Remove a stop file whose search has ended without doing so."""
    with contextlib.suppress(OSError):
        # It is gone by now, or another user's, or in use.
        number = os.open(path, os.O_RDWR)
        try:
            if not _lock(number, waits=False):
                return
            if sys.platform != "win32":
                path.unlink()
        finally:
            os.close(number)
        if sys.platform == "win32":
            # Which refuses it while the search that made it has it open.
            path.unlink()


def _lock(number: int, *, waits: bool) -> bool:
    """Lock an open file for as long as it is open; whether that could be done."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        # Another search has it, or the file system has no locks; then nothing is removed.
        return False
    return True
