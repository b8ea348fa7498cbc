"""Which time a test has, and whether the clocks of the process can follow it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import aldente
from aldente._plugin.marks import MARK
from aldente._plugin.options import settings_of
from aldente._records import TestTime
from aldente._settings import Settings

# The plugin that checks it, registered when a test may have virtual time.
VIRTUAL_TIME = "aldente-virtual-time"
# The keys of the marks; for each the closest mark that has it decides.
_KEYS = ("clock", "wall", "patience")


def note_collected(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Remember the tests that were collected, before any is deselected."""
    config.stash[_collected_key] = tuple(tests)


def collected_tests(session: pytest.Session) -> Sequence[pytest.Item]:
    """The tests that were collected, including those that are not selected."""
    return session.config.stash.get(_collected_key, None) or session.items


_collected_key = pytest.StashKey[tuple[pytest.Item, ...]]()


def may_be_virtual(config: pytest.Config) -> bool:
    """Whether tests may have virtual time; known after collection."""
    # The lazy attribute is set on first use.
    return "virtual_time" in vars(aldente) or settings_of(config).clock == "virtual"


def time_of(item: pytest.Item) -> TestTime:
    """Which time a test has: from its closest marks, key by key, else from the configuration."""
    settings = settings_of(item.config)
    values: dict[str, Any] = {}
    for mark in item.iter_markers(MARK):
        for key in _KEYS:
            if key in mark.kwargs:
                values.setdefault(key, mark.kwargs[key])
    return TestTime(
        values.get("clock", settings.clock) == "virtual",
        values.get("wall", settings.wall),
        values.get("patience", Settings().patience),
        settings.max_virtual_time,
    )


def time_of_runs(item: pytest.Item) -> TestTime:
    """Which time the runs of an explored test have: their mark has the option ``wall`` too."""
    time = time_of(item)
    for mark in item.iter_markers(MARK):
        for options in (mark.kwargs.get("explore", {}), mark.kwargs):
            if "wall" in options:
                return time._replace(wall=options["wall"])
    return time


def reason_against_wall(time: TestTime) -> str | None:
    """Why the clocks of the process can't follow the time of a test; None if they can."""
    from aldente._virtual_time.wall_clock import follow_wall
    from aldente.errors import MissingExtra

    try:
        follow_wall(0.0, time.wall)
    except MissingExtra as error:
        return str(error)
    return None
