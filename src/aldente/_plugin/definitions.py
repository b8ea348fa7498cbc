"""Where a fixture or test is defined."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

from aldente._records import SourcePlace


def place_of_function(function: Callable[..., Any], folder: Path) -> SourcePlace:
    """The file and line of a fixture's function; the path is relative to a folder if inside it."""
    code = _code_of(function)
    return SourcePlace.relative_to(code.co_filename, code.co_firstlineno, folder)


def warn_at(function: Callable[..., Any], warning: Warning) -> None:
    """Warn with the place of the user's function that a warning is about.

    Where warnings are errors, a note has the place, as the traceback has only aldente's lines.
    """
    __tracebackhide__ = True
    code = _code_of(function)
    try:
        warnings.warn_explicit(warning, None, code.co_filename, code.co_firstlineno)
    except Warning as error:
        error.add_note(f"It is about {code.co_name}() at {code.co_filename}:{code.co_firstlineno}.")
        raise


def _code_of(function: Callable[..., Any]) -> CodeType:
    code: CodeType = inspect.unwrap(getattr(function, "__func__", function)).__code__
    return code
