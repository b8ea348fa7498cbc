"""Which factory makes the event loop of a test: by hook and by mark.

The hook ``pytest_asyncio_loop_factories`` names factories; the test runs once with each of them, or
with those that its mark ``asyncio(loop_factories=[...])`` picks. Without the hook the mark can pick
``"asyncio"`` and, when the extra ``aldente[uvloop]`` is installed, ``"uvloop"``.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from aldente._plugin import asyncio_mark, loop_factory_fixture, ownership, pytest_compat
from aldente._plugin.loop_factory_fixture import FACTORY_FIXTURE
from aldente._plugin.pytest_asyncio import loop_fixtures

if TYPE_CHECKING:
    import asyncio

    LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class HookSpecifications:
    """The hooks that users may implement in a ``conftest.py``."""

    @pytest.hookspec(firstresult=True)
    def pytest_asyncio_loop_factories(
        self, config: pytest.Config, item: pytest.Item
    ) -> Mapping[str, LoopFactory] | None:
        """Name the loop factories with which a test runs.

        Args:
            config: pytest's configuration.
            item: the test, or its definition before parametrisation.

        Returns:
            A non-empty mapping of names to functions that make an event loop.
        """
        raise NotImplementedError


def add_hook(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hook, unless a pytest-asyncio that was loaded before has done so."""
    hook = getattr(pluginmanager.hook, "pytest_asyncio_loop_factories", None)
    if hook is None or not hook.has_spec():
        pluginmanager.add_hookspecs(HookSpecifications)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run an async test once with each of its loop factories, if it has any."""
    definition = metafunc.definition
    framework, mark = ownership.find_claims(definition)
    if mark is None and not metafunc.config.hook.pytest_asyncio_loop_factories.get_hookimpls():
        return
    if framework is not None:
        return
    if mark is not None:
        asyncio_mark.check(mark, definition.nodeid)
    picked = mark.kwargs.get("loop_factories") if mark is not None else None
    available = _available(metafunc, picked)
    if available is None:
        return
    names: Sequence[str] = list(available) if picked is None else picked
    if not metafunc.config.pluginmanager.is_registered(loop_factory_fixture):
        metafunc.config.pluginmanager.register(loop_factory_fixture)
    metafunc.fixturenames.append(FACTORY_FIXTURE)
    scope = asyncio_mark.loop_scope_of(mark) if mark is not None else None
    metafunc.parametrize(
        FACTORY_FIXTURE,
        [_parameter(name, available) for name in names],
        ids=(pytest.HIDDEN_PARAM,) if len(names) == 1 else names,
        indirect=True,
        scope=None if scope is None else scope.value,
    )


def first_of(item: pytest.Item) -> LoopFactory | None:
    """The loop factory for the async fixtures of a sync test: the first that the hook names.

    A sync test runs once, but its fixtures may be wide, and later async tests use them too.
    """
    hook = item.ihook.pytest_asyncio_loop_factories
    if not hook.get_hookimpls():
        return None
    return next(iter(_checked(hook(config=item.config, item=item)).values()))


def maker_of_other_loop(item: pytest.Item) -> str | None:
    """The name of the factory of a test's event loop; None for asyncio's default."""
    import asyncio

    factory = pytest_compat.parameters_of(item).get(FACTORY_FIXTURE)
    if factory in (None, asyncio.SelectorEventLoop, asyncio.new_event_loop):
        return None
    module = getattr(factory, "__module__", "")
    return f"{module}.{getattr(factory, '__qualname__', repr(factory))}"


def request_factory_first(item: pytest.Item) -> None:
    """Make a test that is parametrized by loop factory or policy request that parameter before its
    fixtures.

    So when it changes, pytest tears down what lives on the old loop before it decides whether to
    reuse it.
    """
    parameters = pytest_compat.parameters_of(item)
    if not parameters:
        return
    names: list[str] = getattr(item, "fixturenames", [])
    for name in (FACTORY_FIXTURE, loop_fixtures.POLICY):
        if name in parameters and name not in names:
            names.insert(0, name)


def _parameter(name: str, available: Mapping[str, LoopFactory]) -> Any:
    if name in available:
        return available[name]
    reason = f"Loop factory {name!r} is not available. Available factories: {', '.join(available)}."
    return pytest.param(None, marks=pytest.mark.skip(reason=reason))


def _available(
    metafunc: pytest.Metafunc, picked: Sequence[str] | None
) -> Mapping[str, LoopFactory] | None:
    """The factories by name; None if the test runs once, on asyncio's own loop."""
    hook = metafunc.definition.ihook.pytest_asyncio_loop_factories
    if hook.get_hookimpls():
        return _checked(hook(config=metafunc.config, item=metafunc.definition))
    if picked is None:
        return None
    if set(picked) <= {"asyncio", "uvloop"}:
        return _built_in()
    pytest.fail(
        f"{metafunc.definition.nodeid}: mark.asyncio 'loop_factories' requires at least one "
        f"pytest_asyncio_loop_factories hook implementation.\nIt got {list(picked)!r}; without the "
        "hook only 'asyncio' and 'uvloop' are known.",
        pytrace=False,
    )


def _built_in() -> Mapping[str, LoopFactory]:
    import asyncio

    factories: dict[str, LoopFactory] = {"asyncio": asyncio.SelectorEventLoop}
    with contextlib.suppress(ModuleNotFoundError):
        factories["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return factories


def _checked(result: object) -> Mapping[str, LoopFactory]:
    if (
        not isinstance(result, Mapping)
        or not result
        or any(not isinstance(name, str) or not name for name in result)
        or any(not callable(factory) for factory in result.values())
    ):
        raise pytest.UsageError(
            "pytest_asyncio_loop_factories must return a non-empty mapping of factory names to "
            f"callables. It returned {result!r} ({type(result).__name__})."
        )
    return dict(result)
