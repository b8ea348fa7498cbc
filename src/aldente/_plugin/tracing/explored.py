"""The failed run of an explored test as events of a trace.

Its steps take no time of the loop, so each is drawn as long as the others: what a trace shows of
such a run is the order of the steps, and which has made which ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aldente._report.lanes import Lanes, LaneStep

Event = dict[str, Any]

# The length of a step, in microseconds.
STEP = 1_000


def events_of_run(lanes: Lanes, name: str, process: int) -> Iterator[Event]:
    """The events of a run.

    Args:
        lanes: the run.
        name: the name of the process of the trace.
        process: its number.
    """
    yield _name("process", name, process, 0)
    for thread, lane in enumerate(lanes["lanes"]):
        shown = f"{lane['name']}, {lane['call']}" if lane["call"] else lane["name"]
        yield _name("thread", shown, process, thread)
    waiting: dict[int, tuple[int, str]] = {}
    for place, step in enumerate(lanes["steps"]):
        thread = step["lane"]
        common = {"pid": process, "tid": thread, "ts": place * STEP}
        if "event" in step.get("marks", ()):
            mark = {"name": step["words"], "cat": "event", "ph": "i", "s": "t"}
            yield {**mark, **common, "args": _details(lanes, step)}
            continue
        if thread in waiting:
            since, words = waiting.pop(thread)
            length = place * STEP - since
            if length:
                yield {
                    "name": words,
                    "cat": "wait",
                    "ph": "X",
                    **common,
                    "ts": since,
                    "dur": length,
                    "args": {},
                }
        yield from _step(lanes, step, common)
        then = step.get("then", "")
        if then.startswith(("waits", "lets")):
            waiting[thread] = (place + 1) * STEP, then


def _step(lanes: Lanes, step: LaneStep, common: Event) -> Iterator[Event]:
    """The slice of a step, and the arrow from the step that has made it ready."""
    marks = step.get("marks", [])
    yield {
        "name": f"{step['number']}: {step['words']}",
        "cat": ",".join(["step", *marks]),
        "ph": "X",
        **common,
        "dur": STEP,
        "args": _details(lanes, step),
        **({"cname": "terrible"} if "failing" in marks or "switch" in marks else {}),
    }
    waker = step.get("woken_in")
    if waker is None:
        return
    # The numbers of arrows belong to the whole trace.
    arrow = {"name": "wakes", "cat": "wakes", "id": f"{common['pid']}.{step['number']}"}
    thread = lanes["steps"][waker]["lane"]
    begin = {"pid": common["pid"], "tid": thread, "ts": waker * STEP + STEP // 2}
    yield {**arrow, "ph": "s", **begin, "args": {}}
    yield {**arrow, "ph": "f", "bp": "e", **common, "args": {}}


def _details(lanes: Lanes, step: LaneStep) -> Event:
    """What is known of a step."""
    details: Event = {"loop time": step["time"]}
    if "then" in step:
        details["then"] = step["then"]
    for key, place in (("at", step.get("at")), ("stopped at", step.get("stop"))):
        if place is not None:
            details[key] = f"{lanes['files'][place[0]]}:{place[1]}"
    if "instead_of" in step:
        details["before"] = step["instead_of"]
    uses = [use["words"] for use in step.get("uses", ())]
    if uses:
        details["uses"] = "; ".join(uses)
    return details


def _name(kind: str, name: str, process: int, thread: int) -> Event:
    return {
        "name": f"{kind}_name",
        "ph": "M",
        "pid": process,
        "tid": thread,
        "args": {"name": name},
    }
