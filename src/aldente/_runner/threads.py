"""Other threads: which of them may call into a loop, and which only wait for another thread."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dis
import functools
import inspect
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Collection, Mapping
from contextvars import Context
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, NamedTuple, TypeGuard

from aldente import _python_compat
from aldente._stacks import frames_of_threads, variables_of, with_callers


def can_only_wait(frame: FrameType | None) -> bool:
    """Whether a thread waits, without a time-out, for another thread."""
    return awaited_by(frame) is not None


def awaited_by(frame: FrameType | None) -> object:
    """What a thread waits for without a time-out, or its frame if that is not shown; else None."""
    if frame is None:
        return None
    code, variables = frame.f_code, variables_of(frame)
    if is_worker(frame):
        # It has no job.
        return next((each for each in variables.values() if type(each) is _QUEUE), frame)
    if code.co_filename == threading.__file__:
        if code.co_name == "wait":
            return variables.get("self", frame) if variables.get("timeout", 0) is None else None
        if code.co_name in ("join", "_wait_for_tstate_lock"):
            return (
                variables.get("self", frame) if variables.get("timeout", 0) in (None, -1) else None
            )
    call = _python_compat.call_of_thread(code, variables)
    return _awaited_in_c(frame, variables) if call is None else _awaited_in_call(*call)


def polls_for_work(frame: FrameType | None) -> bool:
    """Whether a thread is in ``get()`` of an empty `queue.Queue`, with a time-out."""
    if not waits_for_condition(frame) or variables_of(frame).get("timeout") is None:
        return False
    # There may be frames between: rules wrap functions that block.
    for caller in with_callers(frame)[1:5]:
        if (caller.f_code.co_name, caller.f_code.co_filename) == ("get", queue.__file__):
            items = attribute_of(variables_of(caller).get("self"), "queue")
            return isinstance(items, (collections.deque, list)) and not items
    return False


def waits_for_condition(frame: FrameType | None) -> TypeGuard[FrameType]:
    """Whether a thread is in ``wait()`` of a condition or an event."""
    code = None if frame is None else frame.f_code
    return code is not None and (code.co_name, code.co_filename) == ("wait", threading.__file__)


def is_worker(frame: FrameType) -> bool:
    """Whether a frame is the worker function of an executor's thread."""
    return _python_compat.is_worker(frame.f_code)


def does_job(frame: FrameType) -> bool:
    """Whether a thread does a job of an executor."""
    return any(map(is_worker, with_callers(frame)[1:]))


# What waits in C, and so has no frame: by type, the method that waits, and the attribute that shows
# whether it has to.
_LOCK, _QUEUE = type(threading.Lock()), queue.SimpleQueue
_WAITING: dict[tuple[type, str], Callable[[Any], bool]] = {
    (_QUEUE, "get"): _QUEUE.empty,
    (_LOCK, "acquire"): _LOCK.locked,
    (_LOCK, "__enter__"): _LOCK.locked,
}


def _awaited_in_c(frame: FrameType, variables: Mapping[str, Any]) -> object:
    """What a function waits for in ``SimpleQueue.get()`` or for a lock, without a time-out."""
    call = _call_at(frame.f_code, frame.f_lasti)
    if call is None or call.method not in ("get", "acquire", "__enter__"):
        return None
    thing = variables.get(call.variable, frame.f_globals.get(call.variable))
    for name in call.attributes:
        thing = attribute_of(thing, name)
    return _with_reason(thing, call.method)


def attribute_of(thing: object, name: str, default: object = None) -> object:
    """An attribute of an object, read without running code of its class; else the default."""
    found = inspect.getattr_static(thing, name, default)
    if isinstance(found, MemberDescriptorType) and not issubclass(type(thing), type):
        # An attribute of a class with slots.
        with contextlib.suppress(AttributeError):
            return found.__get__(thing)
        return default
    return found


