"""What is done with the tests once all of them are collected."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import aldente
from aldente._plugin import items, loop_factories, looptime, marks, time_checks
from aldente._plugin.exploring import explored
from aldente._plugin.findings.hooks import hooks_of
from aldente._plugin.options import settings_of

# The plugin that runs async tests, registered where there are any.
ASYNC_CALLS = "aldente-async-calls"


def prepare(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Mark the async tests, and have tests request ahead of all else what their loop depends on.

    When there are async tests, what runs them is registered.
    """
    has_looptime = looptime.is_there(config)
    # An attribute of the package from when it is first used.
    has_explored = "explore" in vars(aldente) or settings_of(config).replay is not None
    if has_explored:
        from aldente._plugin.exploring import hooks as exploring

        exploring.register(config)
    has_async_tests = False
    # The last node without a mark around it that tests might have in vain; nearly all are.
    unmarked: pytest.Collector | None = None
    for test in tests:
        if items.is_plain_sync_test(test):
            if test.parent is not unmarked and not items.has_asyncio_mark(test.parent):
                unmarked = test.parent
            if test.parent is unmarked:
                continue
        if items.add_mark_in_auto_mode(test):
            has_async_tests = True
        else:
            in_vain = marks.marked_in_vain(test)
            if in_vain is not None:
                hooks_of(config).marked_in_vain[test.nodeid] = in_vain
        loop_factories.request_factory_first(test)
        if has_explored:
            explored.note_if_explored(test)
        if has_looptime and explored.explored_test(test) is None:
            looptime.request_runner_first(test)
    hooks_of(config).watch_also(tests)
    time_checks.register_if_needed(config)
    if has_async_tests and not config.pluginmanager.has_plugin(ASYNC_CALLS):
        from aldente._plugin import async_calls
        from aldente._plugin.running.watching import watch_of

        config.pluginmanager.register(async_calls, ASYNC_CALLS)
        # Now, as a wrong setting ends the run.
        watch_of(config)
