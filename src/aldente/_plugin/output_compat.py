"""Private names of pytest's logging, capturing and terminal.

Each use says why there is no public way and on which versions it was checked.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from _pytest.logging import caplog_handler_key


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
    """How many characters fit into the current line of the terminal; 0 when it is no terminal.

    Checked on pytest 8.4 and 9.2.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    # Without one there is no writer either.
    if reporter is None or not reporter.isatty:
        return 0
    writer: Any = config.get_terminal_writer()
    room: int = writer.fullwidth - writer.width_of_current_line - 1
    return max(room, 0)
