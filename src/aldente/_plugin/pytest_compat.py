"""Private names of pytest; `runtime_compat` touches some more.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, TypeVar, cast

import pytest
from _pytest.fixtures import (
    get_scope_node,
    get_scope_package,
    pytest_fixture_setup,
    resolve_fixture_function,
)
from _pytest.main import wrap_session
from _pytest.outcomes import Failed
from _pytest.scope import Scope

from aldente._records import LoopScope
from aldente._source import warn_at
from aldente._stacks import with_callers

FixtureDef = pytest.FixtureDef[Any]

# The name of aldente's package, as its users import it.
PACKAGE = __name__.partition(".")[0]

_Function = TypeVar("_Function", bound=Callable[..., Any])

# The type of pytest.fail.Exception, which type checkers do not accept as a type.
Failure = Failed

# The code of the function that is around all of a run. Checked on pytest 8.4 to 9.2.
CODE_OF_RUN = wrap_session.__code__

# The first words of the failure with which pytest refuses an async test that no plugin has run.
_ASYNC_REFUSAL = "async def functions are not natively supported"


def item_of(request: pytest.FixtureRequest) -> pytest.Item:
    """The test for which a fixture is being set up.

    ``request.node`` is the module or session for wider fixtures. Checked on pytest 8.4 and 9.2.
    """
    item: pytest.Item = request._pyfuncitem
    return item


def closure(item: pytest.Item) -> list[FixtureDef]:
    """The definitions of the fixtures that a test is known to use or has used so far.

    Overridden ones that are requested by their overriders are among them. The public
    ``item.fixturenames`` has names only. Checked on pytest 8.4 and 9.2.
    """
    information = getattr(item, "_fixtureinfo", None)
    if information is None:
        return []
    found: list[FixtureDef] = []
    for name in information.names_closure:
        # From the closest definition to those that it overrides and requests.
        for definition in reversed(information.name2fixturedefs.get(name, ())):
            found.append(definition)
            if name not in definition.argnames:
                break
    found += used_so_far(item)
    return found


def dependencies(item: pytest.Item, fixturedef: FixtureDef) -> Iterator[FixtureDef]:
    """The definitions of the fixtures that a fixture names as its arguments, seen from a test.

    Checked on pytest 8.4 and 9.2.
    """
    information = getattr(item, "_fixtureinfo", None)
    if information is None:
        return
    for name in fixturedef.argnames:
        definitions: Sequence[FixtureDef] = information.name2fixturedefs.get(name) or ()
        if name == fixturedef.argname and fixturedef in definitions:
            definitions = definitions[: definitions.index(fixturedef)]
        if definitions:
            yield definitions[-1]


def definitions_for(item: pytest.Item, name: str) -> Sequence[FixtureDef]:
    """The definitions of a fixture that a test can see, from the widest to the closest.

    Checked on pytest 8.4 and 9.2.
    """
    return item.session._fixturemanager.getfixturedefs(name, item) or ()


def all_definitions(session: pytest.Session, name: str) -> Sequence[FixtureDef]:
    """The definitions of a fixture anywhere in the test suite so far.

    pytest 8.4 keeps them in one list, 9.2 by the nodes that see them. Checked on both.
    """
    manager: Any = session._fixturemanager
    if hasattr(manager, "_arg2fixturedefs"):
        only: Sequence[FixtureDef] = manager._arg2fixturedefs.get(name, ())
        return only
    by_node = manager._arg2node2fixturedefs.get(name)
    by_id = manager._arg2nodeid2fixturedefs.get(name)
    lists = [*(by_node.values() if by_node else ()), *(by_id.values() if by_id else ())]
    return lists[0] if len(lists) == 1 else [one for several in lists for one in several]


def fixture_value(item: pytest.Item, name: str) -> Any:
    """The value of a fixture for a test that need not have named it. Checked on 8.4 and 9.2."""
    request: Any = item._request  # type: ignore[attr-defined]
    return request.getfixturevalue(name)


def add_fixture(metafunc: pytest.Metafunc, name: str) -> None:
    """Have a test request one fixture more, with its parameters, ahead of its others.

    ``fixturenames`` is the list that the test itself will have. Checked on pytest 8.4 and 9.2.
    """
    metafunc.fixturenames.insert(0, name)
    metafunc._arg2fixturedefs[name] = definitions_for(metafunc.definition, name)


def is_inside_another_run() -> bool:
    """Whether the run of pytest that calls this was started by code of another run.

    A run knows nothing of others. The function of pytest that is around all of a run is on the
    stack once for each. Checked on pytest 8.4 to 9.2.
    """
    return sum(each.f_code is CODE_OF_RUN for each in with_callers(inspect.currentframe())) > 1


def fixture_around(frame: FrameType | None) -> FixtureDef | None:
    """The innermost fixture whose set-up or tear-down is around a frame; None if there is none.

    Only hooks see it, one for each fixture of each test. The functions of pytest that do
    it have the fixture in a variable. Checked on pytest 8.4 to 9.2.
    """
    while frame is not None:
        name = _FIXTURE_CODES.get(frame.f_code)
        if name is not None:
            fixturedef: FixtureDef = frame.f_locals[name]
            return fixturedef
        frame = frame.f_back
    return None


_FIXTURE_CODES: dict[CodeType, str] = {
    pytest_fixture_setup.__code__: "fixturedef",
    pytest.FixtureDef.finish.__code__: "self",
}


def used_so_far(item: pytest.Item) -> Iterable[FixtureDef]:
    """The definitions of the fixtures set up for a test. Checked on pytest 8.4 and 9.2."""
    return used_so_far_by_name(item).values()


def node_of_fixture_scope(
    item: pytest.Item, fixturedef: FixtureDef, scope: LoopScope
) -> pytest.Item | pytest.Collector:
    """The node of the collection tree that a scope means for a fixture that a test requests.

    It is the node with which pytest caches a fixture of that scope: a package is the one whose
    conftest defines the fixture. Checked on pytest 8.4 and 9.2.
    """
    node: Any
    if scope is LoopScope.FUNCTION:
        node = item
    elif scope is LoopScope.PACKAGE:
        node = get_scope_package(item, fixturedef)
    else:
        node = get_scope_node(item, Scope(scope.value))
    return item if node is None else node


def caching_scope(fixturedef: FixtureDef, item: pytest.Item) -> LoopScope:
    """The scope for which pytest caches a fixture's value when a test requests it.

    ``parametrize(..., indirect=True, scope=...)`` overrides the fixture's own. Checked on pytest
    8.4 and 9.2.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is not None and fixturedef.argname in callspec.params:
        return LoopScope(callspec._arg2scope[fixturedef.argname].value)
    return LoopScope(fixturedef.scope)


