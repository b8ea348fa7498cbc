"""Which fixtures that are wider than a test are made anew for each of its runs.

Every run has an event loop of its own, and what an async fixture holds belongs to a loop. So async
fixtures are made anew whatever their scope, and the sync ones that use them; all other sync
fixtures of wide scope are shared by all runs, as by all tests.
"""

from __future__ import annotations

from typing import Any

import pytest

from aldente._plugin import ownership, pytest_compat
from aldente._records import LoopScope

FixtureDef = pytest.FixtureDef[Any]


def made_anew(item: pytest.Item) -> frozenset[FixtureDef]:
    """The fixtures wider than a test that need the loop of the run."""
    needing: dict[FixtureDef, bool] = {}

    def needs_loop(definition: FixtureDef) -> bool:
        if definition not in needing:
            # Against circles, which pytest refuses later.
            needing[definition] = False
            needing[definition] = ownership.is_own_fixture_definition(definition, item) or any(
                map(needs_loop, pytest_compat.dependencies(item, definition))
            )
        return needing[definition]

    return frozenset(
        definition
        for definition in pytest_compat.closure(item)
        if pytest_compat.caching_scope(definition, item) is not LoopScope.FUNCTION
        and needs_loop(definition)
    )
