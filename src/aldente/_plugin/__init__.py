"""The pytest plugin: hook functions of a few lines that call into the modules beside this one.

``options``
    The command line, the ini keys, the header line.
``marks``
    The ``asyncio`` mark.
``items``
    Which tests and fixtures are aldente's.
``loop_homes``
    On which event loop a test or fixture runs.
``loop_factories``
    What makes the loop: by mark and by hook.
``running``
    Everything that imports asyncio, hence imported with the first async test or fixture: the
    runners of a session, async tests and async fixtures made synchronous.
``outcomes``, ``tracebacks``, ``refusals``
    What the user sees when a test fails, skips or can't be run.
``pytest_asyncio``
    The names of pytest-asyncio that test suites import.
``pytest_compat``
    The only module that touches private names of pytest.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from aldente._plugin import items, loop_factories, marks, options, pytest_asyncio, refusals


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Here already, because conftest files are imported before pytest_configure.
    pytest_asyncio.make_importable()
    real_one_was_first = pytest_asyncio.stand_down_real_plugin(pluginmanager)
    options.add_options(parser, with_asyncio_options=not real_one_was_first)
    if not real_one_was_first:
        pluginmanager.add_hookspecs(loop_factories.HookSpecifications)


def pytest_configure(config: pytest.Config) -> None:
    options.check_configuration(config)
    marks.register(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    return options.header_line(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if items.is_async_function(metafunc.function):
        loop_factories.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    items.add_mark_in_auto_mode(item)
    loop_factories.request_factory_first(item)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    __tracebackhide__ = True
    item = items.item_involving_loops(request)
    if item is None and not items.is_own_async_fixture(fixturedef, request):
        return (yield)
    from aldente._plugin.running import fixtures

    restore = fixtures.prepare(fixturedef, request)
    try:
        return (yield)
    finally:
        restore()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    __tracebackhide__ = True
    if items.is_own_async_test(pyfuncitem):
        from aldente._plugin.running import tests

        restore = tests.make_synchronous(pyfuncitem)
        try:
            return (yield)
        finally:
            restore()
    try:
        return (yield)
    except pytest.fail.Exception as failure:
        clearer = refusals.explained(pyfuncitem, failure)
        if clearer is failure:
            raise
        raise clearer from None
