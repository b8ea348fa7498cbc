"""The rule ``slow-step``: what counts of a step, by looks at made-up moments."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import multiprocessing
import ssl
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import pytest

from aldente._records import Finding, SourcePlace
from aldente._rules import slow_step
from aldente._rules.slow_step import ProcessorTimes, Times
from aldente._rules.watchdog import Look
from aldente._runner.runner import LoopRunner
from tests.unit.looks import MadeUpLoop, MadeUpRun, frame_of, in_step, look

# What is called inside the step: takes a look after so many seconds.
LookAfter = Callable[[float], None]


def _watched(step: Callable[[LookAfter], None]) -> list[Finding]:
    """What is found while a function is called in one step of a loop."""
    found: list[Finding] = []
    watch = slow_step.StepWatch(found.append, 0.1, lambda: False)
    runner = LoopRunner()
    now = 0.0

    def look_after(seconds: float) -> None:
        nonlocal now
        now += seconds
        frames = {threading.get_ident(): sys._getframe(1)}
        watch.look(Look(runner.loop, runner, frames.copy, now, lambda: now))

    async def take_step() -> None:
        step(look_after)
        # It may have added a callback.
        await asyncio.sleep(0)

    runner.run(take_step(), context=contextvars.copy_context(), name="test")
    watch.on_run_end(runner)
    runner.close()
    return found


def test_a_step_that_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is seen again and again for longer than the limit is told with its length."""
    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, 0.0))

    def step(look_after: LookAfter) -> None:
        for _ in range(7):
            look_after(0.02)

    (finding,) = _watched(step)
    assert "0.12 s" in finding.what


@pytest.mark.parametrize("exempt", ["import", "ssl", "thread", "tool"])
def test_what_has_no_other_way_does_not_count(
    exempt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports, reading certificates, starting a thread and test tools are no part of a slow step."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_to_import.py").write_text("import asyncio\nasyncio.look_repeatedly()\n")

    def step(look_after: LookAfter) -> None:
        def look_repeatedly(*arguments: object, **named: object) -> None:
            for _ in range(7):
                look_after(0.02)

        monkeypatch.setattr(asyncio, "look_repeatedly", look_repeatedly, raising=False)
        monkeypatch.setattr(ssl, "SSLContext", look_repeatedly)
        look_after(0.02)
        if exempt == "import":
            importlib.import_module("slow_to_import")
            del sys.modules["slow_to_import"]
        elif exempt == "ssl":
            with pytest.raises(AttributeError):
                ssl.create_default_context()
        elif exempt == "tool":
            hypothesis = {"__name__": "hypothesis.core"}
            eval("lambda draw: draw()", hypothesis)(look_repeatedly)
        else:
            thread = threading.Thread(target=int)
            started = thread._started  # type: ignore[attr-defined]
            monkeypatch.setattr(started, "wait", look_repeatedly)
            thread.start()
            while not started.is_set():
                pass
        look_after(0.02)

    assert _watched(step) == []


@pytest.mark.parametrize(("package", "findings"), [(slow_step, 0), (asyncio, 1)])
def test_a_callback_of_aldente_does_not_count(
    package: ModuleType, findings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What aldente itself does on the loop is no step of the test; a library's callback is one."""
    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, 0.0))
    file = Path(package.__file__ or "").with_name("callback.py")
    code = compile("for _ in range(7): look_after(0.02)", str(file), "exec")

    def step(look_after: LookAfter) -> None:
        names = {"look_after": look_after, "__name__": package.__name__}
        asyncio.get_running_loop().call_soon(exec, code, names)

    assert len(_watched(step)) == findings


def test_waiting_for_a_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which the system let the thread wait, as other programs were busy, is left out."""
    starved = 0.0

    def step(look_after: LookAfter) -> None:
        nonlocal starved
        for _ in range(10):
            starved += 0.015
            look_after(0.02)

    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, starved))
    assert _watched(step) == []


@pytest.mark.parametrize("told", ["at once", "late"])
def test_waits_are_summed(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that mostly waits for a processor counts as long as it has run, whatever a look sees."""
    starved = 0.0

    def step(look_after: LookAfter) -> None:
        nonlocal starved
        look_after(0.02)
        # It has run for 0.06 of 4 s. Of a wait the system tells when it is over, maybe after a look.
        for _ in range(20):
            waits = 0.197
            if told == "at once":
                starved += waits
            look_after(0.2)
            if told == "late":
                starved += waits
        look_after(0.02)

    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, starved))
    assert _watched(step) == []


