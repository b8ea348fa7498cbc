"""Mistakes in what is patched, which let a test pass that has replaced nothing."""

from __future__ import annotations

import builtins
import difflib
import inspect
import operator
import pkgutil
import sys
import types
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.mock_compat import DEFAULT
from aldente._doubles.specs import Kind, is_function, kind_of
from aldente._places import is_users
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


def check_replacement(target: str, original: Any, new: Any) -> None:
    """Refuse what can't be awaited in the place of what is.

    Raises:
        SyncDouble: ``new`` is such a thing.
    """
    if new is DEFAULT or original is DEFAULT or mock_compat.is_mock(original):
        return
    if not is_function(original) or kind_of(original) is not Kind.COROUTINE:
        return
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


def check_used_here(target: str, owner: Any, name: str, original: Any) -> None:
    """Refuse to patch what is used by a name of its own elsewhere, and not where it is patched.

    Raises:
        PatchedElsewhere: it is.
    """
    if not isinstance(owner, types.ModuleType) or not isinstance(
        original, types.FunctionType | type
    ):
        return
    if original.__module__ != owner.__name__ or name in _names_used_in(owner):
        return
    used_as = sorted(_users_of(original, owner))
    if used_as:
        raise PatchedElsewhere(target, used_as)


def _users_of(original: Any, home: types.ModuleType) -> Iterator[str]:
    """The names of the user's modules under which something is used that is defined elsewhere."""
    for module in list(sys.modules.values()):
        if module is home or not isinstance(module, types.ModuleType):
            continue
        if not is_users(getattr(module, "__file__", None) or ""):
            continue
        values = list(vars(module).items())
        if not any(map(operator.is_, (value for _, value in values), repeat(original))):
            continue
        used = _names_used_in(module)
        for name, value in values:
            if value is original and name in used:
                yield f"{module.__name__}.{name}"


def _names_used_in(module: types.ModuleType) -> set[str]:
    """The names that functions of a module use."""
    codes: list[types.CodeType] = []
    for value in list(vars(module).values()):
        codes += _codes_of(value, module.__name__)
    names: set[str] = set()
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return names


def _codes_of(value: Any, module: str) -> Iterator[types.CodeType]:
    if getattr(value, "__module__", None) != module or mock_compat.is_mock(value):
        return
    if isinstance(value, type):
        for member in list(vars(value).values()):
            yield from _code_of(member)
    else:
        yield from _code_of(value)


def _code_of(value: Any) -> Iterator[types.CodeType]:
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    functions = [value.fget, value.fset] if isinstance(value, property) else [value]
    for function in functions:
        code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
        if isinstance(code, types.CodeType):
            yield code
