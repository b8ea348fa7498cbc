"""Prepares the tests once all of them are collected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

import aldente
from aldente._plugin import asyncio_mark, loop_factories, ownership, test_time
from aldente._plugin.explore import state
from aldente._plugin.marks import rules_raised_by_marks
from aldente._plugin.options import settings_of
from aldente._plugin.pytest_asyncio import looptime
from aldente._plugin.session import SessionState, state_of
from aldente._rules import never_awaited

# The plugin that runs async tests, registered where there are any.
ASYNC_CALLS = "aldente-async-calls"


def prepare(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Mark the async tests, and have tests request first the fixtures that their loop depends on.

    This runs before all other plugins, which may select tests by the mark. If there are async
    tests, it registers the plugin that runs them.
    """
    test_time.note_collected(tests, config)
    has_async_tests = False
    for test in _tests_to_look_at(tests):
        has_async_tests = ownership.add_mark_in_auto_mode(test) or has_async_tests
        loop_factories.request_factory_first(test)
    if has_async_tests and not config.pluginmanager.has_plugin(ASYNC_CALLS):
        from aldente._plugin.run import tests as async_tests

        config.pluginmanager.register(async_tests, ASYNC_CALLS)


def note_marks(tests: Sequence[pytest.Item], config: pytest.Config) -> None:
    """Record what the marks of the tests ask for.

    This runs after all other plugins and conftest files, which may add marks.
    """
    has_looptime = looptime.is_there(config)
    # The lazy attribute is set on first use.
    has_explored = "explore" in vars(aldente) or settings_of(config).replay is not None
    if has_explored:
        from aldente._plugin.explore import hooks as exploring

        exploring.register(config)
    if settings_of(config).explore is not None:
        from aldente._plugin.suite import hooks as exploring_all

        exploring_all.register(config)
    warnings_of_tests = {}
    for test in _tests_to_look_at(tests):
        warning = asyncio_mark.mark_without_effect(test)
        if warning is not None:
            warnings_of_tests[test.nodeid] = warning
        if has_explored:
            state.note_if_explored(test)
        if has_looptime and state.explored_test(test) is None:
            looptime.request_runner_first(test)
    if warnings_of_tests:
        config.pluginmanager.register(asyncio_mark.WarnOfMarks(warnings_of_tests))
    if settings_of(config).replay is not None:
        from aldente._plugin.suite import again

        again.explore_if_alone(tests)
    _watch_what_marks_raise(tests, state_of(config))
    if config.pluginmanager.has_plugin(ASYNC_CALLS):
        from aldente._plugin.run.loop_watch import watch_of

        _register_virtual_time(config)
        # Now, as a wrong setting ends the run, and all rules to watch are known.
        watch_of(config)
        if tests:
            from aldente._plugin.pytest_asyncio import loop_fixtures

            loop_fixtures.warn_of_event_loop(tests[0].session)


def _register_virtual_time(config: pytest.Config) -> None:
    """Register the plugin that refuses tests which can't have virtual time, if any may have it."""
    name = test_time.VIRTUAL_TIME
    if test_time.may_be_virtual(config) and not config.pluginmanager.has_plugin(name):
        from aldente._plugin.run import virtual

        config.pluginmanager.register(virtual, name)


def _watch_what_marks_raise(tests: Sequence[pytest.Item], session: SessionState) -> None:
    """Also watch the rules that are on only in tests with a mark."""
    rules = rules_raised_by_marks(tests)
    session.collector.watched |= rules
    if never_awaited.RULE.name in rules and session.never_awaited is None:
        session.never_awaited = never_awaited.CoroutineWatch(session.collector.report)
        session.installed.enter_context(session.never_awaited.installed())


def _tests_to_look_at(tests: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """The tests that are async or have a mark that has no effect on sync tests."""
    # The last node that has no such mark, like nearly all.
    unmarked: pytest.Collector | None = None
    for test in tests:
        if ownership.is_plain_sync_test(test):
            if test.parent is not unmarked and not ownership.has_asyncio_mark(test.parent):
                unmarked = test.parent
            if test.parent is unmarked:
                continue
        yield test