def test_a_slow_step_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that has run for longer than the limit counts so, though it has waited longer."""
    starved = 0.0

    def step(look_after: LookAfter) -> None:
        nonlocal starved
        for _ in range(21):
            look_after(0.2)
            starved += 0.18

    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, starved))
    (finding,) = _watched(step)
    # It has waited for 0.18 s at the end too, of which it is told later.
    assert "0.22 s" in finding.what


@pytest.mark.parametrize(("ran", "seconds"), [(0.015, "0.12"), (0.0, "0.80")])
def test_waits_for_the_watchdog(ran: float, seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs sleeps until the watchdog has looked, which does not count; a call that blocks does."""
    passed = 0.0

    monkeypatch.setattr(ProcessorTimes, "of", lambda *thread: Times(passed * 10 * ran, 0.0))
    monkeypatch.setattr(ProcessorTimes, "of_this_thread", lambda times: Times(0.0, passed * 0.85))
    run: Any = MadeUpRun("task")
    step = slow_step._SeenStep(run, 1, lambda: 0.0, ProcessorTimes())
    for number in range(1, 9):
        passed = number * 0.1
        step.goes_on([], passed)
    assert f"{step.seconds():.2f}" == seconds


def test_a_process_that_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in which the whole process stood still does not count, as no look was taken in it."""
    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, 0.0))

    def step(look_after: LookAfter) -> None:
        look_after(0.02)
        look_after(50.0)
        look_after(0.02)

    (finding,) = _watched(step)
    assert "0.12 s" in finding.what


def test_a_wait_of_the_watchdog_itself() -> None:
    """The time of a step begins once it is known how long its thread has waited before."""
    times = iter([100.0, 200.0])
    run: Any = MadeUpRun("task")
    step = slow_step._SeenStep(run, 1, lambda: next(times), ProcessorTimes())
    step.goes_on([], 100.05)
    assert step.seconds() <= 0.05


@pytest.mark.parametrize("is_ours_alone", [False, True])
def test_a_place_is_never_ours(
    watch: slow_step.StepWatch, found: list[Finding], is_ours_alone: bool
) -> None:
    """A step of a library's is told with the library's line, not with ours that it has called."""
    frames: list[FrameType] = []
    namespace: dict[str, Any] = {"__name__": "library", "frames": frames, "sys": sys}
    ours = "def ours():\n    frames.append(sys._getframe())\n"
    exec(compile(ours, slow_step.__file__, "exec"), namespace)
    exec(compile("def work():\n    ours()\n", pytest.__file__, "exec"), namespace)
    loop: Any = MadeUpLoop()
    asyncio.Handle(namespace["ours" if is_ours_alone else "work"], (), loop)._run()
    run: Any = MadeUpRun("task")
    _look_often(watch, run, frames[0])
    watch.on_run_end(run)
    places = [finding.place for finding in found]
    assert places == ([] if is_ours_alone else [SourcePlace(pytest.__file__, 2)])


def _look_often(watch: slow_step.StepWatch, run: Any, frame: FrameType, start: float = 0.0) -> None:
    """Look at a step for longer than it may take."""
    for number in range(8):
        watch.look(look(run, frame, start + number * 0.02))


@pytest.fixture
def found() -> list[Finding]:
    """What is found."""
    return []


@pytest.fixture
def watch(found: list[Finding], monkeypatch: pytest.MonkeyPatch) -> slow_step.StepWatch:
    """A watch with a limit of 0.1 s."""
    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, 0.0))
    return slow_step.StepWatch(found.append, 0.1, lambda: False)


def test_a_run_on_another_thread(watch: slow_step.StepWatch, found: list[Finding]) -> None:
    """A step is timed on, and told by its own run, while another thread's loop is looked at too."""
    run, other = MadeUpRun("task"), MadeUpRun("other task")
    step, short = in_step(lambda: frame_of("compute")), in_step(lambda: frame_of("other"))
    for number in range(8):
        watch.look(look(run, step, number * 0.02))
        watch.look(look(other, short, number * 0.02))
        watch.on_run_end(other)  # type: ignore[arg-type]
    assert found == []
    watch.on_run_end(run)  # type: ignore[arg-type]
    assert [finding.what for finding in found] == [
        "a step held the event loop for 0.14 s or longer."
    ]


def test_two_steps_at_one_place_in_memory(watch: slow_step.StepWatch, found: list[Finding]) -> None:
    """A late second look counts little: the frame may be that of another step by then."""
    run, step = MadeUpRun("task"), in_step(lambda: frame_of("compute"))
    watch.look(look(run, step, 0.0))
    watch.look(look(run, step, 0.5))
    watch.on_run_end(run)  # type: ignore[arg-type]
    assert found == []


def test_a_run_that_has_ended_unseen(watch: slow_step.StepWatch, found: list[Finding]) -> None:
    """What was seen of a run as it ended neither hides the steps of the next nor counts for them."""
    run, step = MadeUpRun("task"), in_step(lambda: frame_of("compute"))
    _look_often(watch, run, step)
    run.main_task = None
    following = MadeUpRun("next task")
    watch.look(look(following, step, 0.2))
    watch.on_run_end(following)  # type: ignore[arg-type]
    assert found == []
    _look_often(watch, following, step, start=0.3)
    watch.on_run_end(following)  # type: ignore[arg-type]
    assert len(found) == 1


