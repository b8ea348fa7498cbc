"""Why tests are left alone by ``--aldente-explore``, in words that a list of reasons needs."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from aldente._plugin import ownership, pytest_compat
from aldente._plugin.explore.hooks import meant_for_one_run
from aldente._plugin.marks import MARK, level_in
from aldente._plugin.options import settings_of
from aldente._plugin.run.outcomes import behind
from aldente._plugin.test_time import reason_against_wall, time_of_runs
from aldente._rules.schedule_dependent import RULE
from aldente.errors import (
    DeadlockError,
    EndlessTimeError,
    LivelockError,
    OutsideSimulation,
    PhaseTimeout,
)


class Reason(NamedTuple):
    """Why a test is left alone.

    Attributes:
        kind: what it is about, the same for all tests with that reason.
        details: what is known of this test; empty for nothing more.
    """

    kind: str
    details: str = ""


NOT_PASSED = Reason("it did not pass")
TIME_IS_OVER = Reason("the time limit of --aldente-explore-seconds had passed")
SKIPPED = Reason("it skips itself on the simulated loop")
INEXACT = "its outcome depends on more than the order of tasks"
_TOO_LONG = "one run takes too long"
_ENDLESS = "it does not end on the simulated loop"
_WAITS = "it waits for something that does not happen on the simulated loop"
_FAILS = "it fails on the simulated loop in asyncio's own order"
_OTHER_LOOP = "it uses an object that belongs to another event loop"

# By what `OutsideSimulation` says is touched.
_TOUCHED = {
    "a real socket": "it opens a real connection",
    "a real pipe": "it opens a pipe",
    "another process": "it starts a process",
    "a signal": "it handles a signal",
    "the name service": "it asks the name service",
}


def is_switched_off(item: pytest.Item) -> bool:
    """Whether the rule is off in a test, so that it needs no reason."""
    return level_in(item, RULE.name, settings_of(item.config).levels[RULE.name]) == "off"


def reason_before(item: pytest.Item) -> Reason | None:
    """Why an async test can't be explored, as known without running it; None if it may be."""
    function = getattr(item, "obj", None)
    if pytest_compat.is_unittest(item):
        return Reason("unittest runs it on a loop of its own")
    framework = ownership.claim_of(item).framework
    if framework is not None:
        return Reason("another framework runs it", framework)
    if not ownership.is_own_async_test(item):
        return Reason("nothing runs it: it has no asyncio mark, and the mode is strict")
    if ownership.is_async_hypothesis_test(function):
        return Reason("Hypothesis runs it with many examples: mark it with aldente.explore")
    for definition in pytest_compat.closure(item):
        why = meant_for_one_run(definition)
        if why is not None:
            return Reason(f"the fixture {why.fixture!r} is meant for one run")
    if any(mark.name == MARK and mark.kwargs.get("clock") == "real" for mark in item.own_markers):
        return Reason("it is marked with aldente.real_time")
    wall = reason_against_wall(time_of_runs(item))
    return None if wall is None else Reason("its clocks can't follow virtual time", wall)


def reason_after(error: BaseException) -> Reason:
    """Why a test can't be explored, by what it fails with in asyncio's own order."""
    errors = list(behind(error))
    outside = next((each for each in errors if isinstance(each, OutsideSimulation)), None)
    text = str(error).strip().partition("\n")[0]
    details = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if outside is not None:
        touched = outside.touched
        where = f" at {outside.place}" if outside.place else ""
        kind = _TOUCHED.get(touched, f"it touches {touched}")
        return Reason(kind, f"{outside.called}{where}")
    if any(isinstance(each, ConnectionRefusedError) for each in errors):
        # By an address that nothing in the run serves.
        return Reason(_TOUCHED["a real socket"], details)
    if isinstance(error, pytest.skip.Exception):
        return SKIPPED
    if isinstance(error, PhaseTimeout):
        return Reason(_TOO_LONG, details)
    if isinstance(error, (LivelockError, EndlessTimeError)):
        return Reason(_ENDLESS, details)
    if isinstance(error, DeadlockError):
        return Reason(_WAITS, details)
    if isinstance(error, RuntimeError) and "different" in text and "loop" in text:
        return Reason(_OTHER_LOOP, details)
    return Reason(_FAILS, details)
