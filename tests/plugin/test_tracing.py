"""``--aldente-trace``: what tasks did and when, in the Trace Event Format."""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.plugin.conftest import RunProject

Event = dict[str, Any]

PROJECT = """
import asyncio
import time
import aldente
import pytest

async def worker(queue, lock):
    while True:
        await queue.get()
        async with lock:
            await asyncio.sleep(0.001)
        queue.task_done()

async def fail():
    raise ValueError("burnt")

async def test_pipeline():
    queue, lock = asyncio.Queue(), asyncio.Lock()
    workers = [asyncio.create_task(worker(queue, lock), name=f"worker {n}") for n in range(2)]
    for number in range(3):
        queue.put_nowait(number)
    time.sleep(0.001)
    await queue.join()
    for each in workers:
        each.cancel()
    failing = asyncio.create_task(fail(), name="failing")
    await asyncio.gather(*workers, failing, return_exceptions=True)

def test_sync():
    pass

def called_soon():
    pass

@aldente.virtual_time
async def test_virtual():
    asyncio.get_running_loop().call_soon(called_soon)
    await asyncio.sleep(3600)

async def test_slow():
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass

@aldente.explore(runs=2)
async def test_explored():
    await asyncio.sleep(0)
"""


def events_of(pytester: pytest.Pytester) -> list[Event]:
    """The events of the trace that a run has written, each checked by the format."""
    trace = json.loads((pytester.path / "reports" / "trace.json").read_text(encoding="utf-8"))
    assert trace["displayTimeUnit"] == "ms"
    events: list[Event] = trace["traceEvents"]
    for event in events:
        check_event(event)
    return events


def check_event(event: Event) -> None:
    """What the Trace Event Format says of the three kinds of events that are used."""
    assert isinstance(event["name"], str)
    assert event["name"]
    assert isinstance(event["pid"], int)
    assert isinstance(event["tid"], int)
    assert isinstance(event["args"], dict)
    if event["ph"] == "M":
        assert event["name"] in ("process_name", "thread_name")
        assert isinstance(event["args"]["name"], str)
        return
    assert event["ts"] >= 0
    assert event["cat"]
    if event["ph"] == "X":
        assert event["dur"] >= 0
    elif event["ph"] in ("s", "f"):
        # An arrow; its end is bound to the slice in which it lies.
        assert event["id"]
        assert event["ph"] == "s" or event["bp"] == "e"
    else:
        assert event["ph"] == "i"
        assert event["s"] == "t"


def of_test(events: Iterable[Event], name: str) -> list[Event]:
    """The events of a test, but for those that name it and its threads."""
    (pid,) = {
        event["pid"]
        for event in events
        if event["name"] == "process_name" and event["args"]["name"].endswith(name)
    }
    return [event for event in events if event["pid"] == pid and event["ph"] != "M"]


