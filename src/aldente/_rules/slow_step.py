"""The rule ``slow-step``: a step that held the loop for long, with the stack seen while it did.

Steps are not timed. The watchdog samples the step that a loop is in; when it sees the same one
again, the step has gone on in between. How long a thread really ran, and how long it waited for a
processor, Linux records.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aldente import _python_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._rules.blocking_call.caller import is_debugger
from aldente._rules.watchdog import INTERVAL, Look
from aldente._runner.running import LoopRun
from aldente._settings import Settings
from aldente._source import is_own, is_users
from aldente._stacks import Entry, Stack

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

# The default, in words.
_LIMIT = f"{Settings().slow_step:g} s"

RULE = Rule(
    "slow-step",
    catches=f"a step that held the event loop for longer than {_LIMIT}",
    why=(
        "While one step runs, nothing else on the loop runs: time-outs fire late, connections "
        "stall, and tests of concurrent code show an order that production never sees."
    ),
    explanation=(
        "Found: a step of the loop, from one 'await' that waits to the next, that takes longer "
        f"than aldente_slow_step ({_LIMIT}), whether it computes or blocks. The stack is the last "
        "one seen while it ran.\n\n"
        "Not a finding: a pause in a debugger; imports; calls without an alternative: reading "
        "the certificates for an SSL context, starting a thread or a process, also for a pool, "
        "ending a pool of processes that has nothing left to do; pytest's and Hypothesis's own "
        "work, such as drawing an example; time in which the whole process was suspended, and on "
        "Linux also time in which the thread waited for a processor, because the "
        "machine is busy with other things."
    ),
    is_seen_at_once=True,
    is_measured=True,
    is_sampled=True,
    explained_by="blocking-call",
)

_FIX = (
    "Do the work in a thread (await asyncio.to_thread(...)) or a process, or let other tasks run "
    "with 'await asyncio.sleep(0)' in between."
)

# Python's own import machinery.
_IMPORTS = "<frozen importlib"

# Functions that are slow on a busy machine and have no alternative.
_EXEMPT = {
    # It reads the certificates of all authorities; httpx calls it for each client.
    ("ssl", "create_default_context"),
    ("ssl", "load_default_certs"),
    # They wait until the new thread or process runs, for asyncio itself too.
    ("threading", "start"),
    ("subprocess", "_execute_child"),
    # In multiprocessing it imports modules first, or has the fork server do so.
    ("multiprocessing.process", "start"),
}
# Processes that multiprocessing starts for itself, for example with the first lock or queue.
_EXEMPT_MODULES = {"multiprocessing.forkserver", "multiprocessing.resource_tracker"}
# It waits for workers to end that may have just started, in the "with" that asyncio's documentation
# puts around run_in_executor().
_END_OF_POOL = ("concurrent.futures.process", "shutdown")

# What calls the callbacks of a loop; the second that of a loop that is not written in Python.
_RUN_CALLBACKS = {
    ("asyncio.events", "_run"),
    ("aldente._runner.running", "run_until_complete"),
}

# Test tools, which do work that the program under test would not: they compare values for the
# message of a failed assertion, or draw an example.
_TOOLS = {"_pytest", "aldente", "hypothesis"}

# How many frames of the user's code to show.
_FRAMES = 6

# The most that counts between two looks, in seconds, apart from waits for a processor.
_MOST = 5 * INTERVAL


class StepWatch:
    """Watches for slow steps; one of the watchdog's watchers.

    Args:
        report: called with each finding.
        limit: how long a step may take, in seconds.
        is_allowed: whether the user allows slow steps right now.
    """

    def __init__(
        self,
        report: Callable[[Finding], None],
        limit: float,
        is_allowed: Callable[[], bool],
    ) -> None:
        self._report = report
        self._limit = limit
        self._is_allowed = is_allowed
        self._lock = threading.Lock()
        self._candidate: _SeenStep | None = None
        self._processor_times = ProcessorTimes()

    def on_thread_start(self) -> None:
        """Open what is read on the watchdog's thread."""
        self._processor_times.open()
        # It imports modules on first use, which opens their files.
        is_users(__file__)

    def on_thread_end(self) -> None:
        """Close it."""
        self._processor_times.close()

    def look(self, look: Look) -> None:
        """Check whether the loop is still in the step that it was in before."""
        stack = look.stack
        step, entries = stack.step(), stack.entries()
        if step is not None and (stack.step() != step or _is_exempt(entries, stack)):
            step = None
        with self._lock:
            candidate = self._candidate
            if candidate is not None and not candidate.is_of(look.run):
                if candidate.run is not look.run and candidate.run.main_task is not None:
                    # Another thread runs that loop.
                    return
                self._candidate = candidate = None
            if step is None or self._is_allowed():
                self._conclude()
            elif candidate is None or candidate.number != step:
                self._conclude()
                self._candidate = _SeenStep(look.run, step, look.clock, self._processor_times)
            else:
                candidate.goes_on(entries, look.now)

    def on_run_end(self, run: LoopRun) -> None:
        """Conclude before the phase of the test ends; called on the loop's thread."""
        with self._lock:
            self._conclude_of(run)

    def _conclude_of(self, run: LoopRun) -> None:
        if self._candidate is not None and self._candidate.run is run:
            self._conclude()

    def _conclude(self) -> None:
        step, self._candidate = self._candidate, None
        if step is None or step.place is None:
            return
        seconds = step.seconds()
        if seconds < self._limit:
            return
        self._report(
            Finding(
                RULE.name,
                f"a step held the event loop for {seconds:.2f} s or longer.",
                _FIX,
                step.place,
                details=step.lines,
                subject=f"{seconds:.2f} s",
            )
        )


