"""The picture of the pending timers: a row for each task that one wakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict
from xml.etree.ElementTree import Element

from aldente._records import SourcePlace
from aldente._report import figure
from aldente._virtual_time.clock import Timer, in_words

# How many timers are drawn, the next ones.
MOST_TIMERS = 30


class ShownTimer(TypedDict):
    """A timer.

    Attributes:
        when: its time, in seconds of loop time.
        task: the name of the task that it wakes or limits; empty if it calls a callback.
        place, source: where that waits or is defined, and the line; may be empty.
    """

    when: float
    task: str
    place: str
    source: str


class Timers(TypedDict):
    """What the picture shows.

    Attributes:
        now: the time at the failure, in seconds of loop time.
        timers: the timers, the next first.
        others: how many later ones are left out.
    """

    now: float
    timers: list[ShownTimer]
    others: int


def collect(now: float, timers: Sequence[Timer], *, folder: Path) -> Timers:
    """What the picture of timers shows.

    Args:
        now: the time, in seconds of loop time.
        timers: the timers, the next first.
        folder: paths within it are shown relative to it.
    """
    return {
        "now": now,
        "timers": [_shown(timer, folder) for timer in timers[:MOST_TIMERS]],
        "others": max(0, len(timers) - MOST_TIMERS),
    }


def _shown(timer: Timer, folder: Path) -> ShownTimer:
    place = timer.place
    return {
        "when": timer.when,
        "task": timer.task or "",
        "place": ""
        if place is None
        else str(SourcePlace.relative_to(place.path, place.line, folder)),
        "source": timer.source,
    }


def draw(data: Timers) -> Element:
    """Draw the pending timers.

    Args:
        data: what `collect` has returned.
    """
    now = data["now"]
    drawn = figure.draw_bars(
        [
            figure.ChartBar(
                _who(timer),
                0.0,
                max(timer["when"] - now, 0.0),
                ", ".join(filter(None, [_after(timer, now), _where(timer)])),
                "timer",
            )
            for timer in data["timers"]
        ],
        label=_caption(data),
        in_seconds=True,
    ).drawn
    rows = (
        [_who(timer), f"{_after(timer, now)} (at {in_words(timer['when'])})", _where(timer)]
        for timer in data["timers"]
    )
    table = figure.table(["Wakes", "When", "Where"], rows)
    return figure.figure("timers", drawn, _caption(data), table)


def _caption(data: Timers) -> str:
    count = len(data["timers"]) + data["others"]
    words = [
        f"At the failure the loop time was {in_words(data['now'])} s, and {count:,} "
        f"timer{'s' * (count != 1)} were pending."
    ]
    if data["others"]:
        words.append(f"The last {data['others']:,} of them are not shown.")
    return " ".join(words)


def _who(timer: ShownTimer) -> str:
    return repr(timer["task"]) if timer["task"] else "a callback"


def _after(timer: ShownTimer, now: float) -> str:
    return f"in {in_words(max(timer['when'] - now, 0.0))} s"


def _where(timer: ShownTimer) -> str:
    return ": ".join(filter(None, [timer["place"], timer["source"]]))
