"""`SoakState`: the progress of a long search, in a directory that is consistent after any kill.

It is one file, which is written under another name and then replaces the older one. So there is
always the older or the newer one, each with a checksum.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from aldente import _stored_json
from aldente._explore import progress_json
from aldente._explore.sharded_search import SearchProgress
from aldente._version import __version__
from aldente.errors import UnusableState

_FORMAT = 2
_NAME = "search.json"
_LOCK = "lock"


class Soak(NamedTuple):
    """What a long search searches, which has to be the same when it goes on.

    Attributes:
        program: the program, as ``module:function``.
        settings: the settings of the search.
        source: a checksum of the source of the program's module; None if it has none.
    """

    program: str
    settings: Mapping[str, Any]
    source: int | None


class KeptState(NamedTuple):
    """What a state directory has.

    Attributes:
        progress: the progress of the search.
        seconds: how long it has taken so far, in real seconds.
        is_same_source: whether the source of the program's module is as it was.
    """

    progress: SearchProgress
    seconds: float
    is_same_source: bool


class SoakState:
    """The directory with the state of a long search, for this process alone while entered.

    Args:
        folder: the directory; made if it is not there.
        soak: what is searched.

    Attributes:
        folder: the directory.

    Raises:
        UnusableState: the directory can't be used, or another process is using it.
    """

    def __init__(self, folder: Path, soak: Soak) -> None:
        # The searched program may go to another directory.
        self.folder = folder.absolute()
        self._given = folder
        self._soak = soak
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> SoakState:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / _LOCK).open("ab")
        except (OSError, ValueError) as error:
            raise self._unusable(f"it can't be written: {error}", "choose another one.") from error
        if not _take(self._lock):
            self._lock.close()
            what = "another process is searching with it"
            raise self._unusable(what, "wait for that, or choose another directory.")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._lock is not None
        self._lock.close()

    def _unusable(self, what: str, fix: str) -> UnusableState:
        return UnusableState(str(self._given), what, fix)

    def is_changed(self, runs: int) -> UnusableState:
        """The error for a program whose source has changed since."""
        what = (
            f"the module of {self._soak.program} has changed since, so that its {runs:,} runs say "
            "nothing about the program as it is now"
        )
        return self._unusable(what, _ANEW)

    def load(self) -> KeptState | None:
        """What was saved; None if nothing was.

        Raises:
            UnusableState: it was saved by another search, or is no such state.
        """
        path = self.folder / _NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"its state can't be read: {error}", _ANEW) from error
        try:
            found = _stored_json.record(_stored_json.parsed(_body_of(data)), *_KEYS)
            self._check(found)
            return KeptState(
                progress_json.progress_of(found["progress"]),
                _stored_json.number(found["seconds"]),
                found["source"] == self._soak.source,
            )
        except ValueError as error:
            # UnusableState is none; InvalidToken is one.
            what = f"{path.name} in it is not the state of a search: {error}"
            raise self._unusable(what, _ANEW) from error

    def _check(self, found: Mapping[str, Any]) -> None:
        soak, settings = self._soak, _stored_json.record(found["settings"])
        wanted = {
            "format": (found["format"], _FORMAT),
            "version of aldente": (found["aldente"], __version__),
            "version of Python": (found["python"], _python()),
            "program": (found["program"], soak.program),
            **{name: (settings.get(name), value) for name, value in soak.settings.items()},
        }
        for name, (before, now) in wanted.items():
            if before != now:
                described = _stored_json.shown(before)
                what = f"its search has another {name}: {described}, and this search has {now}"
                raise self._unusable(what, f"go on with the same one; {_ANEW}")

    def save(self, progress: SearchProgress, seconds: float) -> None:
        """Save the progress of the search.

        Args:
            progress: the progress.
            seconds: how long it has taken so far, in real seconds.

        Raises:
            UnusableState: it can't be written; what was saved before is still there.
        """
        body = self._body(progress, seconds)
        part = self.folder / f"{_NAME}.part"
        try:
            if not self._is_held:
                what = "it was removed, and another search has begun in a new one"
                raise self._unusable(what, "choose another directory.")
            # Anew, so that a link that is there is removed, and not followed.
            part.unlink(missing_ok=True)
            with part.open("xb") as file:
                data = body.encode()
                file.write(b"%d\n%b" % (zlib.crc32(data), data))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.folder / _NAME)
            _write_names(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                # It takes room on a disk that may be full.
                part.unlink()
            what = f"the progress of the search can't be written: {error}"
            fix = (
                "free space on the disk, or make the directory writable, then start the search "
                "again."
            )
            raise self._unusable(what, fix) from error

    @property
    def _is_held(self) -> bool:
        """Whether the directory is still the one that was locked."""
        assert self._lock is not None
        return os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / _LOCK).stat())

    def _body(self, progress: SearchProgress, seconds: float) -> str:
        soak = self._soak
        return json.dumps(
            {
                "format": _FORMAT,
                "aldente": __version__,
                "python": _python(),
                "program": soak.program,
                "settings": dict(soak.settings),
                "source": soak.source,
                "seconds": seconds,
                "progress": progress_json.of_progress(progress),
            }
        )


# What a state has, beside others.
_KEYS = "format", "aldente", "python", "program", "settings", "source", "seconds", "progress"

_ANEW = "choose another directory, or remove this one to begin anew."


def _body_of(data: bytes) -> str:
    """What follows the checksum.

    Raises:
        ValueError: the checksum is wrong, or this is not text.
    """
    checksum, _, body = data.partition(b"\n")
    if checksum != b"%d" % zlib.crc32(body):
        raise ValueError("its checksum is wrong")
    return body.decode()


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _take(file: IO[bytes]) -> bool:
    """Lock a file until it is closed or the process ends; whether no other process has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            # Of this process alone: forked workers do not have it.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_names(folder: Path) -> None:
    """Sync the names in a folder to the disk as well."""
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
