"""`Disk`: the files of a host, of which a crash may lose what was not synced.

The files are real, in a folder of their own for each run, so that any code can use them. What a
crash leaves of them follows from what the code has synced, by `os.fsync` or `os.fdatasync`: the
content of the file, and, as with the journals of Linux's file systems, all names up to then.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aldente._simulation import outside
from aldente._simulation.choices import Values
from aldente._simulation.network.pipes import Wire

# By the path inside the folder: the number of a file, the target of a symbolic link, or None for a
# folder.
_Names = dict[str, "int | str | None"]


class Disk:
    """The files of a host.

    Args:
        wire: the loop.
        host: the name of the host.

    Attributes:
        path: the folder in which they are.
    """

    def __init__(self, wire: Wire, host: str) -> None:
        self._wire = wire
        self._host = host
        self._root = Path(tempfile.mkdtemp(prefix="aldente-"))
        self.path = self._root / host
        self.path.mkdir()
        # Keeps the files of synced names, so that no other one gets the number of one of them.
        self._kept = self._root / ".synced"
        self._kept.mkdir()
        # What is at each path, and the content of each file, as they were synced.
        self._names: _Names = {}
        self._contents: dict[int, bytes] = {}
        # Those that were emptied when they were opened, since they were synced.
        self._emptied: set[int] = set()
        _SYNCS.add(self)

    def __fspath__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __repr__(self) -> str:
        return f"<disk of {self._host!r}: {self.path}>"

    def remove(self) -> None:
        """Remove all files: the run is over."""
        _SYNCS.remove(self)
        shutil.rmtree(self._root, ignore_errors=True)

    # Syncing.

    def note_emptied(self, path: str) -> None:
        """Note that a file is about to be opened and emptied, if it is one of this disk."""
        if path.startswith(f"{self.path}{os.sep}"):
            with contextlib.suppress(FileNotFoundError):
                self._emptied.add(os.stat(path).st_ino)

    def note_sync(self, synced: os.stat_result) -> bool:
        """Note that a file or folder was synced; whether it is one of this disk."""
        for folder, _, files in os.walk(self.path):
            if os.path.samestat(os.stat(folder), synced):
                self._sync_names()
                return True
            for name in files:
                path = os.path.join(folder, name)
                if os.path.samestat(os.lstat(path), synced):
                    self._sync_file(path, synced.st_ino)
                    return True
        return False

    def note_sync_of_all(self) -> None:
        """Note that all files were synced, as by `os.sync`."""
        for path, number in _files_of(self._now()):
            self._contents[number] = (self.path / path).read_bytes()
        self._emptied.clear()
        self._sync_names()

    def _sync_file(self, path: str, number: int) -> None:
        self._contents[number] = Path(path).read_bytes()
        self._emptied.discard(number)
        self._sync_names()

    def _sync_names(self) -> None:
        self._names = self._now()
        for path, number in _files_of(self._names):
            kept = self._kept / str(number)
            if not kept.exists():
                os.link(self.path / path, kept)

    def _now(self) -> _Names:
        """The files, folders and symbolic links as they are now."""
        found: _Names = {}
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(folder, name)
                inside = str(path.relative_to(self.path))
                if path.is_symlink():
                    found[inside] = os.readlink(path)
                elif path.is_dir():
                    found[inside] = None
                elif path.is_file():
                    found[inside] = path.stat().st_ino
        return dict(sorted(found.items()))

    # Crashing.

    def crash(self) -> None:
        """Let the strategy choose what is left of all that was not synced.

        Names are journaled in order, so that either all changes of them are there or, at worst,
        none; what is written into files is not, so that each may have lost some.
        """
        now = self._now()
        written = {number: (self.path / path).read_bytes() for path, number in _files_of(now)}
        names = now
        if self._names != now and self._picks("names", 2):
            names = self._names
            changed = {path for path, _ in now.items() ^ names.items()}
            self._note(
                f"changes of names that were not synced are lost: {', '.join(sorted(changed))}"
            )
        left: dict[int, bytes] = {}
        for path, number in _files_of(names):
            if number not in left:
                left[number] = self._what_is_left(path, number, written)
        self._make_anew(names, left)

    def _make_anew(self, names: _Names, contents: dict[int, bytes]) -> None:
        """Make new files, because the old ones may still be open, with data that is not written."""
        modes = {number: self._mode_of(path, number) for path, number in _files_of(names)}
        for folder in (self.path, self._kept):
            shutil.rmtree(folder)
            folder.mkdir()
        self._contents.clear()
        made: dict[int, Path] = {}
        for path, entry in names.items():
            # A folder comes before what is in it, as names are sorted.
            place = self.path / path
            if entry is None:
                place.mkdir()
            elif isinstance(entry, str):
                place.symlink_to(entry)
            elif entry in made:
                os.link(made[entry], place)
            else:
                made[entry] = place
                place.write_bytes(contents[entry])
                place.chmod(modes[entry])
        self.note_sync_of_all()

    def _mode_of(self, path: str, number: int) -> int:
        """Who may read, write and run a file that is at a path, now or as names were synced."""
        kept = self._kept / str(number)
        return stat.S_IMODE((kept if kept.exists() else self.path / path).stat().st_mode)

    def _what_is_left(self, path: str, number: int, written: dict[int, bytes]) -> bytes:
        """What is left of a file.

        Args:
            path: its path.
            number: its number.
            written: the content of each file that is there now.
        """
        synced = self._contents.get(number, b"")
        content = written.get(number, synced)
        if content == synced:
            return content
        torn = [_torn(synced, content)]
        if number in self._emptied:
            # What is written after that comes to an empty file.
            torn = [content[: len(content) // 2], b""]
        options = list(dict.fromkeys([content, synced, *torn]))
        chosen = self._picks(path, len(options))
        if chosen:
            part = "a part of the changes" if chosen >= 2 else "the changes"
            self._note(f"{part} of {path} that were not synced are lost")
        return options[chosen]

    def _picks(self, of: str, count: int) -> int:
        return self._wire.pick(Values(count, f"what is left of {self._host}: {of}"))

    def _note(self, text: str) -> None:
        self._wire.note_delivery(f"{self._host}: {text}")


def _files_of(names: _Names) -> list[tuple[str, int]]:
    return [(path, entry) for path, entry in names.items() if isinstance(entry, int)]


def _torn(synced: bytes, content: bytes) -> bytes:
    """A file of which only the first half of what has changed was written.

    What is behind that half is as it was synced. A file that is shorter than it was had been
    emptied before.
    """
    if len(content) < len(synced):
        return content[: len(content) // 2]
    begin = _length_in_common(synced, content)
    end = len(content)
    if len(content) == len(synced):
        end -= _length_in_common(synced[::-1], content[::-1])
    place = (begin + end) // 2
    return content[:place] + synced[place:]


def _length_in_common(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class _Syncs:
    """While there are disks, has the functions of `os` that sync files notify them."""

    def __init__(self) -> None:
        self._disks: list[Disk] = []
        self._originals: dict[str, Callable[..., Any]] = {}
        self._own: dict[str, Callable[..., Any]] = {}

    def add(self, disk: Disk) -> None:
        """Notify a disk from now on."""
        if not self._disks:
            outside.listen("open", self._on_open)
            for name in ("fsync", "fdatasync", "sync"):
                original = getattr(os, name, None)
                if original is not None:
                    self._originals[name] = original
                    self._own[name] = self._replacement(original)
                    setattr(os, name, self._own[name])
        self._disks.append(disk)

    def _on_open(self, arguments: tuple[Any, ...]) -> None:
        """Note files that are emptied as they are opened."""
        if not arguments[2] & os.O_TRUNC:
            return
        if isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            for disk in list(self._disks):
                disk.note_emptied(path)

    def remove(self, disk: Disk) -> None:
        """Undo `add`."""
        if disk in self._disks:
            self._disks.remove(disk)
        if not self._disks:
            outside.listen("open", None)
            for name, original in self._originals.items():
                # Left alone where other code has replaced it: it does no harm beneath.
                if getattr(os, name) is self._own[name]:
                    setattr(os, name, original)
            self._originals.clear()
            self._own.clear()

    def _replacement(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def sync(*args: Any) -> None:
            if not args:
                original()
                for disk in list(self._disks):
                    disk.note_sync_of_all()
                return
            number = args[0] if isinstance(args[0], int) else args[0].fileno()
            synced = os.fstat(number)
            # The system need not write what is lost with the run anyway.
            if not any(disk.note_sync(synced) for disk in list(self._disks)):
                original(*args)

        return sync


_SYNCS = _Syncs()
