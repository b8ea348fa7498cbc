"""Mistakes in the targets of patches, by which a test passes that has replaced nothing."""

from __future__ import annotations

import builtins
import difflib
import dis
import enum
import inspect
import itertools
import operator
import os
import pkgutil
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.spec import ResultKind, is_function, kind_of
from aldente._source import is_users
from aldente.errors import NoSuchModule, NoSuchTarget, PatchedElsewhere, SyncDouble


def find_owner(target: str, owner: str) -> Any:
    """The module or object whose attribute the patch replaces.

    Args:
        target: the target, as the test gave it.
        owner: the target without its last name.

    Raises:
        NoSuchTarget: there is none.
    """
    try:
        return pkgutil.resolve_name(owner)
    except ModuleNotFoundError as error:
        if not _is_part_of(error.name, owner):
            # The module exists, but imports one that does not.
            raise
        missing, similar = _first_missing(owner)
        raise NoSuchModule(target, missing, similar) from None
    except AttributeError:
        missing, similar = _first_missing(owner)
        raise NoSuchTarget(target, missing, similar) from None


def _is_part_of(name: str | None, owner: str) -> bool:
    return name is not None and (owner == name or owner.startswith(f"{name}."))


def _first_missing(path: str) -> tuple[str, list[str]]:
    """The first missing part of a path, in words, and similar names."""
    parts = path.split(".")
    for count in range(1, len(parts) + 1):
        try:
            found = pkgutil.resolve_name(".".join(parts[:count]))
        except (ModuleNotFoundError, AttributeError):
            break
    else:
        return f"there is no {path!r}", []
    if count == 1:
        known = [name for name in sys.modules if "." not in name]
        return f"there is no module {parts[0]!r}", _similar(parts[0], known)
    found = pkgutil.resolve_name(".".join(parts[: count - 1]))
    return _lacks(found, parts[count - 1]), _similar(parts[count - 1], _names_in(found))


def _names_in(owner: Any) -> list[str]:
    names = list(dir(owner))
    path = getattr(owner, "__path__", None)
    if path is not None:
        names += [module.name for module in pkgutil.iter_modules(path)]
    return names


def _lacks(owner: Any, name: str) -> str:
    return f"{_described(owner)} has no {name!r}"


def _described(owner: Any) -> str:
    if inspect.ismodule(owner):
        return f"the module {owner.__name__!r}"
    if isinstance(owner, type):
        return f"the class {owner.__name__!r}"
    return f"the {type(owner).__name__}"


