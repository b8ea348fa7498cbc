"""`Batch`: a part of the runs of a search, as a value; `run_batch` does these runs.

The result of a batch depends only on the batch and the program: not on the process that runs it,
nor on what that process has done before. So it may run anywhere, again after a process has died,
and a search that is interrupted goes on with the next one. `StopFile` tells the batches on this
machine which of them are still needed.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from aldente._explore.arguments import parse_strategy
from aldente._explore.explorer import Explorer
from aldente._explore.result import Exploration, text_of
from aldente._explore.simulate import Program
from aldente._records import Finding
from aldente._schedules import Schedule
from aldente._strategies.shared_coverage import Covering, Shared
from aldente._system import monotonic
from aldente.errors import PhaseTimeout


def this_machine() -> str:
    """The name of the machine."""
    return platform.node()


class Batch(NamedTuple):
    """Some of the runs of one shard.

    Attributes:
        round: the number of the round, from 0.
        shard: the number of the shard, from 0.
        runs: how many runs.
        seed: the seed of its schedules.
        strategy: the strategy: a name, or a function that makes one from a seed.
        shared: what other batches have covered.
        looks_for_races: whether it is the one that looks for lost updates instead.
    """

    round: int
    shard: int
    runs: int
    seed: int
    strategy: Any
    shared: Shared = Shared()
    looks_for_races: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the order of all batches, in which the first failure is reported."""
        return self.round, self.shard


class Bounds(NamedTuple):
    """When to end a batch early.

    Attributes:
        seconds: how long it may take, in real seconds; None for no limit.
        end: when it has to end, by `time.monotonic` of the machine `machine`; None for no limit.
        machine: the machine on which the search began.
        stop_file: the path of a `StopFile` on that machine: batches end when it is gone, or has
            the place of an earlier batch; empty for none.
    """

    seconds: float | None = None
    end: float | None = None
    machine: str = ""
    stop_file: str = ""


