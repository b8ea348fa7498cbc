"""Turns async tests into functions that pytest can call.

A plugin of its own, registered if a suite has any: a hook around every call would slow down sync
suites for nothing.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

import pytest

from aldente._plugin import asyncio_mark, ownership, refusals, shared_fixtures
from aldente._plugin.explore.state import explored_test
from aldente._plugin.pytest_asyncio import looptime
from aldente._plugin.refusals import refuse_async_generator, refuse_result
from aldente._plugin.run.loops import registry_of
from aldente._plugin.run.outcomes import reraise
from aldente._plugin.session import state_of
from aldente._source import warn_at


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    __tracebackhide__ = True
    if not ownership.is_own_async_test(pyfuncitem):
        return (yield)
    explored = explored_test(pyfuncitem)
    if explored is not None:
        # Known from now on, when the function looks like that of a sync test.
        ownership.involves_loops(pyfuncitem)
        # Not as an attribute of its package, which may be stale: a run of pytester in this process
        # may have removed the module from sys.modules.
        from aldente._plugin.explore.test import make_exploring

        restore = make_exploring(pyfuncitem, explored)
    else:
        restore = make_synchronous(pyfuncitem)
    try:
        return (yield)
    finally:
        restore()


# After all fixtures of the test are set up.
@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    __tracebackhide__ = True
    shared_fixtures.check(item)


def make_synchronous(item: pytest.Function) -> Callable[[], None]:
    """Replace the function of an async test by a synchronous one.

    It replaces the function, rather than calling it from here, so that every plugin that calls or
    wraps ``item.obj`` works as with other tests.

    Returns:
        A function that undoes it.
    """
    asyncio_mark.refuse_late(item, state_of(item.config).marks_before)
    refusals.warn_of_unmarked_fixtures(item)
    looptime.make_loop_current(item)
    item.stash[ownership.IS_RUN_ON_LOOP] = True
    function = item.obj
    if ownership.is_plain_coroutine_function(function):
        item.obj = _synchronous(item, function)
        return functools.partial(setattr, item, "obj", function)
    if inspect.isasyncgenfunction(function):
        refuse_async_generator(item)
    if ownership.is_async_hypothesis_test(function):
        hypothesis = function.hypothesis
        inner = hypothesis.inner_test
        if inspect.isasyncgenfunction(inner):
            refuse_async_generator(item)
        hypothesis.inner_test = _synchronous(item, inner)
        return functools.partial(setattr, hypothesis, "inner_test", inner)
    item.obj = _synchronous(item, function)
    return functools.partial(setattr, item, "obj", function)


def _synchronous(item: pytest.Function, function: Callable[..., Any]) -> Callable[..., Any]:
    registry = registry_of(item.session)
    evidence = state_of(item.config).evidence

    def run_test(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        # Before the call, which makes a coroutine that must be awaited.
        runner = registry.runner_of_test(item)
        if registry.may_be_virtual:
            registry.begin_time(item, runner)
        awaitable = function(*args, **kwargs)
        coroutine = awaitable if asyncio.iscoroutine(awaitable) else _await(awaitable)
        before = registry.tasks_before(runner)
        context = copy_context()
        if before is not None:
            registry.watch.makers.enter(item.nodeid, context)
        try:
            result = runner.run(
                coroutine,
                context=context,
                name=item.name,
                needs=registry.hosts_used_by(item),
            )
        except BaseException as error:
            if evidence is not None:
                evidence.keep_first(error, runner.loop)
            registry.note_deaths(item)
            registry.note_other_loop(error, runner)
            for note in registry.hints_after(item, runner, error):
                error.add_note(note)
            reraise(error, item.config)
        finally:
            if before is not None and not runner.interrupted:
                registry.watch.leftovers.report_left_by(item.nodeid, runner, before)
        hint = registry.hint_at_polling(item, runner)
        if hint is not None:
            warn_at(function, pytest.PytestWarning(hint))
        if result is not None:
            refuse_result(item, result)

    # Not functools.wraps: it would copy the mark that makes a function a coroutine function.
    run_test.__name__ = getattr(function, "__name__", item.originalname)
    run_test.__wrapped__ = function  # type: ignore[attr-defined]
    return run_test


async def _await(awaitable: Awaitable[Any]) -> Any:
    """Await what a function marked as a coroutine function returned; a task needs a coroutine."""
    return await awaitable