class _MethodCall(NamedTuple):
    """A call of a method without arguments.

    Attributes:
        method: the name of the method.
        variable: the name of the variable from which its object is reached.
        attributes: the attributes on the path from there to the object.
    """

    method: str
    variable: str
    attributes: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def _call_at(code: CodeType, offset: int) -> _MethodCall | None:
    """The method call at an instruction; None for anything else."""
    before: list[dis.Instruction] = []
    for instruction in dis.get_instructions(code):
        if instruction.offset >= offset:
            break
        if instruction.opname not in _NO_CALLS:
            before.append(instruction)
    else:
        return None
    if instruction.offset != offset:
        return None
    if instruction.opname == "BEFORE_WITH":
        return _called("__enter__", before)
    if instruction.opname != "CALL" or instruction.arg != 0 or not before:
        return None
    last = before.pop()
    if last.opname == "LOAD_SPECIAL":
        # __exit__ is loaded first, from a copy.
        return _called("__enter__", before[:-2])
    if last.opname in ("LOAD_ATTR", "LOAD_METHOD") and not last.is_jump_target:
        return _called(last.argval, before)
    return None


def _called(method: str, before: list[dis.Instruction]) -> _MethodCall | None:
    """The call of a method on the object that the last of some instructions load."""
    attributes: list[str] = []
    for instruction in reversed(before):
        if instruction.opname == "LOAD_ATTR" and not instruction.is_jump_target:
            attributes.insert(0, instruction.argval)
        elif instruction.opname.startswith(_LOADS):
            # An instruction that loads two variables; the last one counts.
            names = instruction.argval
            variable = names[-1] if isinstance(names, tuple) else names
            return _MethodCall(method, variable, tuple(attributes))
        else:
            break
    return None


# Instructions between a method and its call.
_NO_CALLS = frozenset({"PRECALL", "CACHE", "PUSH_NULL", "SWAP", "NOP", "EXTENDED_ARG"})
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")


