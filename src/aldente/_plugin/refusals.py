"""The messages for tests that are not run: clearer ones than pytest's, and those of strict mode."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from aldente._plugin import ownership, pytest_compat
from aldente._plugin.options import settings_of
from aldente._plugin.ownership import is_decorated
from aldente._plugin.pytest_compat import Failure
from aldente._plugin.session import state_of
from aldente._records import Finding, SourcePlace
from aldente._rules import never_awaited
from aldente._source import place_of_function, warn_at

# pytest 8.4.0 does not have the special one, which came back with 8.4.1.
_ReturnedValueWarning = getattr(pytest, "PytestReturnNotNoneWarning", pytest.PytestWarning)


def explain(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Replace pytest's refusal of an async test by a clearer failure.

    An awaitable that a sync test returned is reported as never awaited. Where that rule is off,
    the failure stays as it is.
    """
    failure = call.excinfo.value if call.excinfo is not None else None
    if not isinstance(item, pytest.Function):
        return
    if call.when == "setup" and pytest_compat.is_async_fixture_refusal(failure):
        text = explain_refused_fixture(item)
        if text is not None:
            call.excinfo = pytest_compat.excinfo_of_failure(text)
        return
    if not isinstance(failure, Failure) or not pytest_compat.is_async_refusal(failure):
        return
    result = pytest_compat.returned_by_test(failure)
    if result is not None:
        if _report(item, result, is_async=False):
            call.excinfo = None
    elif settings_of(item.config).mode == "strict" and not ownership.is_claimed_elsewhere(item):
        call.excinfo = pytest_compat.excinfo_of_failure(_message_for_unmarked(item))


def refuse_async_generator(item: pytest.Function) -> NoReturn:
    """Fail a test that is an async generator."""
    pytest.fail(
        f"{place(item)}: {item.originalname!r} is an async generator, because it contains 'yield', "
        "so calling it runs none of its code.\n"
        "Tests can't yield: as a test it would always pass.\n"
        "Fix: remove the 'yield'; to set up and tear down around a test, move it to a fixture.",
        pytrace=False,
    )


def refuse_result(item: pytest.Function, result: object) -> None:
    """Report an async test that returned an awaitable, and warn of one that returned a value.

    pytest 8.4.0 would fail a test that returns a value, so pytest does not get it.
    """
    if hasattr(result, "__await__") or hasattr(result, "__aiter__"):
        _report(item, result, is_async=True)
        return
    warn_at(
        item.obj,
        _ReturnedValueWarning(
            f"Test functions should return None, but {item.nodeid} returned {type(result)!r}.\n"
            "Did you mean to use `assert` instead of `return`?"
        ),
    )


def _report(item: pytest.Function, result: object, *, is_async: bool) -> bool:
    """Report an awaitable that a test returned, as the rule never-awaited does."""
    session = state_of(item.config)
    if session.never_awaited is None:
        return False
    if inspect.iscoroutine(result):
        # So that Python does not also warn that it was never awaited.
        result.close()
    name = item.originalname
    if is_async:
        what = f"{name!r} returned {_kind(result)}, and nothing awaited it."
        fix = "'await' it in the test, and assert on its result."
    else:
        what = f"{name!r} is a plain function that returned {_kind(result)}; nothing awaited it."
        fix = (
            f"Write 'async def {name}' and await the call inside. If {name!r} is already async, "
            "one of its decorators hides it: have the decorator return an 'async def' function."
        )
    code = inspect.unwrap(getattr(item.obj, "__func__", item.obj)).__code__
    where = SourcePlace(code.co_filename, code.co_firstlineno)
    finding = Finding(never_awaited.RULE.name, what, fix, where, made_by=item.nodeid, subject=name)
    session.collector.report(finding)
    return True


def _message_for_unmarked(item: pytest.Function) -> str:
    return (
        f"{place(item)}: async test {item.originalname!r} has no 'asyncio' mark, and "
        "asyncio_mode=strict runs only marked tests; the mode is set by "
        f"{source(item.config)}.\n"
        "Fix: mark it with @pytest.mark.asyncio, or set asyncio_mode=auto to run every async "
        "test.\n"
        "(async def functions are not natively supported by pytest.)"
    )


def _kind(result: object) -> str:
    name = getattr(result, "__qualname__", None)
    if inspect.iscoroutine(result):
        return f"the coroutine {name!r}"
    if inspect.isasyncgen(result):
        return f"the async generator {name!r}"
    return f"an awaitable ({type(result).__name__})"


def place(item: pytest.Function) -> str:
    """The file and line of a test."""
    path, line, _ = item.location
    return path if line is None else f"{path}:{line + 1}"


def warn_of_unmarked_fixtures(item: pytest.Function) -> None:
    """Warn of async fixtures that a test requests and strict mode does not run.

    The test gets the coroutine or async generator itself.
    """
    for fixturedef in left_alone(item):
        warn_at(
            fixturedef.func,
            pytest.PytestDeprecationWarning(
                f"asyncio test {item.name!r} requested async @pytest.fixture "
                f"{fixturedef.argname!r} in strict mode. You might want to use "
                "@pytest_asyncio.fixture or switch to auto mode. This will become an error in "
                "future versions of pytest-asyncio. (The mode is set by "
                f"{source(item.config)}.)"
            ),
        )


def left_alone(item: pytest.Item) -> Iterator[pytest.FixtureDef[Any]]:
    """The async fixtures that a test requests and strict mode does not run."""
    if settings_of(item.config).mode != "strict":
        return
    for fixturedef in pytest_compat.closure(item):
        function = fixturedef.func
        if ownership.is_async_fixture_function(function) and not is_decorated(function):
            yield fixturedef


def source(config: pytest.Config) -> str:
    """Where the user set the mode, as written."""
    if config.getoption("asyncio_mode", None):
        return f"--asyncio-mode={config.getoption('asyncio_mode')}"
    overridden = config.getoption("override_ini", None) or ()
    if any(str(setting).startswith("asyncio_mode=") for setting in overridden):
        return "-o asyncio_mode=strict"
    if config.inipath is None:
        return "asyncio_mode = strict"
    path = config.inipath
    folder = config.invocation_params.dir
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"asyncio_mode = strict in {shown}"


def explain_refused_fixture(item: pytest.Item) -> str | None:
    """The message when pytest has refused an async fixture that strict mode leaves alone."""
    for fixturedef in left_alone(item):
        place = place_of_function(fixturedef.func, item.config.rootpath)
        return (
            f"{item.name!r} requested the async fixture {fixturedef.argname!r} ({place}), which "
            f"strict mode does not run; the mode is set by {source(item.config)}.\n"
            "Strict mode runs only async fixtures that are made by @pytest_asyncio.fixture.\n"
            "Fix: write @pytest_asyncio.fixture there, or set asyncio_mode = auto to run every "
            "async test and fixture.\n"
            f"(pytest itself does not support async fixtures: {fixturedef.argname!r} was requested "
            "with no plugin or hook that handled it.)"
        )
    return None
