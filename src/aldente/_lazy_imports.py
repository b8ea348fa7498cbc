"""Resolves names of modules that are imported lazily, on first use.

Python has lazy imports since 3.15: by ``lazy import``, or for all imports by an option.
"""

from __future__ import annotations

import contextlib
import sys
import types

_LAZY: type | None = getattr(types, "LazyImportType", None)


def import_named(module: object, name: str) -> None:
    """Resolve a lazy name of a module.

    Raises:
        ImportError: that can't be imported.
    """
    if (
        _LAZY is not None
        and isinstance(module, types.ModuleType)
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