class _SeenStep:
    """A step that was seen, and how long it has taken.

    Args:
        run: the runner whose loop executes it.
        number: its number.
        clock: returns the time.
        processor_times: the times of its thread, and of the watchdog's.
    """

    def __init__(
        self,
        run: LoopRun,
        number: int,
        clock: Callable[[], float],
        processor_times: ProcessorTimes,
    ) -> None:
        self.run = run
        self._runs = run.runs
        self.number = number
        self._thread = run.thread
        self._processor_times = processor_times
        self._times = processor_times.of(run.thread)
        self._own_times = processor_times.of_this_thread()
        # Not earlier: the watchdog too may have waited for a processor just now.
        self._seen = clock()
        # How long it has been seen to go on; how long its thread has run, and waited for a
        # processor; how much else is left out.
        self._passed = self._ran = self._waited = self._left_out = 0.0
        # How long the watchdog has waited for a processor while the thread was working.
        self._waited_by_others = 0.0
        self.place: SourcePlace | None = None
        self.lines: tuple[str, ...] = ()

    def is_of(self, run: LoopRun) -> bool:
        """Whether it belongs to a runner's current run."""
        return run is self.run and run.runs == self._runs

    def goes_on(self, entries: Sequence[Entry], now: float) -> None:
        """Record that the step was seen again."""
        passed, self._seen = now - self._seen, now
        ran, waited = self._newly_reported()
        self._passed += passed
        self._ran += ran
        self._waited += waited
        own_times = self._processor_times.of_this_thread()
        if ran > _AT_REST:
            # It has to hand the GIL to the watchdog now and then, and sleeps until the watchdog has
            # both the GIL and a processor. In a call that blocks it has no GIL to release.
            self._waited_by_others += max(own_times.waited - self._own_times.waited, 0.0)
        self._own_times = own_times
        # When the whole process was suspended, so was the watchdog. But Linux reports a wait for a
        # processor only when it is over: a seeming suspension may prove to have been one.
        surplus = passed - waited
        if surplus > _MOST:
            self._left_out += surplus - _MOST
        elif surplus < 0:
            self._left_out = max(self._left_out + surplus, 0.0)
        others = [entry for entry in entries if not is_own(entry.path)]
        users = [entry for entry in others if is_users(entry.path)]
        self.place = (users or others)[0].place if others else None
        self.lines = tuple(_lines(others))

    def seconds(self) -> float:
        """Return how long it held its loop, now that it is over."""
        # A wait for a processor that Linux had not reported when the step was last seen.
        self._waited += self._newly_reported().waited
        slept = self._passed - self._ran - self._waited - self._left_out
        return max(self._ran + min(slept, max(slept - self._waited_by_others, 0.0)), 0.0)

    def _newly_reported(self) -> Times:
        before, self._times = self._times, self._processor_times.of(self._thread)
        # There are no times of a thread that has ended.
        return Times(
            max(self._times.ran - before.ran, 0.0), max(self._times.waited - before.waited, 0.0)
        )


# How long a thread may run between two looks, in seconds, and count as having been asleep.
_AT_REST = 0.0001


def _is_exempt(entries: Sequence[Entry], stack: Stack) -> bool:
    """Whether the step is in a call that is slow no matter what the user's code does."""
    if any(is_debugger(entry.module) for entry in entries) or _is_own_step(entries):
        return True
    is_in_tool = False
    for index, (path, _, function, module) in enumerate(entries):
        if (
            path.startswith(_IMPORTS)
            or (module, function) in _EXEMPT
            or module in _EXEMPT_MODULES
            or ((module, function) == _END_OF_POOL and not _has_work(stack, index))
            # The user's code called the tool; the task that runs a fixture calls the user's code.
            or (is_in_tool and is_users(path))
        ):
            return True
        is_in_tool = is_in_tool or module.partition(".")[0] in _TOOLS
    return False


