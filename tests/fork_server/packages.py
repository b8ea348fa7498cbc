"""Reads what is installed once for all runs of pytest that a process, or its forks, make.

Each run asks every installed package for its plugins, and pluggy for its version: that is a file to
read for each of a hundred packages, and a parser to import, for a quarter of the time of a small run.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Any

import pluggy

_KEPT: dict[str, Any] = {}
_read: Any = metadata.Distribution.entry_points.fget  # type: ignore[attr-defined]


def read_once() -> None:
    """Read now what each run would read, and have all runs use it."""
    metadata.PathDistribution.entry_points = property(_entry_points)  # type: ignore[assignment]
    for package in metadata.distributions():
        _ = package.entry_points
    pluggy.__version__ = pluggy.__version__
    # What reads the version of a plugin; a run forgets what it has imported itself.
    for name in ("email.parser", "email.policy", "importlib.metadata._adapters"):
        importlib.import_module(name)


def _entry_points(package: Any) -> Any:
    """The entry points of a package; those of one that a test has made are read each time."""
    path = str(package._path)
    if not path.startswith(sys.prefix):
        return _read(package)
    if path not in _KEPT:
        _KEPT[path] = _read(package)
    return _KEPT[path]
