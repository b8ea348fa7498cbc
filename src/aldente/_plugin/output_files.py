"""The files that options name: checked before the run, written at its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest


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
        _say(session.config, f"aldente: {option}: {path} can't be written: {error}")
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


def _say(config: pytest.Config, line: str) -> None:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        # Begins a new line if it has to: the last one may have the dots of tests.
        reporter.write_line(line)
    else:
        print(line, file=sys.stderr)
