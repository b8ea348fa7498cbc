"""`SoakState`: how far a long search has come, in a directory that is whole after any kill.

It is one file, which is written under another name and then put in the place of the older one. So
there is always the older or the newer one, each with a checksum.
"""

from __future__ import annotations

import array
import base64
import contextlib
import dataclasses
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from aldente._explore.batches import BatchResult, FailedRun
from aldente._explore.result import Exploration
from aldente._explore.sharded_search import Progress
from aldente._records import Finding, SourcePlace
from aldente._simulation import tokens
from aldente._strategies.shared_coverage import Covered, Covering, Shared
from aldente._version import __version__
from aldente.errors import UnusableState

_FORMAT = 1
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


class Kept(NamedTuple):
    """What a state directory has.

    Attributes:
        progress: how far the search has come.
        seconds: how long it has taken so far, in real seconds.
        is_same_source: whether the source of the program's module is as it was.
    """

    progress: Progress
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
        except OSError as error:
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

    def load(self) -> Kept | None:
        """What was saved; None if nothing was.

        Raises:
            UnusableState: it was saved by another search, or is no such state.
        """
        path = self.folder / _NAME
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(f"its state can't be read: {error}", _ANEW) from error
        try:
            checksum, _, body = text.partition("\n")
            if int(checksum) != zlib.crc32(body.encode()):
                raise ValueError("its checksum is wrong")
            found = json.loads(body)
            self._check(found)
            return _kept(found, is_same_source=found["source"] == self._soak.source)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            what = f"{path.name} in it is no state of a search: {error}"
            raise self._unusable(what, _ANEW) from error

    def _check(self, found: Mapping[str, Any]) -> None:
        soak = self._soak
        wanted = {
            "format": (found["format"], _FORMAT),
            "version of aldente": (found["aldente"], __version__),
            "version of Python": (found["python"], _python()),
            "program": (found["program"], soak.program),
            **{name: (found["settings"].get(name), value) for name, value in soak.settings.items()},
        }
        for name, (before, now) in wanted.items():
            if before != now:
                what = f"its search has another {name}: {before}, and this one {now}"
                raise self._unusable(what, f"go on with the same one; {_ANEW}")

    def save(self, progress: Progress, seconds: float) -> None:
        """Save how far the search has come.

        Args:
            progress: how far.
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
            with part.open("w", encoding="utf-8") as file:
                file.write(f"{zlib.crc32(body.encode())}\n{body}")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.folder / _NAME)
            _write_names(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                # It takes room on a disk that may be full.
                part.unlink()
            what = f"how far the search has come can't be written: {error}"
            fix = "have room on the disk, and the directory writable, then start it again."
            raise self._unusable(what, fix) from error

    @property
    def _is_held(self) -> bool:
        """Whether the directory is still the one that was locked."""
        assert self._lock is not None
        return os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / _LOCK).stat())

    def _body(self, progress: Progress, seconds: float) -> str:
        soak, (failed, number) = self._soak, progress.failure or (None, 0)
        return json.dumps(
            {
                "format": _FORMAT,
                "aldente": __version__,
                "python": _python(),
                "program": soak.program,
                "settings": dict(soak.settings),
                "source": soak.source,
                "seconds": seconds,
                "progress": _of_progress(progress),
                "failed": _of_failed(failed),
                "number": number,
            }
        )


_ANEW = "choose another directory, or remove this one to begin anew."


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
    """Have the names of a folder on the disk as well."""
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# As JSON, and back.


def _of_choices(choices: Sequence[int]) -> Any:
    return base64.b64encode(choices).decode() if isinstance(choices, bytes) else list(choices)


def _choices(found: Any) -> Sequence[int]:
    return base64.b64decode(found) if isinstance(found, str) else tuple(found)


def _of_coverings(coverings: Sequence[Covering]) -> list[Any]:
    return [
        [_of_choices(each.choices), each.is_record, [list(pair) for pair in each.covered]]
        for each in coverings
    ]


def _coverings(found: Any) -> tuple[Covering, ...]:
    return tuple(
        Covering(_choices(choices), bool(is_record), tuple((what, level) for what, level in pairs))
        for choices, is_record, pairs in found
    )


def _of_shared(shared: Shared) -> Any:
    levels = {str(what): f"{level:x}" for what, level in shared.levels.items()}
    return [_of_coverings(shared.schedules), levels]


def _shared(found: Any) -> Shared:
    schedules, levels = found
    return Shared(
        _coverings(schedules), {int(what): int(level, 16) for what, level in levels.items()}
    )


def _of_findings(findings: Sequence[Finding]) -> list[Any]:
    return [list(each._replace(made_by=None)) for each in findings]


def _findings(found: Any) -> list[Finding]:
    return [
        Finding(rule, what, fix, None if place is None else SourcePlace(*place), tuple(details))
        for rule, what, fix, place, details, *_ in found
    ]


def _of_failed(failed: FailedRun | None) -> Any:
    return None if failed is None else [tokens.encode(failed.schedule), *failed[1:]]


def _failed(found: Any) -> FailedRun | None:
    if found is None:
        return None
    token, number, text, is_lost_update, timed_out = found
    arguments = None if timed_out is None else tuple(timed_out)
    return FailedRun(tokens.decode(token), number, text, is_lost_update, arguments)


def _of_exploration(exploration: Exploration) -> Any:
    return {
        each.name: getattr(exploration, each.name)
        for each in dataclasses.fields(exploration)
        if each.name not in ("failure", "findings")
    }


def _exploration(found: Any) -> Exploration:
    return Exploration(**found)


def _of_result(result: BatchResult) -> Any:
    return [
        _of_exploration(result.exploration),
        _of_failed(result.failed),
        _of_coverings(result.news),
        _of_findings(result.findings),
    ]


def _result(found: Any) -> BatchResult:
    exploration, failed, news, findings = found
    return BatchResult(
        _exploration(exploration),
        array.array("q"),
        _failed(failed),
        _coverings(news),
        findings=tuple(_findings(findings)),
    )


def _of_progress(progress: Progress) -> Any:
    return {
        "next": list(progress.next),
        "exploration": _of_exploration(progress.exploration),
        "shared": [[number, _of_shared(each)] for number, each in progress.shared.items()],
        "covered": _of_shared(progress.covered.shared()),
        "waiting": [[*place, _of_result(each)] for place, each in progress.waiting.items()],
        "findings": _of_findings(progress.findings),
        "races": None if progress.races is None else _of_result(progress.races),
    }


def _kept(found: Mapping[str, Any], *, is_same_source: bool) -> Kept:
    told = found["progress"]
    number, shard = told["next"]
    failed = _failed(found["failed"])
    progress = Progress(
        (number, shard),
        _exploration(told["exploration"]),
        {each: _shared(shared) for each, shared in told["shared"]},
        Covered(_shared(told["covered"])),
        {(first, second): _result(each) for first, second, each in told["waiting"]},
        _findings(told["findings"]),
        None if told["races"] is None else _result(told["races"]),
        None if failed is None else (failed, found["number"]),
    )
    return Kept(progress, found["seconds"], is_same_source)
