"""How modules are imported: lazily, with an act as soon as a library is there, and aldente's own.

Python has lazy imports since 3.15: by ``lazy import``, or for all imports by an option.

pytest rewrites the assertions of every module of an installed plugin. aldente's own assertions say
nothing to users, and pytest's hook takes as long to find each module as importing it takes. So
`find_first` has imports of aldente's own modules bypass that hook.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_LAZY: type | None = getattr(types, "LazyImportType", None)


def import_named(module: object, name: str) -> None:
    """Resolve a lazy name of a module.

    Raises:
        ImportError: that can't be imported.
    """
    if (
        _LAZY is not None
        and issubclass(type(module), types.ModuleType)
        and type(vars(module).get(name)) is _LAZY
    ):
        getattr(module, name)


def import_all(module: types.ModuleType) -> None:
    """Resolve all lazy names of a module.

    Raises:
        ImportError: something can't be imported.
    """
    for name in list(vars(module)):
        import_named(module, name)


def import_own() -> None:
    """Resolve all lazy names in the loaded modules of this package.

    Code that runs during an import, in the garbage collector or on another thread must not start an
    import.
    """
    mode = getattr(sys, "get_lazy_imports", None)
    if mode is None or mode() != "all":
        return
    done: set[str] = set()
    prefix = f"{__name__.partition('.')[0]}."
    while left := {name for name in sys.modules if name.startswith(prefix)} - done:
        done |= left
        for name in left:
            import_all(sys.modules[name])


def import_everywhere(path: str) -> None:
    """Resolve all lazy names for an object, in all modules.

    Args:
        path: the object: ``"package.module.name"``.
    """
    # The modules that are not imported yet.
    if path not in getattr(sys, "lazy_modules", ()):
        return
    for module in list(sys.modules.values()):
        if type(module) is types.ModuleType:
            for name in [
                name for name, value in list(vars(module).items()) if path_of(value) == path
            ]:
                with contextlib.suppress(ImportError):
                    getattr(module, name)


def path_of(value: object) -> str | None:
    """What a lazy name stands for, ``"package.module.name"``; None for another object."""
    # Only its repr shows what it will import.
    return repr(value).partition("'")[2].rpartition("'")[0] if type(value) is _LAZY else None


class AfterImport:
    """A finder of the import system that finds nothing itself.

    Args:
        names: the libraries.
        act: called after the import of each.
    """

    def __init__(self, names: Collection[str], act: Callable[[], object]) -> None:
        self._names = names
        self._act = act
        self._is_installed = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, the function is called after imports."""
        sys.meta_path.insert(0, self)
        self._is_installed = True
        try:
            yield
        finally:
            self._is_installed = False
            # A test may have replaced the list.
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders behind this one find, prepared so that the function is called.

        None for other modules, and where the import system has to ask the next finder itself.
        """
        if name not in self._names:
            return None
        # Only those behind: a run of pytest inside this one has such a finder too, which asks this.
        behind = itertools.dropwhile(lambda finder: finder is not self, list(sys.meta_path))
        for finder in itertools.islice(behind, 1, None):
            if not hasattr(finder, "find_spec"):
                # Python 3.11 asks it by another method, later Pythons pass over it.
                return None
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._prepare(spec.loader)
                return spec
        return None

    def _prepare(self, loader: Any) -> None:
        attributes = getattr(loader, "__dict__", None)
        if not isinstance(attributes, dict) or not hasattr(loader, "exec_module"):
            # A loader with slots, a class, or one of the kind before Python 3.4.
            return
        before = attributes.get("exec_module")

        def exec_module(module: ModuleType) -> None:
            if before is None:
                attributes.pop("exec_module", None)
            else:
                attributes["exec_module"] = before
            loader.exec_module(module)
            if self._is_installed:
                self._act()

        # Not by setattr(), which a loader may define.
        attributes["exec_module"] = exec_module


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
    """Loads a module and all its imports eagerly; see `import_own`."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        import_all(module)


def find_first() -> None:
    """Put the finder before pytest's hook; further calls have no effect."""
    if OwnModules not in sys.meta_path:
        sys.meta_path.insert(0, OwnModules)
        if _mode() == "all":
            import_own()
