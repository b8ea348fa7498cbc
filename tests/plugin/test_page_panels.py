"""What the still pictures of ``--aldente-html`` show of a failure, and what is kept for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aldente._doubles import state as doubles
from aldente._plugin.page import failures
from aldente._plugin.page.failures import panels_of
from aldente._report.failures import Panel
from tests.plugin.conftest import RunProject

IMPORTS = """
import asyncio
import aldente
import pytest
"""

Panels = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def shown(run_project: RunProject, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a test module, and returns what the pictures of each failed test show, by their kind."""

    def run(test_it: str, *arguments: str, ini: str = "") -> dict[str, Panels]:
        found: dict[str, list[Panel]] = {}

        def note(item: pytest.Item, error: BaseException) -> list[Panel]:
            panels = panels_of(item, error)
            found.setdefault(item.name, []).extend(panels)
            return panels

        monkeypatch.setattr(failures, "panels_of", note)
        run_project("--aldente-html=page.html", *arguments, test_it=IMPORTS + test_it, ini=ini)
        for panels in found.values():
            # Each kind once.
            assert len({panel["kind"] for panel in panels}) == len(panels)
        return {
            name: {panel["kind"]: panel["data"] for panel in panels}
            for name, panels in found.items()
        }

    return run


LOCKS = """
async def cross(first, second):
    async with first:
        await asyncio.sleep(0)
        async with second:
            pass

async def cross_both():
    one, two = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(cross(one, two), name="Ann")
        group.create_task(cross(two, one), name="Bob")

@aldente.virtual_time
async def test_ordinary():
    await cross_both()

@aldente.explore(runs=10)
async def test_explored():
    await cross_both()
"""


def test_a_deadlock(shown: Any) -> None:
    """The await graph of a deadlock is shown, of an ordinary test and of an explored one."""
    found = shown(LOCKS)
    for name in ("test_ordinary", "test_explored"):
        waits = found[name]["waits"]
        cycle = [node["name"] for node in waits["nodes"] if node["is_cycle"]]
        assert cycle == ["'Ann'", "'Bob'"]
        assert [node["name"] for node in waits["nodes"] if not node["is_cycle"]] == [f"'{name}'"]
        assert waits["nodes"][0]["place"].startswith("test_it.py:")
        assert "async with second:" in {node["source"] for node in waits["nodes"]}
        assert sum(arrow["is_cycle"] for arrow in waits["arrows"]) == 2
        assert [*found[name]] == ["waits"]