def is_unittest(item: pytest.Item) -> bool:
    """Whether unittest runs a test, which it does with a loop of its own if it is async.

    ``nofuncargs`` marks items of unittest, whose class is private. Checked on pytest 8.4 and 9.2.
    """
    return getattr(item, "nofuncargs", False) is True


def failures_of_unittest(item: pytest.Item) -> list[pytest.ExceptionInfo[BaseException]]:
    """What unittest has caught in a test, of which pytest takes one for each phase; may be changed.

    pytest's own hook takes the first out of ``_excinfo`` as it makes the report. Checked on pytest
    8.4 and 9.2.
    """
    return getattr(item, "_excinfo", None) or []


def bound_function(fixturedef: FixtureDef, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The function of a fixture, bound to the test's instance when it is a method.

    pytest 9.2 deprecates that for wide fixtures. It warns at the line that calls its own function,
    which is this module's here; the warning is given with the place of the fixture instead. Checked
    on pytest 8.4 and 9.2.
    """
    __tracebackhide__ = True
    function = fixturedef.func
    if fixturedef.scope == "function" or not inspect.ismethod(function):
        return resolve_fixture_function(fixturedef, request)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        bound = resolve_fixture_function(fixturedef, request)
    for warning in given:
        # A Warning, as nothing else is recorded.
        warn_at(function, cast(Warning, warning.message))
    return bound


def finisher(fixturedef: FixtureDef, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Return the function that tears a fixture down and clears its value.

    ``finish`` is how pytest itself ends a fixture when one that it depends on ends. Checked on
    pytest 8.4 and 9.2.
    """
    subrequest: Any = request
    return lambda: fixturedef.finish(subrequest)


def cache_failure(fixturedef: FixtureDef, error: BaseException) -> None:
    """Make every further request of a fixture raise an error, as if its set-up had raised it.

    Checked on pytest 8.4 and 9.2, where ``cached_result`` is (value, cache key, failure).
    """
    if fixturedef.cached_result is not None:
        key = fixturedef.cached_result[1]
        fixturedef.cached_result = (None, key, (error, error.__traceback__))


def remember_failure(
    fixturedef: FixtureDef, request: pytest.FixtureRequest, error: BaseException
) -> None:
    """Have pytest tear down a fixture whose set-up failed, no matter what raised the error.

    pytest remembers what the function of a fixture raises, but not what the hook around it does,
    as when pytest itself refuses an async fixture: the fixture would not be torn down, and the next
    test that requests it would fail with a bare AssertionError. Checked on pytest 8.4 and 9.2.
    """
    if fixturedef.cached_result is None:
        key = fixturedef.cache_key(request)  # type: ignore[arg-type]
        fixturedef.cached_result = (None, key, (error, error.__traceback__))


def parameters_of(item: pytest.Item) -> dict[str, Any]:
    """The parameters of a parametrised test by name.

    ``callspec`` is not documented, though many plugins read it. Checked on pytest 8.4 and 9.2.
    """
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def is_async_refusal(failure: Failure) -> bool:
    """Whether a failure is pytest's refusal to run an async test or to accept an awaitable result.

    pytest raises it as a plain failure. Checked on pytest 8.4 and 9.2.
    """
    return str(failure.msg).startswith(_ASYNC_REFUSAL)


def is_async_fixture_refusal(error: BaseException | None) -> bool:
    """Whether an error is pytest's refusal to set up an async fixture.

    pytest 8.4 warns of them, which is an error only if warnings are. Checked on pytest 8.4 and 9.2.
    """
    is_refusal = isinstance(error, Failed | pytest.PytestDeprecationWarning)
    return is_refusal and " requested an async fixture " in str(error).partition("\n")[0]


def returned_by_test(failure: Failure) -> object:
    """The awaitable that a test returned and pytest refused; None if the test did not run.

    It is a local variable of the hook implementation that refused. Checked on pytest 8.4 and 9.2.
    """
    traceback = failure.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "pytest_pyfunc_call" and "result" in frame.f_locals:
            return frame.f_locals["result"]
        traceback = traceback.tb_next
    return None


def forget_ini(parser: pytest.Parser, name: str) -> None:
    """Allow an ini key to be added again, with another default.

    pytest 9 refuses a key that another plugin has added. Checked on pytest 8.4 and 9.2.
    """
    parser._inidict.pop(name, None)
    names: list[str] = getattr(parser, "_ininames", [])
    if name in names:
        names.remove(name)


def configuration_keys(config: pytest.Config) -> list[str]:
    """The keys of the user's configuration file.

    ``config.inicfg`` is deprecated since pytest 9, without a public successor that lists keys that
    no plugin knows. Checked on pytest 8.4 and 9.2.
    """
    configuration = getattr(config, "_inicfg", None)
    if configuration is None:
        configuration = config.inicfg
    return list(configuration)


def flag_or_text(config: pytest.Config, name: str) -> object:
    """The value of an ini key that is a string, or in a native TOML table also true or false.

    pytest 9.0 has no type for that, and refuses what is not of the type by one error or another, so
    what is written there is looked at as it is. Checked on pytest 8.4 and 9.2.
    """
    try:
        return config.getini(name)
    except (TypeError, DeprecationWarning, pytest.UsageError):
        return written(config, name)


def written(config: pytest.Config, name: str) -> object:
    """What is written for an ini key, of any type. Checked on pytest 8.4 and 9.2."""
    given = config._inicfg[name] if hasattr(config, "_inicfg") else config.inicfg[name]
    return getattr(given, "value", given)


def known_configuration_keys(config: pytest.Config) -> list[str]:
    """The ini keys that pytest and all plugins have registered. Checked on pytest 8.4 and 9.2."""
    return list(config._parser._inidict)


def excinfo_of_failure(message: str) -> pytest.ExceptionInfo[BaseException]:
    """The exception info for a failure with a message but without a useful traceback.

    `pytest.fail` raises the same. Checked on pytest 8.4 and 9.2.
    """
    try:
        raise Failed(message, pytrace=False)
    except Failed as failure:
        return pytest.ExceptionInfo.from_exception(failure)


def as_aldentes(function: _Function) -> _Function:
    """Have pytest list a fixture under the name of the package, not of a private module.

    ``pytest --fixtures`` takes it from ``__module__``. Checked on pytest 8.4 and 9.2.
    """
    function.__module__ = PACKAGE
    return function


def set_headline(report: pytest.TestReport, text: str) -> None:
    """Set what pytest's short summary, and the message in JUnit XML, say of a failure.

    That is the message of ``reprcrash``, which is not documented; without one the text of the
    failure is taken. Checked on pytest 8.4 and 9.2.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = text


def note_value(item: pytest.Item, fixturedef: FixtureDef, value: object) -> None:
    """Replace the value of a fixture that is set up, for requests from now on.

    A request looks for it in ``_fixture_defs``, and reads its ``cached_result``, which is (value,
    cache key, failure). ``funcargs`` is documented on the request only. Checked on pytest 8.4 and
    9.2.
    """
    if fixturedef.cached_result is not None:
        fixturedef.cached_result = (value, fixturedef.cached_result[1], None)
    used_so_far_by_name(item)[fixturedef.argname] = fixturedef
    arguments = getattr(item, "funcargs", {})
    if fixturedef.argname in arguments:
        arguments[fixturedef.argname] = value


class FixtureOnDemand:
    """Replaces a fixture's definition; sets the fixture up when its value is requested."""

    def __init__(self, fixturedef: FixtureDef, set_up: Callable[[], object]) -> None:
        self.fixturedef = fixturedef
        self._set_up = set_up

    @property
    def cached_result(self) -> object:
        """The definition's, once the fixture is set up."""
        self._set_up()
        return self.fixturedef.cached_result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fixturedef, name)


