"""Acts as soon as a library is imported, such as by a test or by a function that it calls."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class AfterImport:
    """A finder of the import system that finds nothing itself.

    Args:
        names: the libraries.
        act: called after the import of each.
    """

    def __init__(self, names: Collection[str], act: Callable[[], object]) -> None:
        self._names = names
        self._act = act

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, the function is called after imports."""
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            # A test may have replaced the list.
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders find, prepared so that the function is called; None for others."""
        if name not in self._names:
            return None
        for finder in list(sys.meta_path):
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    self._prepare(spec.loader)
                    return spec
        return None

    def _prepare(self, loader: Any) -> None:
        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            self._act()

        # Not possible for a loader with slots.
        with contextlib.suppress(AttributeError):
            loader.exec_module = exec_module
