"""Imports of aldente's own modules, past the hook that rewrites assertions.

pytest rewrites the assertions of every module of an installed plugin. aldente's own explain nothing
to its users, and looking for each of its modules with that hook takes as long as importing it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_PREFIX = f"{__name__.partition('.')[0]}."

# Since Python 3.15 a program may say that all imports are left to the first use.
_mode: Callable[[], str] = getattr(sys, "get_lazy_imports", lambda: "normal")


class OwnModules:
    """Finds aldente's modules as Python does by itself, and no others."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks for it; None for what is none of aldente's."""
        if not name.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if _mode() == "all" and spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _AtOnce(spec.loader.name, spec.loader.path)
        return spec


class _AtOnce(SourceFileLoader):
    """Loads a module with all that it imports; see `aldente._lazy_imports.import_own`."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        from aldente import _lazy_imports

        _lazy_imports.import_all(module)


def find_first() -> None:
    """Have aldente's modules be found ahead of the hook from now on; once is enough."""
    if OwnModules not in sys.meta_path:
        sys.meta_path.insert(0, OwnModules)
        if _mode() == "all":
            from aldente import _lazy_imports

            _lazy_imports.import_own()
