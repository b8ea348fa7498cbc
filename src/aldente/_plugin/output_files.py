"""The files that options name: checked before the run, written at its end, and linked."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from aldente._plugin import runtime_compat
from aldente._plugin.options import settings_of


def reject_unwritable(option: str, path: Path) -> None:
    """Reject the file of an option if it can't be written; none is left behind.

    Args:
        option: the option, for the message.
        path: the file.

    Raises:
        pytest.UsageError: with the reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.open("x", encoding="utf-8").close()
        except FileExistsError:
            path.open("a", encoding="utf-8").close()
        else:
            # A run that is killed, or collects only, must not leave an empty file.
            path.unlink()
    except (OSError, ValueError) as error:
        # A ValueError says that no path has such characters.
        raise pytest.UsageError(f"{option}: {path} can't be written: {error}") from None


def write(session: pytest.Session, option: str, path: Path, text: str) -> bool:
    """Write the file of an option, or say why that can't be done, and fail the run.

    Args:
        session: the run, which is about to end.
        option: the option, for the message.
        path: the file.
        text: what it gets, in UTF-8.

    Returns:
        Whether it is written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        _print_line(session.config, f"aldente: {option}: {path} can't be written: {error}")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        return False
    return True


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole, so that no reader finds half of it, of one run or of two."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        # What a link leads to, a device or a pipe stays what it is.
        path.write_text(text, encoding="utf-8")
        return
    # Short, as names have a limit.
    beside = path.with_name(f".aldente-{os.getpid()}")
    try:
        try:
            # One that is there may be a link to another file.
            beside.unlink(missing_ok=True)
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except PermissionError:
        # The folder may be read-only, and the file not; or the file open in another program.
        path.write_text(text, encoding="utf-8")


def _print_line(config: pytest.Config, line: str) -> None:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        # Begins a new line if it has to: the last one may have the dots of tests.
        reporter.write_line(line)
    else:
        print(line, file=sys.stderr)


_NAME = "aldente-page-hint"

# The key in pytest's cache that records whether the hint at the option was shown.
_HINT_SHOWN = "aldente/told-of-html"


def print_link(config: pytest.Config, path: Path) -> None:
    """Print where the page is; on a terminal as a link (OSC 8).

    Args:
        config: pytest's configuration.
        path: the file.
    """
    if not config.pluginmanager.has_plugin("terminalreporter"):
        return
    shown = str(path)
    if runtime_compat.is_terminal(config):
        # Terminals that don't know links show the text alone.
        shown = f"\x1b]8;;{path.as_uri()}\x1b\\{path}\x1b]8;;\x1b\\"
    config.get_terminal_writer().line(f"aldente: the page of this run is {shown}")


def offer(config: pytest.Config) -> None:
    """Print a hint at the page at the end of the run; once for each project.

    Args:
        config: pytest's configuration, of a run in which a failure has something to show.
    """
    plugins = config.pluginmanager
    if settings_of(config).page or plugins.has_plugin(_NAME) or hasattr(config, "workerinput"):
        return
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if not runtime_compat.is_terminal(config) or (
        cache is not None and cache.get(_HINT_SHOWN, False)
    ):
        return
    plugins.register(_Hint(config, cache), _NAME)


class _Hint:
    """Prints a hint at the page.

    Args:
        config: pytest's configuration.
        cache: records that the hint was shown; None without pytest's cache.
    """

    def __init__(self, config: pytest.Config, cache: pytest.Cache | None) -> None:
        self._config = config
        self._cache = cache

    # Around the terminal's own, which prints the last line.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        result = yield
        self._config.get_terminal_writer().line(
            "aldente: --aldente-html=FILE shows such failures as pictures in the browser (this "
            "hint appears once)"
        )
        if self._cache is not None:
            self._cache.set(_HINT_SHOWN, True)
        return result
