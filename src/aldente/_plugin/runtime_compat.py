"""Private names of pytest that are needed while tests run: its output, and what it has set up.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from _pytest.logging import caplog_handler_key
from _pytest.outcomes import OutcomeException

from aldente._plugin.pytest_compat import stashed


def forget_logs(item: pytest.Item) -> None:
    """Clear what a phase of a test has logged so far, for its report and for caplog.

    ``caplog.clear`` keeps the list of records, and knows nothing of the report's. Checked on pytest
    8.4 and 9.2.
    """
    handler = item.stash.get(caplog_handler_key, None)
    if handler is not None:
        handler.reset()
    plugin: Any = item.config.pluginmanager.get_plugin("logging-plugin")
    if plugin is not None:
        plugin.report_handler.reset()


def take_output(config: pytest.Config) -> tuple[str, str]:
    """Take the captured standard output and standard error since the last call.

    ``capsys`` and ``capfd`` read likewise, but only while they are fixtures of a test. Checked on
    pytest 8.4 and 9.2.
    """
    manager: Any = config.pluginmanager.get_plugin("capturemanager")
    if manager is None or not manager.is_globally_capturing():
        return "", ""
    output, errors = manager.read_global_capture()
    return output, errors


def write_raw(config: pytest.Config, text: str) -> None:
    """Write text to the terminal in the middle of a test that is overwritten later.

    The writer must not notice, as it knows where in the line it is. What is written then is
    captured but for ``global_and_fixture_disabled``, which live logs use. Checked on pytest 8.4 and
    9.2.
    """
    file: Any = config.get_terminal_writer()._file
    manager: Any = config.pluginmanager.get_plugin("capturemanager")
    with contextlib.nullcontext() if manager is None else manager.global_and_fixture_disabled():
        file.write(text)
        file.flush()


def is_terminal(config: pytest.Config) -> bool:
    """Whether pytest writes to a terminal. Checked on pytest 8.4 and 9.2."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    return reporter is not None and bool(reporter.isatty)


def room_in_line(config: pytest.Config) -> int:
    """How many characters fit into the current line of the terminal; 0 when it is not a terminal.

    Checked on pytest 8.4 and 9.2.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    # Without one there is no writer either.
    if reporter is None or not reporter.isatty:
        return 0
    writer: Any = config.get_terminal_writer()
    room: int = writer.fullwidth - writer.width_of_current_line - 1
    return max(room, 0)


FixtureDef = pytest.FixtureDef[Any]


@contextlib.contextmanager
def after_tear_down_of_test(item: pytest.Item, act: Callable[[], object]) -> Iterator[None]:
    """While entered, call a function when a test is torn down, before what is wider than the test.

    It is not called if the tear-down of the test fails. pytest tears all of it down in one call, at
    a place that no hook reaches. Checked on pytest 8.4 and 9.2.
    """
    state: Any = item.session._setupstate
    tear_down = state.teardown_exact

    def tear_down_in_two(next_item: pytest.Item | None) -> None:
        __tracebackhide__ = True
        try:
            tear_down(item.parent)
        except (OutcomeException, Exception) as error:
            try:
                tear_down(next_item)
            except (OutcomeException, Exception) as other:
                message = "errors during test teardown"
                raise BaseExceptionGroup(message, [other, error]) from None
            raise
        try:
            act()
        finally:
            tear_down(next_item)

    state.teardown_exact = tear_down_in_two
    try:
        yield
    finally:
        del state.teardown_exact


@contextlib.contextmanager
def set_up_again(
    item: pytest.Item, anew: Iterable[FixtureDef], stash: dict[Any, Any]
) -> Iterator[None]:
    """While entered, a test that was torn down is set up once more, without the hooks for that.

    Args:
        item: the test; what is wider than it is still set up.
        anew: the wider fixtures to set up again as well, whose values return then.
        stash: what the stash of the test held before it was torn down.

    Checked on pytest 8.4 and 9.2, which run a test again likewise after ``_initrequest``.
    """
    test: Any = item
    state: Any = item.session._setupstate
    # The method in the instance is that of `after_tear_down_of_test`.
    tear_down = functools.partial(type(state).teardown_exact, state)
    kept = [(each, each.cached_result, list(each._finalizers)) for each in anew]
    current = dict(stashed(item))
    stashed(item).update(stash)
    for definition, _, _ in kept:
        definition.cached_result = None
        definition._finalizers.clear()
    test._initrequest()
    try:
        state.setup(item)
        yield
    finally:
        try:
            tear_down(item.parent)
        finally:
            for definition, result, finalizers in kept:
                definition.cached_result = result
                definition._finalizers[:] = finalizers
            stashed(item).clear()
            stashed(item).update(current)
