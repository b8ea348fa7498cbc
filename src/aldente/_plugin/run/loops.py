"""The event loops of a session and what lives on them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import warnings
import weakref
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import pytest

from aldente import _asyncio_compat
from aldente._own_errors import contained
from aldente._plugin import loop_factories, ownership, pytest_compat, test_time
from aldente._plugin.explore.state import explored_test
from aldente._plugin.loop_factory_fixture import FACTORY_FIXTURE
from aldente._plugin.loop_scopes import LoopHome, home_of_test, home_without_fixtures
from aldente._plugin.marks import timeout_of
from aldente._plugin.options import settings_of
from aldente._plugin.pytest_asyncio import loop_fixtures
from aldente._plugin.run.loop_watch import watch_of
from aldente._plugin.run.other_loops import LoopOwners, note_other_loop
from aldente._records import LoopScope
from aldente._runner.context import IsolatedContext
from aldente._runner.generator_task import GeneratorHost
from aldente._runner.pool import LoopPool
from aldente._runner.runner import LoopRunner
from aldente.errors import BlockedEnd, StuckShutdown, StuckTasks

if TYPE_CHECKING:
    from aldente._virtual_time.clock import Clock

FixtureDef = pytest.FixtureDef[Any]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# The node whose end closes the loop, the loop factory, and the event loop policy.
_Key = tuple[pytest.Item | pytest.Collector, LoopFactory | None, object]


class LoopRegistry:
    """Keeps one runner for each loop in use, and closes it at the end of the node it belongs to.

    Attributes:
        homes: the loops of the async fixtures that are set up now.
        hosts: the tasks of the async generator fixtures that are set up now.
        wide_hosts: those among them that outlive the test.
        may_be_virtual: whether a test may have virtual time, or requests its clock.
        isolation: the context of the synchronous function-scoped fixtures of the current test.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._interrupted = False
        self._pool = LoopPool()
        self.owners = LoopOwners()
        self.watch = watch_of(config)
        self._timeout = settings_of(config).timeout
        self.may_be_virtual = test_time.may_be_virtual(config)
        # None leaves the choice to asyncio, which reads PYTHONASYNCIODEBUG.
        self._debug = True if settings_of(config).debug else None
        config.add_cleanup(self._pool.close)
        self.homes: dict[FixtureDef, LoopHome] = {}
        self.hosts: dict[FixtureDef, GeneratorHost[Any]] = {}
        self.wide_hosts: set[GeneratorHost[Any]] = set()
        self.isolation = IsolatedContext()
        # How many loops were made that outlive a test, and the test for which one is current.
        self._wide_loops = 0
        self._wide_runners: weakref.WeakSet[LoopRunner] = weakref.WeakSet()
        self._current_for: pytest.Item | None = None
        # The last test before whose first fixture `make_current` was called.
        self._begun: pytest.Item | None = None
        self._begun_runner: LoopRunner | None = None
        self._runners: dict[_Key, LoopRunner] = {}
        # A closed runner that is like new, for the next test.
        self._spare: LoopRunner | None = None

    def runner_of_test(self, item: pytest.Item) -> LoopRunner:
        """The runner of the loop of an async test whose fixtures are set up."""
        home = home_of_test(item, self.homes) if self.homes else home_without_fixtures(item)
        return self._runner(home, item, pytest_compat.parameters_of(item).get(FACTORY_FIXTURE))

    def runner(self, home: LoopHome, item: pytest.Item) -> LoopRunner:
        """The runner of a loop, for use by a test or its fixtures; created if there is none."""
        factory: LoopFactory | None = pytest_compat.parameters_of(item).get(FACTORY_FIXTURE)
        if factory is None and not ownership.is_own_async_test(item):
            factory = loop_factories.first_of(item)
        return self._runner(home, item, factory)

    def _runner(self, home: LoopHome, item: pytest.Item, factory: LoopFactory | None) -> LoopRunner:
        policy = loop_fixtures.use_for_test(item)
        key = (home.node, factory, policy)
        runner = self._runners.get(key)
        if runner is None:
            self.watch.makers.is_noting = False
            try:
                runner = self._make_runner(home, item, factory)
            finally:
                self.watch.makers.is_noting = True
            self._runners[key] = runner
            home.node.addfinalizer(functools.partial(self._close, key))
            if factory is not None or policy is not None:
                self.end_with_factory(item, lambda: self._close(key))
            if home.scope is not LoopScope.FUNCTION:
                self._wide_loops += 1
                self._wide_runners.add(runner)
                with contextlib.suppress(TypeError):
                    # Loops of other kinds may not support weak references.
                    self.watch.wide_loops.add(runner.loop)
        if home.scope is not LoopScope.FUNCTION:
            # A run makes it the current loop, which the next test must not inherit.
            self._forget_current_loop_after(item)
        runner.timeout = timeout_of(item, self._timeout)
        return runner

    def _make_runner(
        self, home: LoopHome, item: pytest.Item, factory: LoopFactory | None
    ) -> LoopRunner:
        is_virtual = False
        if self.may_be_virtual:
            from aldente._plugin.run import virtual

            virtual_factory = virtual.loop_factory(home, item, self.watch)
            if virtual_factory is not None:
                factory, is_virtual = virtual_factory, True
        if factory is not None:
            runner = LoopRunner(factory, self._debug, observer=self.watch, is_virtual=is_virtual)
        elif self._spare is not None:
            runner, self._spare = self._spare, None
            runner.open_again()
        else:
            keep = self._pool.keep
            runner = LoopRunner(self._pool, self._debug, keep=keep, observer=self.watch)
        self.watch.prepare(runner)
        return runner

    def begin_time(self, item: pytest.Item, runner: LoopRunner) -> None:
        """Prepare the time for a call of a test function; only with `may_be_virtual`."""
        __tracebackhide__ = True
        from aldente._plugin.run import virtual

        if runner in self._wide_runners:
            virtual.begin_on_wide_loop(item, runner.loop)
        else:
            virtual.begin(item, runner.loop)

    def hint_at_polling(self, item: pytest.Item, runner: LoopRunner) -> str | None:
        """The hint for a test that waited for a clock that does not follow virtual time."""
        if not runner.is_virtual:
            return None
        from aldente._plugin.run import virtual

        return virtual.hint_at_polling(item, runner.loop)

    def hints_after(self, item: pytest.Item, runner: LoopRunner, error: BaseException) -> list[str]:
        """The hints for a test that failed, at clocks that do not follow virtual time."""
        if not runner.is_virtual:
            return []
        from aldente._plugin.run import virtual

        hints = (
            virtual.hint_at_polling(item, runner.loop),
            virtual.hint_at_clocks(item, runner.loop, error),
        )
        return [hint for hint in hints if hint is not None]

    def tasks_before(self, runner: LoopRunner) -> Collection[asyncio.Task[Any]] | None:
        """The tasks that are on a loop before a test; None if the loop is the test's own."""
        if not self._wide_loops or runner not in self._wide_runners:
            return None
        return asyncio.all_tasks(runner.loop)

    def make_current(self, item: pytest.Item) -> None:
        """Create the loop of a test, and make it current, before its first fixture is set up.

        So the loop is made before fixtures patch sockets, descriptors or logging, and in them
        ``asyncio.get_event_loop()`` returns it. It is current until the last of them is torn down,
        because finalizers run in reverse order.
        """
        if self._begun is item:
            self.make_current_again()
            return
        if not loop_fixtures.is_set_up(item):
            # A policy may come from a fixture, which must not be set up from here.
            return
        # What makes the loop may be a fixture, which comes here again.
        self._begun, self._begun_runner = item, None
        try:
            runner = self._begun_runner = self.runner(home_of_test(item, self.homes), item)
        except BaseException:
            self._begun = None
            raise
        _asyncio_compat.make_current(runner.loop)

    def make_current_again(self) -> None:
        """Make the loop of the test current again where code has run a loop of its own meanwhile.

        As `asyncio.run` does, which leaves no current loop.
        """
        if (
            self._begun_runner is not None
            # The test may request a fixture in another thread.
            and self._begun_runner.main_task is None
            and _asyncio_compat.current_event_loop() is None
        ):
            _asyncio_compat.make_current(self._begun_runner.loop)

    def _forget_current_loop_after(self, item: pytest.Item) -> None:
        if self._current_for is not item:
            self._current_for = item
            item.addfinalizer(self._forget_current_loop)

    def _forget_current_loop(self) -> None:
        # The next test may be the same once more: plugins run tests again that have failed.
        self._current_for = self._begun = self._begun_runner = None
        _asyncio_compat.forget_current_loop()

    def end_with_factory(self, item: pytest.Item, end: Callable[[], object]) -> None:
        """Call a function when pytest goes on to the next loop factory or policy of the test.

        The last registered function runs first, as with pytest's finalizers.
        """
        for fixturedef in pytest_compat.used_so_far(item):
            if fixturedef.argname in (FACTORY_FIXTURE, loop_fixtures.POLICY):
                fixturedef.addfinalizer(end)

    def hosts_used_by(self, item: pytest.Item) -> list[GeneratorHost[Any]]:
        """The tasks of the async generator fixtures that a test uses, overridden ones included."""
        if not self.wide_hosts:
            # Function-scoped fixtures are set up for one test at a time.
            return list(self.hosts.values())
        used = dict.fromkeys(pytest_compat.closure(item))
        return [self.hosts[fixturedef] for fixturedef in used if fixturedef in self.hosts]

    def note_deaths(self, item: pytest.Item) -> None:
        """Add to the error of each fixture that ended early which test was using it."""
        for host in self.hosts_used_by(item):
            if host.death is not None and not getattr(host.death, "__notes__", None):
                host.death.add_note(
                    f"Async fixture {host.label} ended with this error while {item.name!r} was "
                    "using it, so the test was cancelled."
                )

    def note_other_loop(self, error: BaseException, runner: LoopRunner) -> None:
        """Add to errors about a different or closed loop which object belongs to which loop."""
        for (node, _, _), other in self._runners.items():
            if other is not runner:
                self.owners.note(other.loop, _owner(node))
        with contained("finding which loop an object belongs to"):
            note_other_loop(error, runner.loop, self.owners)

    def _close(self, key: _Key) -> None:
        runner = self._runners.pop(key, None)
        if runner is None:
            return
        if runner is self._begun_runner:
            # The next test may be the same once more: plugins run tests again that have failed.
            self._begun = self._begun_runner = None
        self._interrupted = self._interrupted or runner.interrupted
        if runner.close_if_unused():
            if runner.can_open_again and runner not in self._wide_runners:
                self._spare = runner
            return
        if runner.loop.is_closed():
            self.watch.on_closed_loop()
            _warn_of_failed_ending("Event loop is closed")
        self.owners.note(runner.loop, _owner(key[0]))
        if isinstance(key[0], pytest.Item):
            # Findings about objects that are freed later belong to this test.
            self.watch.makers.note(runner.loop, key[0].nodeid)
        stuck = _close_runner(runner, in_hurry=self._interrupted)
        if stuck is None:
            return
        stuck = stuck.replace(f"{self._config.rootpath}{os.sep}", "")
        if self._interrupted:
            # pytest is about to exit, and catches no errors there.
            self._config.get_terminal_writer().line(f"\naldente: {stuck}")
        else:
            # No frame of the user's is on the stack, so a traceback is of no use.
            pytest.fail(stuck, pytrace=False)