def _awaited_in_call(function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> object:
    """What the function of a thread, or of an executor's job, waits for if it is such a method."""
    while True:
        if isinstance(function, functools.partial):
            args, keywords = (*function.args, *args), {**function.keywords, **keywords}
            function = function.func
        elif args and isinstance(getattr(function, "__self__", None), Context):
            # As asyncio.to_thread() calls it.
            function, *others = args
            args = tuple(others)
        else:
            break
    if args or keywords:
        # Arguments may include a time-out.
        return None
    return _with_reason(getattr(function, "__self__", None), getattr(function, "__name__", ""))


def _with_reason(thing: object, method: str) -> object:
    """The object if its method has to wait now, else None."""
    is_waiting = _WAITING.get((type(thing), method))
    return thing if is_waiting is not None and is_waiting(thing) else None


# Linux's information about threads.


def waits_for_a_lock(thread: threading.Thread) -> bool | None:
    """Whether only another thread can wake a thread, which waits without a time-out; None where
    the system does not show it."""
    return is_in_futex(thread) if FUTEX and system_call(thread) else None


def only_wait(identifier: int, frame: FrameType) -> bool:
    """Whether a thread can only wait, and has not just been woken, as far as is known.

    A woken thread has the same frame until it runs.
    """
    if not can_only_wait(frame):
        return False
    thread = _python_compat.thread_with(identifier)
    return thread is None or waits_for_a_lock(thread) is not False


def is_in_futex(thread: threading.Thread) -> bool:
    """Whether a thread waits, without a time-out, for another to release a lock, on Linux.

    C code waits for the next job like this too, as in `queue.SimpleQueue`.
    """
    return is_futex(system_call(thread))


def is_futex(call: list[str]) -> bool:
    """Whether a system call waits, without a time-out, for another thread to release a lock."""
    if not FUTEX or call[:1] != [FUTEX]:
        return False
    _, operation, value, time_out = (int(argument, 16) for argument in call[1:5])
    # The C library's own locks, such as the one around the GIL, are held only for a moment:
    # a woken thread that waits for such a lock continues by itself.
    is_for_a_moment = operation & _OPERATION == _WAIT and value == _CONTENDED
    return time_out == 0 and not is_for_a_moment


def system_call(thread: threading.Thread) -> list[str]:
    """The number and arguments of a thread's system call; ``running``, or nothing."""
    if sys.platform != "linux":
        return []
    try:
        # A woken thread may still have to reach a processor, for milliseconds on a virtual machine.
        # Linux shows its system call as before, but its state as running. The state comes first:
        # the other way round, the thread could go to sleep elsewhere in between.
        state = _file_of(thread, "stat").rpartition(")")[2].split()[0]
        # One that waits for a disk goes on by itself, and soon.
        return ["running"] if state in "RD" else _file_of(thread, "syscall").split()
    except OSError:
        return []


def _file_of(thread: threading.Thread, name: str) -> str:
    """The text of a file that Linux has for a thread."""
    # Not by open(), which takes five times as long: the loop looks at all threads, and often.
    file = _open(f"/proc/self/task/{thread.native_id}/{name}", os.O_RDONLY)
    try:
        return _read(file, _LONGEST).decode("ascii", "replace")
    finally:
        _close(file)


# As they are before anything replaces them in a run.
_open, _read, _close = os.open, os.read, os.close
# More than any of these files has, in bytes.
_LONGEST = 65_536


# The numbers of the futex system call, and of that of ``time.sleep()``, by machine.
_NUMBERS = {
    "x86_64": ("202", "230"),
    "aarch64": ("98", "115"),
    "riscv64": ("98", "115"),
    "ppc64le": ("221", "248"),
    "s390x": ("238", "262"),
}
# How glibc waits for its own locks (``lll_lock_wait``): the operation without its flags, and the
# value of a contended lock. It waits for semaphores with another operation.
_OPERATION, _WAIT, _CONTENDED = 0x7F, 0, 2

FUTEX, _NAP = _NUMBERS.get(os.uname().machine if sys.platform == "linux" else "", ("", ""))
NAPS = [[_NAP]] if _NAP else []


class _State(NamedTuple):
    """The state of a thread, from Linux.

    Attributes:
        is_running: whether it runs, or could.
        switches: how often it has gone to sleep.
        seconds: how long it has run, or waited for a processor.
    """

    is_running: bool
    switches: int
    seconds: float


class Threads:
    """The threads of the process except the loop's own and aldente's.

    Args:
        loop: the loop.
        bystanders: identifiers of threads that are known to wake no loop.
        old: the threads from before the loop; None for those that exist now.
        idle: threads that waited for work when the loop was made. They may do so with a time-out.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bystanders: Collection[int],
        old: Collection[threading.Thread] | None = None,
        idle: Collection[threading.Thread] = (),
    ) -> None:
        self._loop = loop
        self._bystanders = bystanders
        self._old = weakref.WeakSet(threading.enumerate() if old is None else old)
        self._idle = weakref.WeakSet(idle)
        # The states at the end of the last silence, and at the beginning of this one.
        self._silent: dict[int, _State] = {}
        self._before: dict[int, _State] = {}

    def is_alone(self) -> bool:
        """Whether there is no other thread except bystanders."""
        return threading.active_count() == 1 or not self.others()

    def are_at_work(self) -> bool:
        """Whether a thread runs a job for the loop, like anyio's threads."""
        return any(
            getattr(thread, "loop", None) is self._loop and not _is_idle(thread, frames)
            for thread, frames in self._others()
        )

    def waiting_in_jobs(self) -> int:
        """How many threads of executors run a job that can only wait for another thread."""
        return sum(
            (frame := frames.get(thread.ident or 0)) is not None
            and not is_worker(frame)
            and can_only_wait(frame)
            and is_in_futex(thread)
            and does_job(frame)
            for thread, frames in self._others()
        )

    def may_call_in(self) -> bool:
        """Whether there are threads that are not known to sleep."""
        return any(
            not _is_idle(thread, frames)
            and not self._polls(thread, frames)
            and not self._has_slept(thread)
            for thread, frames in self._others()
        )

    def may_ever_call_in(self) -> bool:
        """Whether a thread does anything else than wait for another thread.

        It may sleep in the middle of a job, for longer than any silence.
        """
        return not all(
            _only_waits(thread, frames) or self._polls(thread, frames)
            for thread, frames in self._others()
        )

    def are_several(self) -> bool:
        """Whether there is more than one."""
        return threading.active_count() > 2 and len(self.others()) > 1

    def are_on_processors(self) -> bool:
        """Whether one runs now or is about to, as far as the system shows it."""
        return any(system_call(thread) == ["running"] for thread in self.others())

    def note_before(self) -> None:
        """Record the threads' states before the loop listens."""
        self._before = self._states()

    def are_running(self, seconds: float) -> bool:
        """Whether a thread is running, or was for most of the time of listening.

        A thread that computes waits for the GIL while this thread looks.

        Args:
            seconds: how long the loop listened.
        """
        return any(
            state.is_running
            or (
                number in self._before
                and state.seconds - self._before[number].seconds > seconds / 3
            )
            for number, state in self._states().items()
        )

    def are_napping(self) -> bool:
        """Whether a thread that is younger than the loop is in ``time.sleep()``, on Linux.

        It will continue by itself, like one that simulates something slow.
        """
        return any(
            thread not in self._old and system_call(thread)[:1] in NAPS
            for thread, _ in self._others()
        )

    def note_silence(self) -> None:
        """Record a silence: threads that sleep now have slept all the time."""
        self._silent = self._states()

    def _has_slept(self, thread: threading.Thread) -> bool:
        """Whether a thread has slept ever since the last silence.

        Another thread that gave it work would have woken it: it would be running, or asleep again.
        """
        state = _state_of(thread)
        return (
            state is not None
            and not state.is_running
            and self._silent.get(thread.native_id or 0) == state
        )

    def _polls(self, thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
        """Whether an older thread waits for work with a time-out, and has not just been woken."""
        frame = frames.get(thread.ident or 0)
        if thread not in self._idle or not polls_for_work(frame):
            return False
        call = system_call(thread)
        # It may have got work while this thread looked.
        return call[:1] in ([], [FUTEX]) and frames_of_threads().get(thread.ident or 0) is frame

    def _states(self) -> dict[int, _State]:
        return {
            thread.native_id: state
            for thread in self.others()
            if thread.native_id is not None and (state := _state_of(thread)) is not None
        }

    def others(self) -> list[threading.Thread]:
        """The threads."""
        return [thread for thread, _ in self._others()]

    def _others(self) -> list[tuple[threading.Thread, dict[int, FrameType]]]:
        here = threading.get_ident()
        others = [
            thread
            for thread in threading.enumerate()
            if thread.ident != here
            and thread.ident not in _python_compat.hidden_threads
            and thread.ident not in self._bystanders
        ]
        if not others:
            return []
        frames = frames_of_threads()
        return [(thread, frames) for thread in others if not _has_ended(thread, frames)]


def _has_ended(thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
    """Whether a thread that `threading` lists has surely ended; only Linux shows it.

    `threading` notes a thread that other code starts, such as a library in C, when it first runs
    Python code. Before CPython 3.13 it lists the thread for ever, and takes the next one with the
    same identifier for it.
    """
    if sys.platform != "linux" or thread.native_id is None or thread is threading.main_thread():
        # After a fork the main thread may still have the number of the parent's.
        return False
    # What takes longest comes last.
    return (
        thread.ident not in frames
        and not _is_listed(thread.native_id)
        and _is_listed(threading.get_native_id())
    )


def _is_listed(native_id: int) -> bool:
    """Whether Linux has a thread in this process; False where it does not show its threads."""
    return os.path.exists(f"/proc/self/task/{native_id}")


def _is_idle(thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
    """Whether a thread waits for another one, and has not just been woken.

    A woken thread has the same frame until it runs.
    """
    if not can_only_wait(frames.get(thread.ident or 0)):
        return False
    call = system_call(thread)
    return not call or not FUTEX or is_futex(call)


def _only_waits(thread: threading.Thread, frames: Mapping[int, FrameType]) -> bool:
    """Whether a thread is idle, or waits for a lock in code that is not Python's."""
    call = system_call(thread)
    if is_futex(call):
        return True
    return (not call or not FUTEX) and can_only_wait(frames.get(thread.ident or 0))


def _state_of(thread: threading.Thread) -> _State | None:
    """The state of a thread; None where the system does not show it."""
    try:
        lines = dict(line.split(":", 1) for line in _file_of(thread, "status").splitlines())
        ran, waited, _ = map(int, _file_of(thread, "schedstat").split())
    except (OSError, ValueError):
        return None
    is_running = lines["State"].strip()[0] in "RD"
    return _State(is_running, int(lines["voluntary_ctxt_switches"]), (ran + waited) / 1e9)
