"""The picture of the calls of doubles: a row for each double, a bar for each call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict
from xml.etree.ElementTree import Element

from aldente._doubles.calls import Call, shown
from aldente._records import SourcePlace
from aldente._report import figure

# How many calls are drawn.
MOST_CALLS = 60

_LONGEST = 200

# In less time than this, in seconds, only the order says something.
_LEAST_SPAN = 0.001


class ShownCall(TypedDict):
    """A call.

    Attributes:
        double: the name of the double.
        call: the call, with its arguments.
        outcome: how it ended: ``"returned"``, ``"raised"``, ``"cancelled"``, ``"closed"``; or that
            it had not: ``"held"``, ``"pending"``, ``"never awaited"``.
        said: what it returned or raised; else empty.
        began, ended: the moments of its beginning and end among those of all calls; 0 for none.
        start, end: the same as times; None for none.
        task: the name of the task that awaited it; may be empty.
        place: where it was made; may be empty.
    """

    double: str
    call: str
    outcome: str
    said: str
    began: int
    ended: int
    start: float | None
    end: float | None
    task: str
    place: str


class CallsPicture(TypedDict):
    """What the picture shows.

    Attributes:
        calls: the calls.
        now: the time of the loop; None if no one loop is known.
        others: how many were made before and are left out.
    """

    calls: list[ShownCall]
    now: float | None
    others: int


def collect(
    calls: Sequence[Call], *, folder: Path, now: float | None = None, others: int = 0
) -> CallsPicture:
    """What the picture of calls shows: how they are now.

    Args:
        calls: the calls, in the order in which they were made.
        folder: paths within it are shown relative to it.
        now: the time of the loop; None if no one loop is known.
        others: how many more there were before.
    """
    shown_ones = _chosen(calls)
    return {
        "calls": [_shown(call, folder) for call in shown_ones],
        "now": now,
        "others": others + len(calls) - len(shown_ones),
    }


def _chosen(calls: Sequence[Call]) -> list[Call]:
    """The last ones, and those that have not ended."""
    spare = MOST_CALLS - sum(call.outcome == "pending" for call in calls[:-MOST_CALLS])
    last = len(calls) - max(spare, MOST_CALLS // 2)
    chosen = [
        call for number, call in enumerate(calls) if number >= last or call.outcome == "pending"
    ]
    return chosen[-MOST_CALLS:]


def _shown(call: Call, folder: Path) -> ShownCall:
    said = ""
    if call.outcome == "returned":
        said = shown(call.result)
    elif call.outcome == "raised":
        said = shown(call.exception)
    place = call.place
    return {
        "double": call.double,
        "call": _short(str(call)),
        "outcome": "held" if call.is_held else call.outcome,
        "said": _short(said),
        "began": call.start_moment,
        "ended": call.end_moment,
        "start": call.start,
        "end": call.end,
        "task": call.task or "",
        "place": ""
        if place is None
        else str(SourcePlace.relative_to(place.path, place.line, folder)),
    }


def _short(text: str) -> str:
    return figure.cut(" ".join(text.split()), _LONGEST)


_OUTCOMES = {
    "returned": "returned {said}",
    "raised": "raised {said}",
    "cancelled": "was cancelled",
    "closed": "was left early",
    "held": "is held at a gate",
    "pending": "is still open",
    "never awaited": "was never awaited",
}

# After the arguments, in a bar.
_IN_BARS = {
    "returned": " = {said}",
    "raised": " raised {said}",
    "cancelled": " cancelled",
    "closed": " left early",
    "held": " held at a gate",
    "pending": " still open",
}

_CLASSES = {
    "returned": "good",
    "raised": "bad",
    "cancelled": "cancelled",
    "closed": "cancelled",
    "held": "open",
    "pending": "open",
}


def draw(data: CallsPicture) -> Element:
    """Draw the calls of doubles.

    Args:
        data: what `collect` has returned.
    """
    calls = data["calls"]
    begun = [call for call in calls if call["began"]]
    in_seconds = _is_in_seconds(begun)
    drawn = figure.draw_bars(
        [_bar(call, in_seconds=in_seconds) for call in begun],
        label=_caption(data, in_seconds=in_seconds),
        in_seconds=in_seconds,
        until=_end(begun, data["now"]),
    ).drawn
    table = figure.table(
        ["Call", "Outcome", "Began", "Ended", "Task", "Called at"], _rows(calls, in_seconds)
    )
    return figure.figure("calls", drawn, _caption(data, in_seconds=in_seconds), table)


def _is_in_seconds(calls: Sequence[ShownCall]) -> bool:
    """Whether the times are those of one clock, and enough time has passed to be seen."""
    moments: list[tuple[int, float]] = []
    for call in calls:
        moments += [(call["began"], call["start"])] if call["start"] is not None else []
        moments += [(call["ended"], call["end"])] if call["end"] is not None else []
    times = [time for _, time in sorted(moments)]
    return times == sorted(times) and bool(times) and times[-1] - times[0] >= _LEAST_SPAN


def _end(calls: Sequence[ShownCall], now: float | None) -> float:
    """The time at which the picture ends: now, for calls that are open, if they have that clock."""
    times = [time for call in calls for time in (call["start"], call["end"]) if time is not None]
    last = max(times, default=0.0)
    is_open = any(call["end"] is None for call in calls)
    return max(last, now) if is_open and now is not None else last


def _bar(call: ShownCall, *, in_seconds: bool) -> figure.ChartBar:
    arguments = call["call"].removeprefix(call["double"])
    began: float = call["began"]
    ended: float | None = call["ended"] or None
    if in_seconds:
        began, ended = call["start"] or 0.0, call["end"]
    by = f", by {call['task']!r}" if call["task"] else ""
    return figure.ChartBar(
        call["double"],
        began,
        ended,
        arguments + _IN_BARS[call["outcome"]].format(said=call["said"]),
        _CLASSES[call["outcome"]],
        f"{call['call']} {_outcome(call)}{by}",
    )


def _outcome(call: ShownCall) -> str:
    return _OUTCOMES[call["outcome"]].format(said=call["said"])


def _caption(data: CallsPicture, *, in_seconds: bool) -> str:
    calls = data["calls"]
    axis = "over loop time since the first one" if in_seconds else "in their order, without a scale"
    words = [f"{_counted(len(calls), 'call')} of doubles, {axis}."]
    most = _most_at_once(calls)
    if most > 1:
        words.append(f"Up to {most} were open at the same time.")
    forgotten = sum(call["outcome"] == "never awaited" for call in calls)
    if forgotten:
        were = "was" if forgotten == 1 else "were"
        words.append(f"{forgotten} {were} never awaited, and {were} not drawn.")
    if data["others"]:
        others = data["others"]
        words.append(
            f"{_counted(others, 'earlier call')} {'is' if others == 1 else 'are'} not shown."
        )
    return " ".join(words)


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"


def _most_at_once(calls: Iterable[ShownCall]) -> int:
    changes: list[tuple[int, int]] = []
    for call in calls:
        if call["began"]:
            changes.append((call["began"], 1))
        if call["ended"]:
            changes.append((call["ended"], -1))
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _rows(calls: Sequence[ShownCall], in_seconds: bool) -> Iterator[list[str]]:
    order = {
        moment: place
        for place, moment in enumerate(
            sorted({moment for call in calls for moment in (call["began"], call["ended"])} - {0}), 1
        )
    }
    first = min((call["start"] for call in calls if call["start"] is not None), default=0.0)

    def when(moment: int, time: float | None) -> str:
        if not moment:
            return ""
        return f"{(time or 0.0) - first:.6g} s" if in_seconds else f"{order[moment]}."

    for call in calls:
        yield [
            call["call"],
            _outcome(call),
            when(call["began"], call["start"]),
            when(call["ended"], call["end"]),
            call["task"],
            call["place"],
        ]