def test_a_deadlock_in_a_worker_of_xdist(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """What a worker of pytest-xdist has collected is drawn on the page of the controller."""
    run_project(
        "-n1",
        "--aldente-html=page.html",
        "-k",
        "ordinary",
        plugins=["xdist"],
        test_it=IMPORTS + LOCKS,
    )
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert page.count('<figure class="picture waits">') == 1
    assert "'Ann' waits for" in page


def test_a_time_out(shown: Any) -> None:
    """What all tasks were waiting for at a time-out is shown, with those that go on."""
    found = shown("""
@aldente.timeout(0.05)
async def test_it():
    ready = asyncio.Event()

    async def helper():
        await asyncio.sleep(1000)
        ready.set()

    task = asyncio.create_task(helper(), name="helper")
    await ready.wait()
""")
    nodes = found["test_it"]["waits"]["nodes"]
    assert [(node["name"], node["is_stuck"]) for node in nodes if not node["is_thing"]] == [
        ("'helper'", False),
        ("'test_it'", False),
    ]
    (possible,) = (arrow for arrow in found["test_it"]["waits"]["arrows"] if arrow["is_possible"])
    assert possible["label"] == "could set it"
    # Timers of real time are none that a test could tell.
    assert [*found["test_it"]] == ["waits"]


def test_endless_time(shown: Any) -> None:
    """When virtual time runs on for ever, the tasks and their timers are shown."""
    found = shown(
        """
@aldente.virtual_time
async def test_it():
    async def beat():
        while True:
            await asyncio.sleep(30)
    task = asyncio.create_task(beat(), name="beat")
    await asyncio.sleep(5000)
""",
        ini="aldente_max_virtual_time = 100",
    )
    assert [timer["task"] for timer in found["test_it"]["timers"]["timers"]] == ["beat", "test_it"]
    assert {node["name"] for node in found["test_it"]["waits"]["nodes"]} == {"'beat'", "'test_it'"}


CALLS = """
async def call_all(make):
    fetch, slow = make(name="fetch").returns(1).takes(2), make(name="slow").never_returns()
    left = asyncio.create_task(slow("x"), name="left")
    beat = asyncio.create_task(asyncio.sleep(50), name="beat")
    await fetch("a")
    assert beat.done()

@aldente.virtual_time
async def test_ordinary():
    await call_all(aldente.Double)

@aldente.explore(runs=10)
async def test_explored(doubles):
    await call_all(doubles.double)
"""


def test_calls_and_timers(shown: Any) -> None:
    """The calls of doubles and the timers are shown as they were when the test failed, not after its end."""
    found = shown(CALLS)
    for name in ("test_ordinary", "test_explored"):
        calls = found[name]["calls"]
        assert [(each["call"], each["outcome"], each["task"]) for each in calls["calls"]] == [
            ("slow('x')", "pending", "left"),
            ("fetch('a')", "returned", name),
        ]
        assert calls["others"] == 0
        timers = found[name]["timers"]
        (timer,) = timers["timers"]
        assert timer["task"] == "beat"
        # A simulated run may have a sleep take longer.
        assert timers["now"] < timer["when"]
        assert calls["now"] == timers["now"]


def test_calls_are_those_of_the_test(shown: Any) -> None:
    """The calls that an earlier test, or an earlier run, has made are not shown."""
    found = shown("""
double = aldente.Double(name="shared")
runs = []

async def test_first():
    await double(1)

def test_second():
    asyncio.run(double(2))
    assert 0

@aldente.explore(runs=10)
async def test_third():
    runs.append(1)
    await double(3)
    await asyncio.gather(double(4), double(5))
    await asyncio.sleep(0)
    assert 0

def test_fourth():
    assert 0
""")
    assert {
        name: sorted(each["call"] for each in panels.get("calls", {}).get("calls", ()))
        for name, panels in found.items()
    } == {
        "test_second": ["shared(2)"],
        "test_third": ["shared(3)", "shared(4)", "shared(5)"],
        "test_fourth": [],
    }


def test_an_exception_of_an_earlier_test(shown: Any) -> None:
    """An exception that two tests raise shows of each its own."""
    found = shown("""
ERROR = ValueError("the same")

async def test_first():
    await aldente.Double(name="f")(1)
    raise ERROR

def test_second():
    raise ERROR
""")
    assert [*found["test_first"]] == ["calls"]
    assert found["test_second"] == {}


def test_a_failed_fixture(shown: Any) -> None:
    """A deadlock in a fixture is shown too, and what its doubles were called with."""
    found = shown("""
@pytest.fixture
async def stuck():
    await aldente.Double(name="f")(1)
    await asyncio.Event().wait()

@aldente.virtual_time
async def test_it(stuck):
    pass
""")
    assert sorted(found["test_it"]) == ["calls", "waits"]
    assert any(node["is_thing"] for node in found["test_it"]["waits"]["nodes"])


HISTORIES = """
class Register:
    def __init__(self):
        self.value = 0

    def set(self, value):
        self.value = value

    def get(self):
        return self.value

def record():
    history = aldente.history()
    with history.operation("set", 1):
        pass
    with history.operation("get") as operation:
        operation.returns(3)
    history.linearizable(Register())

def test_sync():
    record()

@aldente.explore(runs=10)
async def test_explored():
    record()

class Counter:
    def __init__(self):
        self.count = 0

    async def add(self):
        count = self.count
        await asyncio.sleep(0)
        self.count = count + 1

@aldente.explore(runs=10)
async def test_object():
    counter = aldente.serializable(Counter())
    await asyncio.gather(counter.add(), counter.add())
"""


def test_histories(shown: Any) -> None:
    """The operations that no order explains are shown, also when pytest shows another exception."""
    found = shown(HISTORIES)
    for name in ("test_sync", "test_explored"):
        operations = found[name]["operations"]["operations"]
        assert [each["text"] for each in operations if each["is_marked"]] == ["get() = 3"]
    both = found["test_object"]["operations"]["operations"]
    assert [each["text"] for each in both] == ["add() returned None"] * 2


def test_what_a_rule_finds_in_a_run(shown: Any) -> None:
    """A run that a rule fails shows its calls too, and no await graph."""
    found = shown(
        """
@aldente.explore(runs=10)
async def test_it():
    await aldente.Double(name="f")(1)
    asyncio.create_task(asyncio.sleep(10), name="left")
""",
        "--aldente-rule=leaked-task=error",
    )
    assert [*found["test_it"]] == ["calls"]


def test_a_failure_without_anything_to_show(shown: Any) -> None:
    """A test that fails without doubles, timers or waits has no picture."""
    assert shown("async def test_it():\n    assert 0\n") == {"test_it": {}}


def test_the_page_has_the_pictures(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Each panel is a figure of the page, with its text."""
    run_project("--aldente-html=page.html", test_it=IMPORTS + CALLS)
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    for kind in ("calls", "timers"):
        assert page.count(f'<figure class="picture {kind}">') == 2
    assert "was cancelled" not in page
    assert page.count("is still open</td>") == 2


def test_nothing_stays(run_project: RunProject) -> None:
    """What is kept for the pictures is gone when the test has ended, and nothing listens after the run."""
    before = list(doubles.listeners)
    result = run_project(
        "--aldente-html=page.html",
        test_it=IMPORTS
        + """
import weakref

class Argument:
    pass

async def test_first():
    argument = Argument()
    pytest.references.append(weakref.ref(argument))
    await aldente.Double(name="f")(argument)

def test_second():
    assert pytest.seen == [None]
""",
        conftest="""
import gc
import pytest

pytest.references, pytest.seen = [], []

def pytest_runtest_logstart(nodeid):
    # Before the set-up of the second test.
    gc.collect()
    pytest.seen += [reference() for reference in pytest.references]
""",
    )
    result.assert_outcomes(passed=2)
    assert doubles.listeners == before


def test_nothing_without_the_page(run_project: RunProject) -> None:
    """Without the option nothing of the page is imported, and no call of a double is noted."""
    result = run_project(
        test_it=IMPORTS
        + """
import sys

@aldente.explore(runs=10)
async def test_fails():
    await aldente.Double(name="f")(1)
    await asyncio.Event().wait()

def test_imports():
    from aldente._doubles import state
    assert state.listeners == []
    pages = ("aldente._report", "aldente._plugin.page.evidence", "aldente._plugin.page.failures")
    assert [name for name in sys.modules if name.startswith(pages)] == []
""",
        fresh=True,
    )
    result.assert_outcomes(passed=1, failed=1)
