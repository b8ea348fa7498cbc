"""Why a test can't be explored, and how to fix it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from aldente._plugin import pytest_compat
from aldente._plugin.loop_factories import maker_of_other_loop
from aldente._plugin.loop_scopes import home_of_test, wide_async_fixtures
from aldente._plugin.marks import MARK
from aldente._plugin.pytest_asyncio import policy_fixture
from aldente._plugin.test_time import reason_against_wall, time_of
from aldente._records import LoopScope


class _MeantForOneRun(NamedTuple):
    """A fixture of another plugin that assumes that a test runs once, and the fix."""

    fixture: str
    reason: str
    fix: str


_SUBTESTS = _MeantForOneRun(
    "subtests",
    "reports failures by itself, once for every run, so that no run fails by them.",
    "assert in the test itself, or parametrize it.",
)

# By the module that defines them.
_MEANT_FOR_ONE_RUN = {
    "_pytest.subtests": _SUBTESTS,
    "pytest_subtests.plugin": _SUBTESTS,
    "pytest_benchmark.plugin": _MeantForOneRun(
        "benchmark",
        "measures how long one run takes.",
        "measure in a separate test.",
    ),
}


def reason_against(item: pytest.Item) -> str | None:
    """Why a test can't be explored, and how to fix it; None if it can."""
    wide = wide_async_fixtures(item)
    if wide:
        return _refusal(
            item,
            f"the async fixture{'s' * (len(wide) > 1)} {', '.join(wide)} outlive"
            f"{'s' * (len(wide) == 1)} the test, and every run has an event loop of its own.",
            "make it function-scoped, so that it is set up anew for every run; or move its users "
            "to a separate test.",
        )
    for definition in pytest_compat.closure(item):
        why = _MEANT_FOR_ONE_RUN.get(getattr(definition.func, "__module__", ""))
        if why is not None and definition.argname == why.fixture:
            return _refusal(item, f"the fixture {why.fixture!r} {why.reason}", why.fix)
    named = maker_of_other_loop(item)
    if named is not None:
        return _refusal(
            item,
            f"its event loop is made by {named}, which can't follow schedules.",
            "run it on asyncio's own loop, or remove the mark.",
        )
    if policy_fixture.is_overridden(item):
        return _refusal(
            item,
            "the fixture event_loop_policy decides how its event loop is made.",
            "leave that fixture to other tests, or remove the mark.",
        )
    home = home_of_test(item, {})
    if home.scope is not LoopScope.FUNCTION:
        return _refusal(
            item,
            f"it runs on a loop of {home.scope.value} scope, because of its mark or the "
            "configuration, and every run has an event loop of its own.",
            "give it @pytest.mark.asyncio(loop_scope='function'), or remove the mark "
            "aldente.explore.",
        )
    if any(mark.name == MARK and mark.kwargs.get("clock") == "real" for mark in item.own_markers):
        return _refusal(
            item,
            "it is marked with aldente.real_time too, and the time of simulated runs is virtual.",
            "remove one of the two marks.",
        )
    return reason_against_wall(time_of(item))


def _refusal(item: pytest.Item, reason: str, fix: str) -> str:
    return f"{item.name!r} can't be explored: {reason}\nFix: {fix}"
