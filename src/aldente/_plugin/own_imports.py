"""Imports of aldente's own modules, past the hook that rewrites assertions.

pytest rewrites the assertions of every module of an installed plugin. aldente's own explain nothing
to its users, and looking for each of its modules with that hook takes as long as importing it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_PREFIX = f"{__name__.partition('.')[0]}."


class OwnModules:
    """Finds aldente's modules as Python does by itself, and no others."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks for it; None for what is none of aldente's."""
        if not name.startswith(_PREFIX):
            return None
        return PathFinder.find_spec(name, path, target)


def find_first() -> None:
    """Have aldente's modules be found ahead of the hook from now on; once is enough."""
    if OwnModules not in sys.meta_path:
        sys.meta_path.insert(0, OwnModules)
