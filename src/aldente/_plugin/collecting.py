"""What is done with the tests once all of them are collected."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aldente._plugin import items, loop_factories, looptime


def prepare(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Mark the async tests, and have tests request ahead of all else what their loop depends on."""
    has_looptime = looptime.is_there(config)
    for test in tests:
        items.add_mark_in_auto_mode(test)
        loop_factories.request_factory_first(test)
        if has_looptime:
            looptime.request_runner_first(test)