def _owner(node: pytest.Item | pytest.Collector) -> str:
    """The owner of a loop, in words."""
    if isinstance(node, pytest.Item):
        return node.nodeid
    if isinstance(node, pytest.Session):
        return "the session"
    return f"{type(node).__name__.lower()} {node.nodeid}"


def _close_runner(runner: LoopRunner, *, in_hurry: bool) -> str | None:
    """Close a runner, and return a message about what did not end."""
    try:
        runner.close(in_hurry=in_hurry)
    except (StuckTasks, StuckShutdown, BlockedEnd) as stuck:
        return "\n".join([str(stuck), *getattr(stuck, "__notes__", ())])
    except RuntimeError as error:
        _warn_of_failed_ending(str(error))
    return None


def _warn_of_failed_ending(reason: str) -> None:
    warnings.warn(
        "An exception occurred during teardown of an asyncio.Runner. The reason is likely that "
        "you closed the underlying event loop in a test, which prevents the cleanup of "
        "asynchronous generators by the runner.\n"
        f"The exception was: {reason}\n"
        "aldente makes the loop and closes it, after it has ended what the test left behind. Fix: "
        "don't close the loop of a test.",
        RuntimeWarning,
        stacklevel=2,
    )


_registry_key = pytest.StashKey[LoopRegistry]()


def registry_of(session: pytest.Session) -> LoopRegistry:
    """The registry of a session; created on first use."""
    registry = session.stash.get(_registry_key, None)
    if registry is None:
        registry = session.stash[_registry_key] = LoopRegistry(session.config)
    return registry


def make_clock(item: pytest.Item) -> Clock:
    """Return the clock of a test, for its fixture."""
    explored = explored_test(item)
    if explored is not None:
        return explored.make_clock()
    from aldente._plugin.run import virtual

    registry = registry_of(item.session)
    registry.may_be_virtual = True
    return virtual.make_clock(item, registry.runner(home_of_test(item, registry.homes), item).loop)
