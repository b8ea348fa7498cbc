"""The modules that are imported now: what leads to them, and what other code has put into them.

For the search along references, which follows functions to the modules that they import.
"""

from __future__ import annotations

import builtins
import dis
import functools
import gc
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any, cast

from aldente import _imports
from aldente._python_compat import identity_of
from aldente._source import is_programs

# What runs the tests, and leads to all of them.
TOOLS = frozenset({"pytest", "_pytest", "pluggy", "aldente"})

# Functions with a cache.
CACHED = type(functools.lru_cache(len))

# Without the attributes of a program's classes.
namespace_of = vars(ModuleType)["__dict__"].__get__


class ImportedModules:
    """The modules that are imported now, by what leads to them."""

    def __init__(self) -> None:
        self._modules = dict(sys.modules)
        self._by_package: dict[str, list[object]] = {}
        for name, module in self._modules.items():
            self._by_package.setdefault(package_of(name), []).append(module)

    def through(self, thing: object) -> Iterable[object]:
        """The modules that a function imports when it is called, or a lazy name when it is used."""
        if type(thing) is FunctionType:
            names = _names_imported_by(thing.__code__)
            return self._imported_by(names, thing.__globals__) if names else ()
        path = _imports.path_of(thing)
        if path is None:
            return ()
        # The path of a name in a module, or of a module.
        return self._named(path, path.rpartition(".")[0])

    def namespaces_of(self, packages: Iterable[str]) -> set[int]:
        """The identities of the namespaces of all modules of some packages."""
        return {identity_of(namespace_of(module)) for module in self._of_packages(packages)}

    def put_into(self, packages: Collection[str]) -> Iterator[object]:
        """What code of others has put into the modules of some packages, such as a mock.

        Libraries do so for good, and their modules lead to much. Of a library's function only what
        it has been given counts, and of its classes nothing.
        """
        for module in self._of_packages(packages):
            for name, value in list(namespace_of(module).items()):
                kind = type(value)
                if module is builtins and name not in _BUILTINS:
                    yield value
                elif issubclass(kind, type):
                    if self.is_programs(value):
                        yield value
                    # A method may be replaced.
                    yield from _put_among(vars(value).values(), module.__name__, packages)
                elif kind in _CONTAINERS and module is not sys:
                    members = value.values() if kind is dict else value
                    yield from _put_among(members, module.__name__, packages)
                else:
                    yield from _put_among([value], module.__name__, packages)

    def is_programs(self, kind: type) -> bool:
        """Whether a class belongs to the program."""
        name = module_of(kind)
        module = self._modules.get(name)
        if package_of(name) in _NO_PROGRAMS or not issubclass(type(module), ModuleType):
            return False
        file = namespace_of(module).get("__file__", "<a string>")
        return type(file) is str and is_programs(file)

    def _imported_by(self, names: Iterable[str], namespace: Mapping[str, Any]) -> Iterator[object]:
        """The modules that a function imports, of those that are imported already.

        What is imported for the first time may import all of its package.

        Args:
            names: the names in its import statements.
            namespace: its global variables.
        """
        parents = [""]
        package = namespace.get("__package__")
        while isinstance(package, str) and package:
            # Of a relative import, whose level is not looked at.
            parents.append(f"{package}.")
            package = package.rpartition(".")[0]
        for name in names:
            possible = [f"{parent}{name}".rstrip(".") for parent in parents]
            found = [self._modules[each] for each in possible if each in self._modules]
            yield from found or self._of_packages({package_of(each) for each in possible})

    def _named(self, *paths: str) -> Iterable[object]:
        for path in paths:
            if path in self._modules:
                return [self._modules[path]]
        return self._of_packages({package_of(path) for path in paths})

    def _of_packages(self, packages: Iterable[str]) -> Iterator[ModuleType]:
        for package in packages:
            for module in self._by_package.get(package, ()):
                # What calls itself a module may be anything.
                if issubclass(type(module), ModuleType):
                    yield cast("ModuleType", module)


def _put_among(values: Iterable[Any], module: str, packages: Container[str]) -> Iterator[object]:
    """What code outside of some packages has put among the values of a module of theirs."""
    for value in list(values):
        kind = type(value)
        if kind in _HARMLESS or not _is_put_into(module, value, packages):
            continue
        if kind is FunctionType and not is_programs(value.__code__.co_filename):
            yield from (value.__closure__, value.__defaults__, vars(value))
        elif not issubclass(kind, type):
            yield value


def _is_put_into(module: str, value: Any, packages: Container[str]) -> bool:
    """Whether code outside of some packages has given a module of theirs a value."""
    kind = type(value)
    if kind is functools.partial:
        # Its arguments may be of any kind.
        return True
    if issubclass(kind, BuiltinFunctionType):
        # A method of an object, such as a future's; `typing` has those that clear its caches.
        owner = value.__self__
        return gc.is_tracked(owner) and not isinstance(owner, (ModuleType, type, CACHED))
    origin = origin_of(value)
    package = package_of(origin)
    if package == "aldente" and kind is MethodType:
        # Of a future of a run, for one.
        return True
    if package not in packages:
        return package not in TOOLS
    # Such as the method of an event in the place of a function.
    return _is_mock(kind) or (kind is MethodType and origin != module)


# What lead nowhere, and are most of the values of modules.
_HARMLESS = frozenset({int, str, bytes, float, bool, type(None), ModuleType})
_CONTAINERS = frozenset({dict, list, set})
_NO_PROGRAMS = (sys.stdlib_module_names | TOOLS) - {"__main__"}
# The names that Python gives to all modules.
_BUILTINS = frozenset(vars(builtins)) | {"_"}


def origin_of(value: Any) -> str:
    """The module whose code has made an object, as far as the object shows it."""
    kind: Any = type(value)
    if kind is functools.partial:
        return origin_of(value.func)
    if kind is ModuleType:
        return "builtins"
    if kind is MethodType:
        return origin_of(value.__func__)
    if kind is FunctionType:
        # Not its __module__: functools.wraps() copies that of another function.
        return str(value.__globals__.get("__name__"))
    return module_of(value if issubclass(kind, type) else kind)


def package_of(module: str) -> str:
    """The package of a module, by its name."""
    return module.partition(".")[0]


def _is_mock(kind: type) -> bool:
    mocks = sys.modules.get("unittest.mock")
    return mocks is not None and issubclass(kind, mocks.NonCallableMock)


# The search asks for most functions of the process, and each search for the same ones.
@functools.lru_cache(maxsize=100_000)
def _names_imported_by(code: CodeType) -> tuple[str, ...]:
    """The names in the import statements of a function, and of the functions inside of it."""
    names = [
        name
        for inner in code.co_consts
        if isinstance(inner, CodeType)
        for name in _names_imported_by(inner)
    ]
    if _IMPORT_NAME in code.co_code[::2]:
        names += [
            str(instruction.argval)
            for instruction in dis.get_instructions(code)
            if instruction.opname == "IMPORT_NAME"
        ]
    return tuple(names)


_IMPORT_NAME = dis.opmap["IMPORT_NAME"]


def module_of(kind: type) -> str:
    """The name of the module of a class, without running code of its metaclass."""
    try:
        module = _get_module(kind)
    except AttributeError:
        return ""
    # A custom class may have any object as its module.
    return module if type(module) is str else ""


_get_module = vars(type)["__module__"].__get__
