"""Where a fixture is defined."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aldente._records import SourcePlace


def place_of_function(function: Callable[..., Any], folder: Path) -> SourcePlace:
    """The file and line of the function of a fixture; within a folder it is given from there."""
    code = inspect.unwrap(getattr(function, "__func__", function)).__code__
    return SourcePlace.relative_to(code.co_filename, code.co_firstlineno, folder)