class FailedRun(NamedTuple):
    """A run of a batch that failed.

    Attributes:
        schedule: its schedule.
        number: its number in the batch, from 1.
        text: its exception with the traceback.
        is_lost_update: whether the run has passed, but for a lost update.
        timed_out: the arguments of its `PhaseTimeout`; None if it raised something else.
    """

    schedule: Schedule
    number: int
    text: str
    is_lost_update: bool = False
    timed_out: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        exploration: the results of its runs, without a failure.
        schedules: the hashes of their schedules.
        failed: the run that failed; None if all passed.
        news: the schedules that covered something new.
        is_stopped: whether it was ended, as its results are not needed.
        findings: what rules have found that fails no run.
        machine: the machine that has done it.
    """

    exploration: Exploration
    schedules: array.array[int]
    failed: FailedRun | None = None
    news: Sequence[Covering] = ()
    is_stopped: bool = False
    findings: tuple[Finding, ...] = ()
    machine: str = field(default_factory=this_machine)

    @property
    def runs(self) -> int:
        """How many runs there were."""
        return self.exploration.runs


class _NotNeeded(BaseException):
    """The results of the batch are not needed any more."""


def seed_of(seed: int, shard: int, number: int = 0) -> int:
    """The seed of the schedules of a batch; the first one has that of the search.

    Args:
        seed: the seed of the search.
        shard: the number of the shard, from 0.
        number: the number of the round, from 0.

    >>> seed_of(7, 0), seed_of(7, 1) != seed_of(7, 2)
    (7, True)
    """
    if not shard and not number:
        return seed
    digest = hashlib.blake2b(f"{seed} {shard} {number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def run_batch(program: Program, batch: Batch, bounds: Bounds = Bounds()) -> BatchResult:  # noqa: B008 - a constant
    """Do the runs of a batch, up to the first that fails."""
    end = _end_of(bounds)
    if end is not None and monotonic() >= end and batch.place != (0, 0):
        return BatchResult(Exploration(0, 0, exhausted=False, is_late=True), array.array("q"))
    before = program.on_run
    is_needed = _needed(batch, bounds)

    def end_run() -> None:
        before()
        if not is_needed():
            raise _NotNeeded

    program.on_run = end_run
    explorer = Explorer(program, end, is_shrinking=False, is_continued=batch.place != (0, 0))
    try:
        if not is_needed():
            raise _NotNeeded
        if batch.looks_for_races:
            return _look_for_races(explorer, batch)
        return _search(explorer, batch)
    except _NotNeeded:
        return BatchResult(Exploration(0, 0, exhausted=False), array.array("q"), is_stopped=True)
    finally:
        program.on_run = before


def _search(explorer: Explorer, batch: Batch) -> BatchResult:
    strategy: Any = parse_strategy(batch.strategy, batch.seed)
    share = getattr(strategy, "share", None)
    if share is not None:
        share(batch.shared)
    exploration, found = explorer.search(strategy, batch.runs)
    failed = None
    if found is not None:
        timed_out = found.error.args if isinstance(found.error, PhaseTimeout) else None
        schedule = found.run.schedule(found.program.rules)
        text = text_of(found.error)
        failed = FailedRun(schedule, found.number, text, timed_out=timed_out)
    schedules = array.array("q", explorer.seen)
    return BatchResult(exploration, schedules, failed, getattr(strategy, "news", ()))


def _look_for_races(explorer: Explorer, batch: Batch) -> BatchResult:
    exploration = Exploration(0, 0, exhausted=False)
    found_in, found = explorer.look_for_races(exploration, batch.runs)
    failed = None
    if found is not None:
        schedule = found.run.schedule(found.program.rules)
        text = text_of(found.error)
        failed = FailedRun(schedule, found.number, text)
    elif found_in.failure is not None:
        lost = found_in.failure
        failed = FailedRun(lost.schedule, lost.run, str(lost.exception), is_lost_update=True)
    return BatchResult(exploration, array.array("q"), failed)


def _end_of(bounds: Bounds) -> float | None:
    """When the batch has to end, by the clock of this machine."""
    if bounds.seconds is None:
        return None
    end = monotonic() + bounds.seconds
    if bounds.end is not None and bounds.machine == this_machine():
        return min(end, bounds.end)
    return end


def _needed(batch: Batch, bounds: Bounds) -> Callable[[], bool]:
    """A function that returns whether the results of a batch are still needed."""
    if not bounds.stop_file or bounds.machine != this_machine():
        return lambda: True
    return needed_by(bounds.stop_file, batch.place)


def merged(before: Exploration, last: Exploration, distinct: int) -> Exploration:
    """Combine the results of batches.

    Args:
        before: those of all batches before.
        last: those of the last one.
        distinct: how many schedules of all were different.
    """
    unreached = min(before.unreached_time_outs, last.unreached_time_outs)
    if not before.runs or not last.runs:
        unreached = before.unreached_time_outs or last.unreached_time_outs
    return replace(
        before,
        runs=before.runs + last.runs,
        distinct=distinct,
        exhausted=before.exhausted or last.exhausted,
        escaped=before.escaped or last.escaped,
        coverage=last.coverage or before.coverage,
        is_late=before.is_late or last.is_late,
        # A program whose time-outs fire in some batch only has some that fire.
        unreached_time_outs=unreached,
        faults=_sum(before.faults, last.faults),
        unjudged=_sum(before.unjudged, last.unjudged),
    )


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


if sys.platform != "win32":
    import fcntl

_PREFIX = "aldente-search-"

# How many bytes a place has in the file. They are written at once and over one another, so that a
# batch never reads a part of one place as another.
_SIZE = 42
_NOTED = re.compile(rb"(?=.{42}\Z) *(-?[0-9]+) +(-?[0-9]+)\n", re.DOTALL)


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

    def note(self, place: tuple[int, int]) -> None:
        """End the batches after a place."""
        with contextlib.suppress(OSError):
            # On a full disk: then they end when the file is gone.
            os.lseek(self._number, 0, os.SEEK_SET)
            os.write(self._number, f"{place[0]:20} {place[1]:20}\n".encode("ascii"))


def needed_by(path: str, place: tuple[int, int]) -> Callable[[], bool]:
    """A function that returns whether the results of the batch at a place are still needed.

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
        noted = _NOTED.fullmatch(text)
        # Not written yet, or by no search.
        return noted is None or place < (int(noted[1]), int(noted[2]))

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