def set_up_on_demand(
    item: pytest.Item, fixturedef: FixtureDef, set_up: Callable[[], object]
) -> None:
    """Call a function when a test or fixture requests a fixture by its name.

    Only until `note_value`. Checked on pytest 8.4 and 9.2.
    """
    definitions: dict[str, Any] = used_so_far_by_name(item)
    if definitions.get(fixturedef.argname) is fixturedef:
        definitions[fixturedef.argname] = FixtureOnDemand(fixturedef, set_up)


def count_of_finalizers(fixturedef: FixtureDef) -> int:
    """How many finalizers a fixture has. Checked on pytest 8.4 and 9.2."""
    return len(fixturedef._finalizers)


def take_finalizer(fixturedef: FixtureDef, count: int) -> Callable[[], object] | None:
    """Remove and return the last finalizer of a fixture; None if there are no more than `count`.

    Checked on pytest 8.4 and 9.2.
    """
    finalizers = fixturedef._finalizers
    return finalizers.pop() if len(finalizers) > count else None


def forget_fixture(item: pytest.Item, fixturedef: FixtureDef) -> None:
    """Have a fixture set up again when a test requests it by its name again.

    Checked on pytest 8.4 and 9.2, where a request looks into ``_fixture_defs`` first.
    """
    definitions: Any = used_so_far_by_name(item)
    if definitions.get(fixturedef.argname) is fixturedef:
        del definitions[fixturedef.argname]


def used_so_far_by_name(item: pytest.Item) -> dict[str, FixtureDef]:
    """The definitions of the fixtures set up for a test. Checked on pytest 8.4 and 9.2."""
    request = getattr(item, "_request", None)
    definitions: dict[str, FixtureDef] = request._fixture_defs if request else {}
    return definitions


def renew_instance(item: pytest.Item) -> None:
    """Give a test that is a method a new instance of its class.

    pytest makes one for each test, kept in ``_instance``. Checked on pytest 8.4 and 9.2.
    """
    if isinstance(item.parent, pytest.Class):
        parent: Any = item.parent
        item._instance = parent.newinstance()  # type: ignore[attr-defined]


def stashed(item: pytest.Item) -> dict[Any, Any]:
    """The whole stash of a test. Checked on pytest 8.4 and 9.2.

    The tear-down of some fixtures, such as ``tmp_path``, removes what their set-up needs.
    """
    storage: dict[Any, Any] = item.stash._storage
    return storage
