"""Mistakes in what is patched, which let a test pass that has replaced nothing."""

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
from aldente._doubles.spec import Kind, is_function, kind_of
from aldente._source import is_users
from aldente.errors import NoSuchModule, NoSuchTarget, PatchedElsewhere, SyncDouble


def find_owner(target: str, owner: str) -> Any:
    """The module or object whose attribute is to be patched.

    Args:
        target: the target, as the test gave it.
        owner: the target but its last name.

    Raises:
        NoSuchTarget: there is none.
    """
    try:
        return pkgutil.resolve_name(owner)
    except ModuleNotFoundError as error:
        if not _is_part_of(error.name, owner):
            # The module exists, and imports what does not.
            raise
        missing, similar = _first_missing(owner)
        raise NoSuchModule(target, missing, similar) from None
    except AttributeError:
        missing, similar = _first_missing(owner)
        raise NoSuchTarget(target, missing, similar) from None


def _is_part_of(name: str | None, owner: str) -> bool:
    return name is not None and (owner == name or owner.startswith(f"{name}."))


def _first_missing(path: str) -> tuple[str, list[str]]:
    """What is the first part of a path that does not exist, and what is named nearly so."""
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
        # A module sees Python's own names without having them.
        return
    if getattr(owner, name, missing) is missing:
        raise NoSuchTarget(target, _lacks(owner, name), _similar(name, _names_in(owner)))


def check_replacement(target: str, original: Any, new: Any, new_callable: Any) -> None:
    """Refuse what can't be awaited in the place of what is.

    Args:
        target: the target, as the test gave it.
        original: what is replaced.
        new: what replaces it; `DEFAULT` when that is still to be made.
        new_callable: what makes it, if the test says so.

    Raises:
        SyncDouble: what replaces it is such a thing.
    """
    if mock_compat.is_mock(original) or not is_function(original):
        return
    if kind_of(original) is not Kind.COROUTINE:
        return
    if isinstance(new_callable, type) and mock_compat.is_plain_kind(new_callable):
        raise SyncDouble(target, f"a {new_callable.__name__}")
    if mock_compat.is_mock(new):
        if not mock_compat.is_awaited(new) and not _gives_awaitable(new):
            raise SyncDouble(target, f"a {type(new).__name__}")
    elif is_function(new) and kind_of(new) is Kind.PLAIN and not _is_opaque(new):
        raise SyncDouble(target, f"the function {getattr(new, '__name__', new)!r}")


def _gives_awaitable(double: Any) -> bool:
    """Whether a mock that is not awaited itself gives something that is."""
    if not callable(double):
        return False
    side_effect = mock_compat.side_effect_of(double)
    if side_effect is not None:
        return not callable(side_effect) or kind_of(side_effect) is Kind.COROUTINE
    value = mock_compat.own_return_value(double)
    return value is not DEFAULT and inspect.isawaitable(value)


def _is_opaque(function: Any) -> bool:
    """Whether nobody can see what a function gives: one in C, or a wrapper of another."""
    return not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__")


# What is not told apart from others that are equal.
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
    """Refuse to patch what is used by a name of its own elsewhere, and not where it is patched.

    Args:
        target: the target, as the test gave it.
        owner: what is patched.
        name: the name of its attribute.
        original: what is replaced.
        test: the file of the test, whose own use does not count.

    Raises:
        PatchedElsewhere: it is.
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
            # It is asked of the module, and finds the double there.
            return
        used_as += [f"{module.__name__}.{known}" for known in names if _is_used(known, codes)]
    if used_as:
        raise PatchedElsewhere(target, sorted(used_as))


def _users_modules(test: str) -> Iterator[types.ModuleType]:
    """The modules of the program that is tested."""
    for module in list(sys.modules.values()):
        # Anything can be there.
        path = vars(module).get("__file__") if type(module) is types.ModuleType else None
        if isinstance(path, str) and path != test and is_users(path) and not _is_of_tests(path):
            yield module


def _is_of_tests(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(("test_", "conftest.")) or name.endswith("_test.py")


def _names_of(value: Any, module: types.ModuleType) -> list[str]:
    """The names that a module has for something."""
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
    """Whether code takes an attribute of what is a name of its module."""
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
        # The list grows while it is gone through.
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
    """The code of what is a function, or wraps one.

    By its type, as a proxy may do anything when it is asked for its class.
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


# How many decorators on one another are looked through.
_WRAPPERS = 20