def _similar(name: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(name, dict.fromkeys(names), n=2)


def check_exists(target: str, owner: Any, name: str) -> None:
    """Refuse to patch an attribute that does not exist.

    Raises:
        NoSuchTarget: it does not.
    """
    missing = object()
    if inspect.getattr_static(owner, name, missing) is not missing:
        return
    if isinstance(owner, types.ModuleType) and hasattr(builtins, name):
        # Builtins are visible in a module that does not have them.
        return
    if getattr(owner, name, missing) is missing:
        raise NoSuchTarget(target, _lacks(owner, name), _similar(name, _names_in(owner)))


def check_replacement(target: str, original: Any, new: Any, new_callable: Any) -> None:
    """Refuse a replacement that can't be awaited for a target that is.

    Args:
        target: the target, as the test gave it.
        original: the value of the target.
        new: its replacement; `DEFAULT` when the patch has yet to make it.
        new_callable: the callable that makes it, if the test passes one.

    Raises:
        SyncDouble: the replacement can't be awaited.
    """
    if mock_compat.is_mock(original) or not is_function(original):
        return
    if kind_of(original) is not ResultKind.COROUTINE:
        return
    if isinstance(new_callable, type) and mock_compat.is_plain_kind(new_callable):
        raise SyncDouble(target, f"a {new_callable.__name__}")
    if mock_compat.is_mock(new):
        if not mock_compat.is_awaited(new) and not _gives_awaitable(new):
            raise SyncDouble(target, f"a {type(new).__name__}")
    elif is_function(new) and kind_of(new) is ResultKind.PLAIN and not _is_opaque(new):
        raise SyncDouble(target, f"the function {getattr(new, '__name__', new)!r}")


def _gives_awaitable(double: Any) -> bool:
    """Whether a mock that is not awaited itself has a result that is."""
    if not callable(double):
        return False
    side_effect = mock_compat.side_effect_of(double)
    if side_effect is not None:
        return not callable(side_effect) or kind_of(side_effect) is ResultKind.COROUTINE
    value = mock_compat.own_return_value(double)
    return value is not DEFAULT and inspect.isawaitable(value)


def _is_opaque(function: Any) -> bool:
    """Whether a function's kind of result can't be known: one in C, or a wrapper of another."""
    return not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__")


# Plain values: other modules may have an equal one, maybe the same object, by chance.
_VALUES = (
    type(None),
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    frozenset,
    enum.Enum,
    types.ModuleType,
)


def check_used_here(target: str, owner: Any, name: str, original: Any, test: str) -> None:
    """Refuse to patch a name that its module does not use, but that others have imported by name.

    Args:
        target: the target, as the test gave it.
        owner: the module or object of the patch.
        name: the name of its attribute.
        original: the value of that.
        test: the file of the test, whose own use does not count.

    Raises:
        PatchedElsewhere: that is so.
    """
    if not isinstance(owner, types.ModuleType) or isinstance(original, _VALUES):
        return
    if mock_compat.is_mock(original) or _is_used(name, _codes_in(owner)):
        return
    used_as = []
    for module in _users_modules(test):
        aliases = _names_of(owner, module)
        names = _names_of(original, module)
        if module is owner or not (aliases or names):
            continue
        codes = _codes_in(module)
        if any(_is_asked_for(name, alias, codes) for alias in aliases):
            # Code looks it up in the module, and finds the double there.
            return
        used_as += [f"{module.__name__}.{known}" for known in names if _is_used(known, codes)]
    if used_as:
        raise PatchedElsewhere(target, sorted(used_as))


def _users_modules(test: str) -> Iterator[types.ModuleType]:
    """The modules of the tested program."""
    for module in list(sys.modules.values()):
        # `sys.modules` may contain any objects.
        path = vars(module).get("__file__") if type(module) is types.ModuleType else None
        if isinstance(path, str) and path != test and is_users(path) and not _is_of_tests(path):
            yield module


def _is_of_tests(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(("test_", "conftest.")) or name.endswith("_test.py")


def _names_of(value: Any, module: types.ModuleType) -> list[str]:
    """The names of a value in a module."""
    values = list(vars(module).items())
    if not any(map(operator.is_, (known for _, known in values), itertools.repeat(value))):
        return []
    return [name for name, known in values if known is value]


def _is_used(name: str, codes: Sequence[types.CodeType]) -> bool:
    """Whether code uses a name of its module."""
    return any(
        step.argval == name and step.opname in _LOADS
        for code in codes
        if name in code.co_names
        for step in dis.get_instructions(code)
    )


def _is_asked_for(name: str, alias: str, codes: Sequence[types.CodeType]) -> bool:
    """Whether code accesses an attribute of an object with a certain name in its module."""
    return any(
        step.argval == alias and step.opname in _LOADS and following.argval == name
        for code in codes
        if name in code.co_names and alias in code.co_names
        for step, following in itertools.pairwise(dis.get_instructions(code))
    )


_LOADS = ("LOAD_GLOBAL", "LOAD_NAME")


def _codes_in(module: types.ModuleType) -> list[types.CodeType]:
    """The code of the functions of a module, and of those within them."""
    codes: list[types.CodeType] = []
    for value in list(vars(module).values()):
        codes += _codes_of(value, module.__name__)
    for code in codes:
        # The list grows during the loop.
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return codes


def _codes_of(value: Any, module: str) -> Iterator[types.CodeType]:
    if issubclass(type(value), type):
        if value.__module__ == module:
            for member in list(vars(value).values()):
                yield from _code_of(member, module)
    else:
        yield from _code_of(value, module)


def _code_of(value: Any, module: str) -> Iterator[types.CodeType]:
    """The code of a function, or of the one that it wraps.

    By its real type, as a proxy may run any code when asked for its class.
    """
    if issubclass(type(value), property):
        functions = [value.fget, value.fset]
    elif issubclass(type(value), staticmethod | classmethod):
        functions = [value.__func__]
    else:
        functions = [value]
    for function in functions:
        for _ in range(_WRAPPERS):
            if type(function) is types.FunctionType and function.__module__ == module:
                yield function.__code__
            function = inspect.getattr_static(function, "__wrapped__", None)
            if function is None:
                break


# How many nested decorators to look through.
_WRAPPERS = 20