def test_the_end_of_a_run_during_a_look(
    found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run waits for the look that goes on, so that nothing of the run is seen later."""
    monkeypatch.setattr(ProcessorTimes, "_read", lambda *thread: Times(0.0, 0.0))
    is_looking, is_ending = threading.Event(), threading.Event()
    order = []

    def is_allowed() -> bool:
        is_looking.set()
        # Nobody can tell when the other thread waits for this one; it has the time to go on.
        is_ending.wait(10)
        is_ending.clear()
        is_ending.wait(0.05)
        order.append("look")
        return False

    watch = slow_step.StepWatch(found.append, 0.1, is_allowed)
    run: Any = MadeUpRun("task")
    seen = look(run, in_step(lambda: frame_of("compute")), 0.0)
    watchdog = threading.Thread(target=watch.look, args=[seen])
    watchdog.start()
    assert is_looking.wait(10)
    is_ending.set()
    watch.on_run_end(run)
    order.append("end")
    watchdog.join()
    assert order == ["look", "end"]


def test_what_a_step_has_called_is_let_go(watch: slow_step.StepWatch) -> None:
    """A step that has been seen once keeps nothing alive after its end, such as its callback."""

    class Protocol:
        def callback(self) -> None:
            watch.look(look(MadeUpRun("task"), sys._getframe(), 0.0))

    protocol, loop = Protocol(), asyncio.new_event_loop()
    kept = weakref.ref(protocol)
    asyncio.Handle(protocol.callback, (), loop)._run()
    loop.close()
    del protocol
    assert kept() is None


DEBUGGERS = ["pdb", "bdb", "pudb.debugger", "debugpy._vendored", "_pydevd_bundle.pydevd_frame"]


@pytest.mark.parametrize("module", DEBUGGERS)
def test_a_debugger_in_the_step(
    watch: slow_step.StepWatch, found: list[Finding], module: str
) -> None:
    """A step in which a debugger stands still, whatever that calls, is not slow."""
    run: Any = MadeUpRun("task")
    _look_often(watch, run, in_step(lambda: frame_of("interaction", module=module)))
    watch.on_run_end(run)
    assert found == []


@pytest.mark.parametrize(
    ("function", "path", "module"),
    [
        ("set_trace", "/project/test_it.py", "test_it"),
        ("interaction", "/project/pydevd_tools/test_it.py", "pydevd_tools.test_it"),
        ("compute", "/project/test_pdb.py", "test_pdb"),
        ("compute", "/home/ann/debugpy/tests/test_it.py", "tests.test_it"),
    ],
)
def test_what_is_named_like_a_debugger(
    watch: slow_step.StepWatch, found: list[Finding], function: str, path: str, module: str
) -> None:
    """Functions, files and folders of the user's that are called as a debugger's are not one."""
    run: Any = MadeUpRun("task")
    _look_often(watch, run, in_step(lambda: frame_of(function, path=path, module=module)))
    watch.on_run_end(run)
    assert len(found) == 1


def test_a_debugger_around_the_run(watch: slow_step.StepWatch, found: list[Finding]) -> None:
    """A step is slow in a run that a debugger has started, as long as that doesn't stop it there."""
    run: Any = MadeUpRun("task")
    debugger = eval("lambda program: program()", {"__name__": "pdb"})
    _look_often(watch, run, debugger(lambda: in_step(lambda: frame_of("compute"))))
    watch.on_run_end(run)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("function", "module"),
    [
        ("start", "multiprocessing.process"),
        ("connect_to_new_process", "multiprocessing.forkserver"),
        ("ensure_running", "multiprocessing.resource_tracker"),
    ],
)
def test_processes_that_start(
    watch: slow_step.StepWatch, found: list[Finding], function: str, module: str
) -> None:
    """Starting a process, and what multiprocessing needs for that, is no slow step."""
    run: Any = MadeUpRun("task")
    start = in_step(lambda: frame_of(function, path=multiprocessing.__file__, module=module))
    _look_often(watch, run, start)
    watch.on_run_end(run)
    assert found == []


@pytest.mark.parametrize("work", [{}, {1: "item"}, None])
def test_a_pool_of_processes_that_ends(
    watch: slow_step.StepWatch, found: list[Finding], work: dict[int, str] | None
) -> None:
    """It is a slow step to wait for the work of a pool, but not for its processes to end."""
    namespace = {"__name__": "concurrent.futures.process", "sys": sys}
    exec("def shutdown(self):\n    return sys._getframe()\n", namespace)
    pool = SimpleNamespace(_pending_work_items=work)
    run: Any = MadeUpRun("task")
    _look_often(watch, run, in_step(lambda: namespace["shutdown"](pool)))  # type: ignore[operator]
    watch.on_run_end(run)
    assert len(found) == (1 if work else 0)
