"""The ``asyncio`` mark, with the meaning that pytest-asyncio gives it."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from aldente._plugin import ownership
from aldente._plugin.explore.state import is_marked_itself
from aldente._plugin.marks import MARK, has_timeout, has_virtual_time
from aldente._records import LoopScope
from aldente._settings import parse_loop_scope
from aldente.errors import InvalidSetting

_ARGUMENTS = {"loop_scope", "scope", "loop_factories"}


def register(config: pytest.Config) -> None:
    """Register the marks for ``--strict-markers`` and ``pytest --markers``."""
    config.addinivalue_line(
        "markers",
        "asyncio(loop_scope=None, loop_factories=None): run the async test on the event loop of a "
        "scope (function, class, module, package or session), once for each named loop factory.",
    )
    config.addinivalue_line(
        "markers",
        "aldente(...): made by aldente.allow(rule, ...), aldente.rule(name, level) and "
        "aldente.timeout(seconds), aldente.virtual_time, aldente.real_time and "
        "aldente.explore(...).",
    )


def mark_without_effect(item: pytest.Item) -> str | None:
    """The warning for a test that has a mark which only aldente's async tests heed; else None."""
    if not isinstance(item, pytest.Function):
        return None
    if ownership.is_async_function(item.obj):
        return _mark_on_test_of_others(item)
    if ownership.has_asyncio_mark(item):
        return (
            f"The test {item} is marked with '@pytest.mark.asyncio' but it is not an async "
            "function. Please remove the asyncio mark. If the test is not marked explicitly, check "
            "for global marks applied via 'pytestmark'."
        )
    if is_marked_itself(item):
        return (
            f"The test {item} is marked with aldente.explore() but it is not an async function, so "
            "it has no schedules, and is run once. Fix: make it async, or remove the mark."
        )
    if has_timeout(item):
        return (
            f"The test {item} is marked with aldente.timeout() but it is not an async function, so "
            "nothing ends it. Fix: make it async, or use a plugin for time-outs of sync tests."
        )
    return None


class WarnOfMarks:
    """A plugin of runs that have marks without effect: warns of each, in the test that has it.

    Where warnings are errors, it is this test that fails.

    Args:
        warnings_of_tests: the warnings, by the node id of the test.
    """

    def __init__(self, warnings_of_tests: Mapping[str, str]) -> None:
        self._warnings = warnings_of_tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        __tracebackhide__ = True
        if item.nodeid not in self._warnings:
            return
        try:
            item.warn(pytest.PytestWarning(self._warnings[item.nodeid]))
        except pytest.PytestWarning as error:
            # The traceback has no line of the test, which has not begun.
            path, line, _ = item.location
            error.add_note(f"It is about {item.name} at {path}:{(line or 0) + 1}.")
            raise


def _mark_on_test_of_others(item: pytest.Item) -> str | None:
    """The warning for an async test that another tool runs, and that is marked itself, or None."""
    if is_marked_itself(item):
        name, effect = "aldente.explore()", "it is run once"
    elif has_virtual_time(item):
        name, effect = "aldente.virtual_time", "its time is real"
    elif has_timeout(item):
        name, effect = "aldente.timeout()", "nothing ends it"
    else:
        return None
    runner = ownership.other_runner(item)
    if runner is None:
        return None
    return (
        f"The test {item} is marked with {name}, but aldente does not run it ({runner}), so "
        f"{effect}. Fix: remove this mark, or have aldente run the test."
    )


def check(mark: pytest.Mark, nodeid: str) -> None:
    """Fail the test when the mark has wrong arguments.

    Args:
        mark: an ``asyncio`` mark.
        nodeid: the test's node id, which begins the message.
    """
    keywords = mark.kwargs
    if mark.args or set(keywords) - _ARGUMENTS:
        pytest.fail(
            f"{nodeid}: mark.asyncio accepts only keyword arguments 'loop_scope' and "
            f"'loop_factories'. It got {_written(mark)}.",
            pytrace=False,
        )
    if "scope" in keywords:
        if "loop_scope" in keywords:
            pytest.fail(
                f'{nodeid}: An asyncio pytest marker defines both "scope" and "loop_scope", but it '
                'should only use "loop_scope".',
                pytrace=False,
            )
        warnings.warn(
            pytest.PytestDeprecationWarning(
                f'{nodeid}: The "scope" keyword argument to the asyncio marker has been '
                'deprecated. Please use the "loop_scope" argument instead.'
            ),
            stacklevel=2,
        )
    wrong = _wrong_loop_scope(mark)
    if wrong is not None:
        pytest.fail(
            f"{nodeid}: mark.asyncio got an unexpected loop scope value {wrong.value!r}. "
            f"{wrong.allowed}\n"
            f"It was given as loop_scope={wrong.value!r} ({type(wrong.value).__name__}).",
            pytrace=False,
        )
    factories = keywords.get("loop_factories")
    if factories is not None and not _are_names(factories):
        pytest.fail(
            f"{nodeid}: mark.asyncio 'loop_factories' must be a non-empty sequence of strings. "
            f"It got {factories!r} ({type(factories).__name__}).",
            pytrace=False,
        )


def refuse_late(item: pytest.Item, before: Collection[pytest.Mark]) -> None:
    """Fail a test that was given a mark in its set-up that says on which loop, or how, it runs.

    Args:
        item: the test, which is set up.
        before: the marks of its own that it had before that.
    """
    if len(item.own_markers) == len(before):
        return
    for mark in item.own_markers:
        if mark not in before and _is_about_loop(mark):
            pytest.fail(
                f"a fixture gave {item.name!r} the mark {_written(mark)}, which comes too late: "
                "aldente chooses the event loop of a test before it sets up the first fixture.\n"
                "Fix: mark the test where it is written, or in the hook "
                "pytest_collection_modifyitems.",
                pytrace=False,
            )


# What the mark of aldente says that decides how a test runs, rather than what is made of findings.
_ABOUT_LOOP = {"explore", "clock"}


def _is_about_loop(mark: pytest.Mark) -> bool:
    if mark.name == "asyncio":
        return bool(_ARGUMENTS & set(mark.kwargs))
    return mark.name == MARK and bool(_ABOUT_LOOP & set(mark.kwargs))


def _wrong_loop_scope(mark: pytest.Mark) -> InvalidSetting | None:
    try:
        loop_scope_of(mark)
    except InvalidSetting as error:
        return error
    return None


def loop_scope_of(mark: pytest.Mark) -> LoopScope | None:
    """The loop scope that an ``asyncio`` mark names; None when it names none.

    Raises:
        InvalidSetting: it is not the name of a scope.
    """
    value = mark.kwargs.get("loop_scope", mark.kwargs.get("scope"))
    return None if value is None else parse_loop_scope("loop_scope", value)


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(name, str) and name for name in value)
    )


def _written(mark: pytest.Mark) -> str:
    arguments = [repr(value) for value in mark.args]
    arguments += [f"{name}={value!r}" for name, value in mark.kwargs.items()]
    return f"{mark.name}({', '.join(arguments)})"