def test_steps_and_waits(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Each task is a track of steps and waits, which do not overlap; a finding is where it was made."""
    run = asyncio.Handle._run
    result = run_project("-p", "no:randomly", "--aldente-trace=reports/trace.json", test_it=PROJECT)
    result.assert_outcomes(passed=5)
    assert asyncio.Handle._run is run
    everything = events_of(pytester)
    events = of_test(everything, "::test_pipeline")
    slices = [event for event in events if event["ph"] == "X"]
    tracks = collections.defaultdict(list)
    for event in sorted(slices, key=lambda event: event["ts"]):
        tracks[event["tid"]].append(event)
    for track in tracks.values():
        for one, following in itertools.pairwise(track):
            assert one["ts"] + one["dur"] <= following["ts"] + 0.001
    words = {event["name"] for event in slices if event["cat"] == "wait"}
    assert words >= {
        "waits for sleep(0.001)",
        "waits for a Lock",
        "waits for an item from a Queue, which is empty",
    }
    steps = [event for event in slices if event["cat"].startswith("step")]
    assert {event["name"] for event in steps} == {"test_pipeline", "worker", "fail"}
    outcomes = [event["args"]["then"] for event in steps]
    assert outcomes.count("is cancelled") == 2
    assert outcomes.count("ends with ValueError") == outcomes.count("ends") == 1
    sleeping = next(event for event in steps if event["args"]["then"] == "waits for sleep(0.001)")
    assert sleeping["args"]["stopped at"] == "test_it.py:10"
    assert sleeping["args"]["source"] == "await asyncio.sleep(0.001)"
    (finding,) = [event for event in events if event["ph"] == "i"]
    assert finding["name"] == "blocking-call: time.sleep()"
    assert finding["args"]["at"] == "test_it.py:21"
    (main,) = {event["tid"] for event in steps if event["name"] == "test_pipeline"}
    assert finding["tid"] == main
    names = {
        event["args"]["name"]: event["tid"]
        for event in everything
        if event["name"] == "thread_name" and event["pid"] == finding["pid"]
    }
    assert names["test_pipeline"] == main
    assert names.keys() >= {"worker 0", "worker 1", "failing", "callbacks of the loop"}


def test_a_finding_about_an_earlier_test(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """What is found later says which test it is charged to."""
    run_project(
        *("-p", "no:randomly", "--aldente-trace=reports/trace.json"),
        test_it="""
        kept = []

        async def work():
            pass

        async def test_makes():
            kept.append(work())

        async def test_drops():
            kept.clear()
        """,
    )
    events = events_of(pytester)
    (finding,) = [event for event in of_test(events, "::test_drops") if event["ph"] == "i"]
    assert finding["name"] == "never-awaited: work"
    assert finding["args"]["test"] == "test_it.py::test_makes"


def test_what_is_in_it(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Tests on virtual time are in it, and slow steps are marked; not sync and explored tests."""
    options = ("-p", "no:randomly", "--aldente-trace=reports/trace.json")
    run_project(*options, ini="aldente_slow_step = 0.01", test_it=PROJECT).assert_outcomes(passed=5)
    events = events_of(pytester)
    assert [event["args"]["name"] for event in events if event["name"] == "process_name"] == [
        "test_it.py::test_pipeline",
        "test_it.py::test_virtual",
        "test_it.py::test_slow",
    ]
    virtual = of_test(events, "::test_virtual")
    assert "called_soon" in {event["name"] for event in virtual if event["cat"] == "callback"}
    times = [event["args"]["loop time"] for event in virtual if event["cat"].startswith("step")]
    assert max(times) - min(times) == 3600
    slow = [event for event in of_test(events, "::test_slow") if "slow" in event["cat"]]
    assert [(event["name"], event["cname"]) for event in slow] == [("test_slow", "terrible")]


EXPLORED = """
import asyncio
import aldente

@aldente.explore(runs=20)
async def test_order():
    done = []

    async def work(who):
        await asyncio.sleep(0)
        aldente.note(f"{who} is done")
        done.append(who)

    await asyncio.gather(work("Ann"), work("Bob"))
    assert done == ["Ann", "Bob"]
"""


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["here", "xdist"])
def test_the_failed_run_of_an_explored_test(
    run_project: RunProject, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """It is a group of its own: its steps one after the other, notes, waits, and who woke whom."""
    run_project(
        *workers,
        *("-p", "no:randomly", "--aldente-trace=reports/trace.json"),
        plugins=["xdist"],
        test_it=EXPLORED,
    )
    everything = events_of(pytester)
    events = of_test(everything, "::test_order: the run that failed (each step is drawn as 1 ms)")
    steps = [event for event in events if event["cat"].startswith("step")]
    assert [event["ts"] for event in steps] == sorted(event["ts"] for event in steps)
    assert len({event["ts"] for event in steps}) == len(steps)
    (left,) = [event for event in steps if "switch" in event["cat"]]
    assert left["args"]["before"] == "Task-2"
    assert left["args"]["at"] == "test_it.py:9"
    assert [event["name"] for event in events if event["ph"] == "i"] == [
        "note: Bob is done",
        "note: Ann is done",
    ]
    waits = [event for event in events if event["cat"] == "wait"]
    assert "waits for 'Task-2' and 'Task-3' (asyncio.gather)" in {each["name"] for each in waits}
    begins = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert begins.keys() == ends.keys() != set()
    assert all(begins[key]["ts"] < ends[key]["ts"] for key in ends)


def test_xdist(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The traces of all workers are one, in which each test is a process of its own."""
    result = run_project(
        "-n2", "--aldente-trace=reports/trace.json", plugins=["xdist"], test_it=PROJECT
    )
    result.assert_outcomes(passed=5)
    events = events_of(pytester)
    for name in ("::test_pipeline", "::test_virtual", "::test_slow"):
        assert of_test(events, name)


def test_a_file_that_cannot_be_written(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """It is an error before the first test."""
    (pytester.path / "file").write_text("", encoding="utf-8")
    result = run_project("--aldente-trace=file/trace", subprocess=True, test_it=PROJECT)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --aldente-trace: *trace can't be written: *"])
