"""What is seen of threads, and that nothing of them lives longer for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from aldente._records import Finding, SourcePlace
from aldente._rules import deadlock, slow_step
from aldente._rules.watchdog import Look
from aldente._stacks import Entry, Stack, frames_of_threads
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, in_step


def test_what_a_frame_tells() -> None:
    """Each frame is told with its file, line, function and module, the innermost first."""

    def inner() -> tuple[list[Entry], int]:
        entries, line = Stack(threading.get_ident()).entries(), sys._getframe().f_lineno
        return entries, line

    entries, line = inner()
    own = next(index for index, entry in enumerate(entries) if entry.function == "inner")
    assert entries[own] == Entry(__file__, line, "inner", __name__)
    assert entries[own].place == SourcePlace(__file__, line)
    assert entries[own + 1].function == "test_what_a_frame_tells"


@pytest.mark.parametrize(
    "path",
    [
        '/a, line 3, code x>/it\'s "a".py',
        "<string>",
        "C:\\new\\é.py",
        "/it's/日本/\U0001f35d/\x80\udcff\n\\'.py",
    ],
)
def test_odd_names_of_files(path: str) -> None:
    """A file is told as it is called, whatever its name has in it."""
    frame = frame_of("compute", path=path, module="test_it")
    stack = Stack(1, lambda: {1: frame})
    assert stack.innermost() == Entry(path, 2, "compute", "test_it")


def test_a_thread_that_is_not_there() -> None:
    """Of a thread that has ended nothing is told."""
    stack = Stack(1, dict)
    assert (stack.innermost(), stack.entries(), stack.step()) == (None, [], None)


def test_the_number_of_a_step() -> None:
    """A step keeps its number as long as it goes on, and no other has it."""
    numbers = []

    def step() -> None:
        numbers.append([Stack(threading.get_ident()).step() for _ in range(3)])

    loop = asyncio.new_event_loop()
    assert Stack(threading.get_ident()).step() is None
    for _ in range(3):
        asyncio.Handle(step, (), loop)._run()
    # One handle takes many steps where it is told of a descriptor.
    handle = asyncio.Handle(step, (), loop)
    handle._run()
    handle._run()
    loop.close()
    assert all(len(set(seen)) == 1 and None not in seen for seen in numbers)
    assert len({seen[0] for seen in numbers}) == 5


def test_only_the_step_is_told() -> None:
    """The loop that has called the step, and whoever runs the loop, is no part of it."""
    frame = in_step(lambda: frame_of("compute"))
    stack = Stack(1, lambda: {1: frame})
    functions = [entry.function for entry in stack.entries()]
    assert functions[0] == "compute"
    assert "_run" not in functions
    assert "test_only_the_step_is_told" not in functions


@pytest.mark.parametrize(("value", "expected"), [({1: 2}, True), ({}, False), (None, False)])
def test_what_a_variable_has(value: object, expected: bool) -> None:
    """It is told whether an attribute of a variable is empty, and not what it is."""
    namespace: dict[str, Callable[..., object]] = {}
    exec("import sys\ndef shutdown(self):\n    return sys._getframe()\n", namespace)
    frame = namespace["shutdown"](SimpleNamespace(items=value))
    stack = Stack(1, lambda: {1: frame})  # type: ignore[dict-item]
    assert stack.has_in(0, "self", "items") is expected
    assert not stack.has_in(0, "self", "others")
    assert not stack.has_in(0, "other", "items")
    assert not stack.has_in(100, "self", "items")


class LooksAnyway(deadlock.DeadlockWatch):
    """A watch whose loop goes on just after it was seen to wait."""

    def _is_quiet(self, look: Look) -> bool:
        return True


class Thing:
    """Something to be freed."""


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that lose the GIL all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def _look_at(stack: Stack, run: MadeUpRun, found: list[Finding]) -> None:
    stack.innermost()
    stack.has_in(0, "thing", "attribute")
    watch = slow_step.StepWatch(found.append, 100.0, lambda: False)
    for _ in range(3):
        watch.look(Look(None, run, sys._current_frames, 0.0))  # type: ignore[arg-type]
    seen = Look(MadeUpLoop(), run, sys._current_frames, 0.0)  # type: ignore[arg-type]
    LooksAnyway(lambda run: None).look(seen)


@pytest.mark.usefixtures("eager_threads")
def test_what_a_thread_lets_go_of_while_it_is_looked_at() -> None:
    """A function's variables are freed when it ends, though another thread looks at its frame."""
    has_ended, has_begun = threading.Event(), threading.Event()
    stack, run, found = Stack(threading.get_ident()), MadeUpRun("task"), list[Finding]()

    def keep_looking() -> None:
        has_begun.set()
        while not has_ended.is_set():
            _look_at(stack, run, found)

    def use() -> weakref.ref[Thing]:
        thing = Thing()
        for _ in range(20):
            # This thread may lose the GIL here.
            pass
        return weakref.ref(thing)

    def step() -> int:
        return sum(use()() is not None for _ in range(20_000))

    looking = threading.Thread(target=keep_looking)
    looking.start()
    has_begun.wait()
    kept: list[int] = []
    loop = asyncio.new_event_loop()
    try:
        asyncio.Handle(lambda: kept.append(step()), (), loop)._run()
    finally:
        has_ended.set()
        looking.join()
        loop.close()
    assert kept == [0]


def test_threads_that_are_left_out() -> None:
    """The frames of all threads are there, but of those that are named."""
    here, waiting = threading.get_ident(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        barrier = threading.Barrier(3)
        others = [pool.submit(_say_where, barrier, waiting) for _ in range(2)]
        barrier.wait()
        all_threads = set(frames_of_threads())
        assert here in all_threads
        left_out = [here, next(iter(all_threads - {here})), -1]
        assert set(frames_of_threads(without=left_out)) == all_threads - set(left_out)
        waiting.set()
    assert {other.result() for other in others} <= all_threads


def _say_where(barrier: threading.Barrier, waiting: threading.Event) -> int:
    barrier.wait()
    waiting.wait()
    return threading.get_ident()


def test_the_codec_of_names_is_imported_before_they_are_read() -> None:
    """Else the watching thread would open its file in the middle of a test."""
    script = (
        "import sys; from aldente import _stacks\n"
        "sys.modules.pop('encodings.unicode_escape', None)\n"
        "_stacks.import_codecs(); print('encodings.unicode_escape' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "True\n"
