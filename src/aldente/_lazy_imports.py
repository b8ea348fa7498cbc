"""Names of modules that stand for something which is imported when they are first used.

Python has them since 3.15: by ``lazy import``, and for all imports where it is told to.
"""

from __future__ import annotations

import contextlib
import sys
import types

_LAZY: type | None = getattr(types, "LazyImportType", None)


def import_named(module: object, name: str) -> None:
    """Have a name of a module be what it stands for.

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
    """Have a module import at once what it leaves to the first use.

    Raises:
        ImportError: something can't be imported.
    """
    for name in list(vars(module)):
        import_named(module, name)


def import_own() -> None:
    """Have the modules of this package that are loaded import at once what they leave to later.

    What is called in the midst of an import, by the garbage collector or on another thread must not
    begin to import anything.
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
    """Have all names that stand for something be that, in whatever modules they are.

    Args:
        path: what they stand for: ``"package.module.name"``.
    """
    # What is not imported yet.
    if path not in getattr(sys, "lazy_modules", ()):
        return
    for module in list(sys.modules.values()):
        if type(module) is types.ModuleType:
            for name in [name for name, value in list(vars(module).items()) if _is(value, path)]:
                with contextlib.suppress(ImportError):
                    getattr(module, name)


def _is(value: object, path: str) -> bool:
    # Nothing else tells what it stands for.
    return type(value) is _LAZY and repr(value) == f"<lazy_import {path!r}>"
