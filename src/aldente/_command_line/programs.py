"""Finds the program that a command names, as ``module:function``."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from aldente._explore.simulate import Main


class UnknownProgram(Exception):
    """There is no such program; the text says why, and what to do."""


def load(name: str) -> tuple[Main, int | None]:
    """The program of a name, and a checksum of its module's source; None if it has none.

    Args:
        name: ``module:function``; the function may be ``Class.method`` for a static method.

    Raises:
        UnknownProgram: there is none, or it is no coroutine function without arguments.
    """
    module_name, colon, path = name.partition(":")
    parts = [*module_name.split("."), *path.split(".")]
    is_file = module_name.endswith(".py")
    if not colon or is_file or not all(part.isidentifier() for part in parts):
        hint = ""
        if is_file:
            dotted = ".".join(Path(module_name).with_suffix("").parts)
            hint = f" Did you mean {dotted}:{path or 'main'}?"
        raise UnknownProgram(
            f"{name!r} names no program: it must be module:function, such as shop.orders:main."
            f"{hint}"
        )
    module = _import(module_name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            others = ", ".join(_programs_of(module)) or "none"
            raise UnknownProgram(
                f"the module {module_name!r} has no {path!r}. Its coroutine functions without "
                f"arguments are: {others}."
            )
        found = getattr(found, part)
    if not inspect.iscoroutinefunction(found):
        kind = type(found).__name__
        raise UnknownProgram(
            f"{name!r} is no coroutine function (it is a {kind}). Name one that is defined by "
            "'async def' and takes no arguments."
        )
    if _needs(found):
        raise UnknownProgram(
            f"{name!r} can't be called without arguments: it needs {', '.join(_needs(found))}. "
            "Name a coroutine function that takes none, and calls this one."
        )
    return found, _checksum_of(module)


def _import(name: str) -> ModuleType:
    # As "python -m" does, which a console script would not.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UnknownProgram(
                f"there is no module {error.name!r}. Looked for it in {Path.cwd()} and where "
                "Python finds modules; start in the folder that has it, or set PYTHONPATH."
            ) from error
        raise _failed(name) from error
    except Exception as error:
        raise _failed(name) from error


def _failed(name: str) -> UnknownProgram:
    text = traceback.format_exc().rstrip()
    return UnknownProgram(f"the module {name!r} can't be imported:\n{text}")


def _needs(function: Any) -> list[str]:
    """The names of the arguments that a function needs."""
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in kinds
    ]


def _programs_of(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", module.__name__) == module.__name__
        is_program = inspect.iscoroutinefunction(value) and not _needs(value)
        if is_program and (is_own or isinstance(value, functools.partial)):
            yield name


def _checksum_of(module: ModuleType) -> int | None:
    path = getattr(module, "__file__", None)
    if path is None or not path.endswith(".py"):
        return None
    return zlib.crc32(Path(path).read_bytes())
