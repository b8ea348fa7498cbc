"""The fixture ``event_loop``, which pytest-asyncio had up to 0.23.

Suites still override it or request it.
"""

from __future__ import annotations

import warnings

import pytest

from aldente._plugin import pytest_compat
from aldente._source import is_users, place_of_function

NAME = "event_loop"

_NOT_FOUND = """\
pytest-asyncio had the fixture 'event_loop' up to 0.23; its newer versions and aldente have none.
Fix: remove it from the arguments. asyncio.get_running_loop() gives the loop inside an async test
or fixture; a sync test becomes 'async def', or calls asyncio.run()."""


def warn_of_overrides(session: pytest.Session) -> None:
    """Warn of each definition in the test suite, at its line, if the suite has async tests.

    Through pytest's hook, as `warnings.warn` raises where warnings are errors, and the fixture does
    no harm.
    """
    for fixturedef in pytest_compat.all_definitions(session, NAME):
        place = place_of_function(fixturedef.func, session.startpath)
        if not is_users(place_of_function(fixturedef.func, session.startpath / "-").path):
            continue
        message = warnings.WarningMessage(
            pytest.PytestWarning(_overridden(fixturedef.scope)),
            pytest.PytestWarning,
            place.path,
            place.line,
        )
        session.config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": message,
                "when": "collect",
                "nodeid": "",
                "location": (place.path, place.line, NAME),
            }
        )


def _overridden(scope: str) -> str:
    shared = (
        ""
        if scope == "function"
        else (
            f" Async fixtures of scope {scope!r} share one loop with the tests that use them; for "
            f"all tests to share it, set asyncio_default_test_loop_scope = {scope}."
        )
    )
    return (
        "The fixture 'event_loop' has no effect on async tests and fixtures: pytest-asyncio "
        f"took their loop from it up to 0.23 only.\nFix: remove it.{shared} For a loop of "
        "another kind, write the hook pytest_asyncio_loop_factories."
    )


def is_missing(error: BaseException) -> bool:
    """Whether an error is pytest's for a missing fixture ``event_loop``."""
    return isinstance(error, pytest.FixtureLookupError) and error.argname == NAME


def explain_missing(report: pytest.TestReport) -> None:
    """Add to pytest's "not found" what to use instead."""
    representation = report.longrepr
    text: str | None = getattr(representation, "errorstring", None)
    if text is not None:
        vars(representation)["errorstring"] = f"{text}\n{_NOT_FOUND}"