def _is_own_step(entries: Sequence[Entry]) -> bool:
    """Whether the step is a callback of aldente's that runs none of the user's code.

    Such as one that finds out what the tasks of a deadlock wait for.
    """
    called = None
    for entry in entries:
        if (entry.module, entry.function) in _RUN_CALLBACKS:
            break
        if is_users(entry.path):
            return False
        called = entry
    return called is not None and is_own(called.path)


def _has_work(stack: Stack, index: int) -> bool:
    """Whether a process pool, whose method a frame runs, has work left."""
    return stack.has_in(index, "self", _python_compat.WORK_OF_POOL)


def _lines(entries: Sequence[Entry]) -> Iterator[str]:
    """The user's frames in a step, from the innermost outwards, if there are several.

    Args:
        entries: all frames except aldente's; the innermost is always shown.
    """
    shown = [entry for entry in entries if is_users(entry.path) or entry is entries[0]]
    if len(shown) > 1:
        for entry in shown[:_FRAMES]:
            yield f"in {entry.function} at {entry.place}"


class Times(NamedTuple):
    """How long a thread has run, and waited for a processor, in seconds; 0 if unknown."""

    ran: float
    waited: float


class ProcessorTimes:
    """Reads the times of threads; on other systems than Linux they are unknown.

    From `open` to `close`, the files of the main thread and of the thread that called `open` stay
    open. Code under test may list the open descriptors of the process at any moment, to compare
    them with those of another: a file that aldente opens just then, on a thread of its own, would
    look like a leak of that code. Loops on other threads are rare; their files are open for the
    moment of reading.
    """

    def __init__(self) -> None:
        self._files: dict[int, _KeptFile] = {}

    def open(self) -> None:
        """Open the files of the main thread and of this thread."""
        self.close()
        main_thread = threading.main_thread()
        threads = {
            main_thread.ident: main_thread.native_id,
            threading.get_ident(): threading.get_native_id(),
        }
        self._files = {
            thread: _KeptFile(_path(native_id))
            for thread, native_id in threads.items()
            if thread is not None
        }

    def close(self) -> None:
        """Close the files."""
        files, self._files = self._files, {}
        for file in files.values():
            file.close()

    def of(self, thread: int) -> Times:
        """Return the times of a thread.

        Args:
            thread: its identifier, as `threading.get_ident` gives it.
        """
        known = _python_compat.thread_with(thread)
        return self._read(thread, known.native_id if known is not None else None)

    def of_this_thread(self) -> Times:
        """Return the times of the thread that calls this."""
        return self._read(threading.get_ident(), threading.get_native_id())

    def _read(self, thread: int, native_id: int | None) -> Times:
        file = self._files.get(thread)
        try:
            content = file.content() if file is not None else None
            if content is None:
                with open(_path(native_id), "rb") as opened:
                    content = opened.read()
            ran, waited, _ = content.split()
            return Times(int(ran) / 1e9, int(waited) / 1e9)
        except (OSError, ValueError):
            return Times(0.0, 0.0)


class _KeptFile:
    """A file of the system that stays open; its content is read again each time.

    Args:
        path: the file; that it can't be opened counts as closed.
    """

    # The originals: tests replace these functions for their own code.
    if sys.platform != "win32":
        _read = staticmethod(os.pread)
    _close = staticmethod(os.close)
    _status = staticmethod(os.fstat)

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_RDONLY)
            self._identity = self._identity_of(self._descriptor)

    def content(self) -> bytes | None:
        """Return what is in it now; None if it is closed."""
        descriptor = self._open_descriptor()
        # Windows has neither such files nor such reads.
        if descriptor is None or sys.platform == "win32":
            return None
        return self._read(descriptor, 100, 0)

    def close(self) -> None:
        """Close it."""
        descriptor, self._descriptor = self._open_descriptor(), None
        if descriptor is not None:
            self._close(descriptor)

    def _open_descriptor(self) -> int | None:
        """The descriptor; None once other code has closed it, as code that closes all does."""
        if self._descriptor is not None:
            try:
                # The next file to be opened gets the number.
                if self._identity_of(self._descriptor) != self._identity:
                    self._descriptor = None
            except OSError:
                self._descriptor = None
        return self._descriptor

    def _identity_of(self, descriptor: int) -> tuple[int, int]:
        status = self._status(descriptor)
        return status.st_dev, status.st_ino


def _path(native_id: int | None) -> str:
    # There is no thread 0.
    return f"/proc/self/task/{native_id or 0}/schedstat"


def install(observation: Observation) -> None:
    """Have the watchdog look for slow steps."""
    watch = StepWatch(
        observation.report,
        observation.settings.slow_step,
        lambda: observation.is_allowed(RULE.name),
    )
    observation.watchers.append(watch)

    @containing("looking for slow steps", None)
    def conclude(run: LoopRun) -> None:
        watch.on_run_end(run)

    observation.at_run_end.append(conclude)
