"""Imports of aldente's own modules that bypass pytest's assertion rewriting.

pytest rewrites the assertions of every module of an installed plugin. aldente's own assertions say
nothing to users, and pytest's hook takes as long to find each module as importing it takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_PREFIX = f"{__name__.partition('.')[0]}."

# Since Python 3.15 a program may make all imports lazy.
_mode: Callable[[], str] = getattr(sys, "get_lazy_imports", lambda: "normal")


class OwnModules:
    """Finds aldente's modules like Python's own finder, and no others."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module for the import system; None for one that is not aldente's."""
        if not name.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if _mode() == "all" and spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _AtOnce(spec.loader.name, spec.loader.path)
        return spec


class _AtOnce(SourceFileLoader):
    """Loads a module and all its imports eagerly; see `aldente._imports.import_own`."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        from aldente import _imports

        _imports.import_all(module)


def find_first() -> None:
    """Put the finder before pytest's hook; further calls have no effect."""
    if OwnModules not in sys.meta_path:
        sys.meta_path.insert(0, OwnModules)
        if _mode() == "all":
            from aldente import _imports

            _imports.import_own()
