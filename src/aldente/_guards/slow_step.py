"""A step that held the loop for long, with the stack seen while it did.

No step is timed. The watchdog sees the frame of asyncio's that runs a step; when it sees the same
frame again, the step has gone on in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import FrameType

from aldente import _asyncio_compat, _python_compat
from aldente._guards.alarms import INTERVAL
from aldente._guards.blocking.frames import module_of
from aldente._guards.debuggers import is_in_debugger
from aldente._guards.watchdog import Look
from aldente._loops.runner import LoopRunner
from aldente._places import is_users, place_of, users_frame
from aldente._records import Finding, Rule, SourcePlace

RULE = Rule(
    "slow-step",
    "warn",
    catches="a step that held the event loop for longer than 0.1 s",
    why=(
        "While one step runs, nothing else on the loop does: time-outs fire late, connections "
        "stall, and tests of concurrent code show an order that production never sees."
    ),
    explanation=(
        "Found: a step of the loop, from one 'await' that waits to the next, that takes longer "
        "than aldente_slow_step (0.1 s), be it with computing or with blocking. The stack is that "
        "seen last while it ran.\n\n"
        "Not a finding: a pause in a debugger; imports; what nobody can do in another way: reading "
        "the certificates for an SSL context, starting a thread or a process, be it for a pool, "
        "ending a pool of processes that has nothing left to do; pytest's and Hypothesis's own "
        "work, such as drawing an example; time in which the whole process stood still, and on "
        "Linux also time in which the thread waited for a processor, because the "
        "machine is busy with other things."
    ),
    is_seen_at_once=True,
)

_MEND = (
    "Do the work in a thread (await asyncio.to_thread(...)) or a process, or let others have their "
    "turn with 'await asyncio.sleep(0)' in between."
)

# Python's own import machinery.
_IMPORTS = "<frozen importlib"

# What takes long on a busy machine, and has no other way of doing it.
_EXEMPT = {
    # They read the certificates of all authorities; making a client of httpx comes to it.
    ("ssl", "create_default_context"),
    ("ssl", "load_default_certs"),
    # They wait until the new thread or process runs, for asyncio itself too.
    ("threading", "start"),
    ("subprocess", "_execute_child"),
    # That of multiprocessing imports modules first, or has the server that forks do so.
    ("multiprocessing.process", "start"),
}
# The processes that multiprocessing starts for itself, also with the first lock or queue.
_EXEMPT_MODULES = {"multiprocessing.forkserver", "multiprocessing.resource_tracker"}
# It waits for workers to end that may have just begun, in the "with" that asyncio's documentation
# puts around run_in_executor().
_END_OF_POOL = ("concurrent.futures.process", "shutdown")

# Test tools, which work where the program under test would not: they compare values for the message
# of a failed assertion, or draw an example.
_TOOLS = {"_pytest", "aldente", "hypothesis"}

# How many frames of the user's code are told.
_FRAMES = 6


class Watch:
    """Sees slow steps; a watcher of the watchdog's.

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
        self._candidate: _Step | None = None

    def look(self, look: Look) -> None:
        """See whether the loop is still in the step that it was in before."""
        frame = look.frames.get(look.run.thread)
        step = _step_frame(frame)
        with self._lock:
            candidate = self._candidate
            if candidate is not None and not candidate.is_of(look.run):
                if candidate.run is not look.run and candidate.run.main_task is not None:
                    # Another thread runs that loop.
                    return
                self._candidate = candidate = None
            if step is None or frame is None or self._is_allowed() or _is_exempt(frame):
                self._conclude()
            elif candidate is None or not candidate.is_it(step):
                self._conclude()
                self._candidate = _Step(look.run, step, look.now)
            else:
                candidate.goes_on(step, frame, look.now)

    def on_run_end(self, run: LoopRunner) -> None:
        """Conclude before the phase of the test ends; called on the loop's thread."""
        with self._lock:
            self._conclude_of(run)

    def _conclude_of(self, run: LoopRunner) -> None:
        if self._candidate is not None and self._candidate.run is run:
            self._conclude()

    def _conclude(self) -> None:
        step, self._candidate = self._candidate, None
        if step is None or step.seconds < self._limit or step.place is None:
            return
        self._report(
            Finding(
                RULE.name,
                f"a step held the event loop for {step.seconds:.2f} s or longer.",
                _MEND,
                step.place,
                details=step.stack,
            )
        )


class _Step:
    """A step that has been seen, and how long it has gone on."""

    def __init__(self, run: LoopRunner, frame: FrameType, now: float) -> None:
        self.run = run
        self._runs = run.runs
        # At first only by its number, because whoever holds a frame keeps its variables alive.
        # Most steps are over when it is looked for again.
        self._number = id(frame)
        self._frame: FrameType | None = None
        self._seen = now
        self._schedule = _schedule_of(run.thread)
        self._starved = _starved(self._schedule)
        self.seconds = 0.0
        self.place: SourcePlace | None = None
        self.stack: tuple[str, ...] = ()

    def is_of(self, run: LoopRunner) -> bool:
        """Whether it is one of a runner's present run."""
        return run is self.run and run.runs == self._runs

    def is_it(self, frame: FrameType) -> bool:
        return frame is self._frame if self._frame is not None else id(frame) == self._number

    def goes_on(self, step: FrameType, innermost: FrameType, now: float) -> None:
        # When the whole process stood still, the watchdog did so too. And what is known by its
        # number only may be another step's frame, at the same place in memory.
        most = 5 * INTERVAL if self._frame is not None else 1.5 * INTERVAL
        self._frame = step
        starved = _starved(self._schedule)
        self.seconds += max(min(now - self._seen, most) - (starved - self._starved), 0)
        self._seen = now
        self._starved = starved
        users = users_frame(innermost) or innermost
        self.place = place_of(users)
        self.stack = tuple(_lines(innermost))


def _schedule_of(thread: int) -> str:
    """The file in which Linux tells how long a thread has run, and waited to."""
    native = next((found.native_id for found in threading.enumerate() if found.ident == thread), 0)
    return f"/proc/self/task/{native}/schedstat"


def _starved(schedule: str) -> float:
    """How many seconds a thread was ready to run and had no processor; 0 if that isn't told."""
    try:
        with open(schedule, "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _step_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        frame = frame.f_back
    return frame


def _is_exempt(frame: FrameType | None) -> bool:
    """Whether what goes on takes its time, whatever the user's code does."""
    if is_in_debugger(frame):
        return True
    is_in_tool = False
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        code, module = frame.f_code, module_of(frame)
        if (
            code.co_filename.startswith(_IMPORTS)
            or (module, code.co_name) in _EXEMPT
            or module in _EXEMPT_MODULES
            or ((module, code.co_name) == _END_OF_POOL and _is_idle(frame))
            # The user's code has called the tool; what hosts a fixture calls the user's code.
            or (is_in_tool and is_users(code.co_filename))
        ):
            return True
        is_in_tool = is_in_tool or module.partition(".")[0] in _TOOLS
        frame = frame.f_back
    return False


def _is_idle(frame: FrameType) -> bool:
    """Whether nothing is left to do for the pool of processes of which a frame is a method."""
    return not _python_compat.has_work(frame.f_locals.get("self"))


def _lines(frame: FrameType | None) -> Iterator[str]:
    """The user's frames in a step, from the innermost outwards, if there are several."""
    found = []
    innermost = frame
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        if is_users(frame.f_code.co_filename) or frame is innermost:
            found.append(f"in {frame.f_code.co_qualname} at {place_of(frame)}")
        frame = frame.f_back
    if len(found) > 1:
        yield from found[:_FRAMES]
