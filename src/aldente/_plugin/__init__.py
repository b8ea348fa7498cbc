"""The pytest plugin: hook functions of a few lines that call into the modules beside this one.

``session``
    What the parts of the plugin share during a run.
``option_table``, ``options``
    The options of the command line and of the configuration file; the settings in force.
``ownership``
    Which tests and fixtures are aldente's.
``asyncio_mark``, ``marks``
    The ``asyncio`` mark; those of the rules, of the time limit and of virtual time.
``collection``
    Preparation of the collected tests.
``loop_scopes``, ``loop_factories``, ``loop_factory_fixture``
    On which event loop a test or fixture runs, and its loop factory, by mark and by hook.
``test_time``
    Which time a test has, and whether the clocks of the process can follow it.
``run``
    Everything that imports asyncio, hence imported with the first async test or fixture: the
    runners of a session, and async tests and fixtures made synchronous.
``explore``
    Tests that are run under many schedules.
``tracing``
    What tasks did and when, for viewers of traces: ``--aldente-trace``.
``page``
    The page that shows each failure in the browser: ``--aldente-html``.
``output_files``
    The files that options name, checked before the run, written at its end, and linked.
``suite``
    All async tests without a mark, explored after they have passed: ``--aldente-explore``.
``first_loop``
    Starts the rules with the first event loop of a suite without async tests.
``findings``
    The findings: collected while tests run, charged to tests, and shown.
``shared_fixtures``
    Async fixtures that tests of aldente and of another framework request.
``refusals``
    The messages for tests that are not run.
``pytest_asyncio``
    The names and fixtures of pytest-asyncio that test suites and plugins use, and how aldente
    provides them in its place.
``pytest_compat``, ``runtime_compat``
    The only modules that touch private names of pytest: in general; and while tests run, of its
    output and of what is set up.

How an async test runs: if the suite has one, `collection.prepare` registers ``run.tests``, and
`collection.note_marks` starts the rules. When pytest calls the test, ``run.tests`` replaces its
function by a synchronous one, which gets a `LoopRunner` from `LoopRegistry` in ``run.loops``;
``loop_scopes`` tells to which node the loop belongs. `LoopRunner.run` runs the coroutine, and
``run.outcomes`` raises its exceptions again for the user. A finalizer of the node closes the loop.
``explore.test`` does all this for an explored test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from aldente import _imports

_imports.find_first()

from aldente._plugin import (  # noqa: E402
    asyncio_mark,
    collection,
    loop_factories,
    option_table,
    options,
    pytest_compat,
)
from aldente._plugin.findings import hooks  # noqa: E402
from aldente._plugin.ownership import (  # noqa: E402
    is_async_function,
    is_own_async_fixture,
    item_involving_loops,
)
from aldente._plugin.pytest_asyncio import loop_fixtures, replace  # noqa: E402
from aldente._plugin.session import state_of  # noqa: E402

if TYPE_CHECKING:
    from aldente._doubles.collection import Doubles
    from aldente._simulation.network_api import Network
    from aldente._virtual_time.clock import Clock


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # Here, because pytest imports conftest files before pytest_configure.
    replace.take_place(pluginmanager)
    option_table.add_options(parser)
    loop_factories.add_hook(pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    # argparse takes any argument for the value of an option that may have one: a path, too.
    option_table.complete_bare_options(args)


def pytest_configure(config: pytest.Config) -> None:
    options.check_configuration(config)
    asyncio_mark.register(config)
    config.pluginmanager.register(hooks.FindingsHooks(config), hooks.NAME)
    config.add_cleanup(lambda: replace.give_back_names(config.pluginmanager))
    if "ALDENTE_WORKER" in os.environ:
        from aldente._plugin.explore import worker

        worker.register(config)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    return options.explain_rules(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    return options.header_line(config, replace.real_version())


# Before pytest's own, which parametrizes tests by the parameters of their fixtures.
@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    loop_fixtures.request_for(metafunc)
    if is_async_function(metafunc.function):
        loop_factories.parametrize(metafunc)


# Before all others, which may select by the mark and order by the requested fixtures. A hook for
# each item would cost several times as much.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config,
    items: list[pytest.Item],  # the names are pytest's
) -> Generator[None, None, None]:
    collection.prepare(items, config)
    result = yield
    collection.note_marks(items, config)
    return result


@pytest.fixture
@pytest_compat.as_aldentes
def clock(request: pytest.FixtureRequest) -> Clock:
    """The time of the event loop that the test runs on: read it, and move it if it is virtual."""
    from aldente._plugin.run.loops import make_clock

    return make_clock(request.node)


@pytest.fixture
@pytest_compat.as_aldentes
def network() -> Network:
    """The network of an explored test: its hosts, the links between them, and their faults."""
    from aldente._simulation.network_api import Network

    return Network()


@pytest.fixture
@pytest_compat.as_aldentes
def doubles(pytestconfig: pytest.Config) -> Generator[Doubles]:
    """Makes doubles and patches them in; undoes all patches and checks them at teardown."""
    from aldente._doubles.collection import Doubles

    made = Doubles()
    try:
        yield made
    finally:
        made.end(has_failed=state_of(pytestconfig).has_failed)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    __tracebackhide__ = True
    try:
        restore = _prepare_set_up(fixturedef, request)
        try:
            return (yield)
        finally:
            if restore is not None:
                restore()
    except BaseException as error:
        pytest_compat.remember_failure(fixturedef, request, error)
        raise


def _prepare_set_up(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Callable[[], object] | None:
    __tracebackhide__ = True
    if fixturedef.argname == loop_fixtures.POLICY and loop_fixtures.is_override(fixturedef):
        loop_fixtures.warn_of_policy(fixturedef)
    if fixturedef.scope != "function":
        # Most suites have none.
        from aldente._plugin import shared_fixtures

        shared_fixtures.note(fixturedef, request)
    item = item_involving_loops(request)
    if item is None and not is_own_async_fixture(fixturedef, request):
        return None
    from aldente._plugin.run import fixtures

    return fixtures.prepare(fixturedef, request)
