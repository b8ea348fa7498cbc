"""Imports all of aldente, which what runs pytest many times does once for all runs."""

from __future__ import annotations

import importlib
import pkgutil


def import_all() -> None:
    """Import every module of aldente but the command line's, which would run it."""
    package = importlib.import_module("aldente")
    for module in pkgutil.walk_packages(package.__path__, "aldente."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
