"""That the code has the structure that its maps say: every module on its map, no circle of imports."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import aldente
import house

SOURCE = Path(aldente.__file__).parent
MODULES = house.modules_of(SOURCE)
PACKAGES = [name for name, module in MODULES.items() if module.is_package]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_of_a_package(package: str) -> None:
    """The docstring of a package names each of its modules, and nothing that is not there."""
    text = ast.get_docstring(MODULES[package].tree) or ""
    named = {
        name
        for line in text.splitlines()
        if re.fullmatch(r"``\w+``(, ``\w+``)*,?", line)
        for name in re.findall(r"``(\w+)``", line)
    }
    there = {name.rpartition(".")[2] for name in MODULES if name.rpartition(".")[0] == package}
    assert named == there


@pytest.mark.parametrize("kinds", house.KINDS_OF_IMPORTS)
def test_no_circle_of_imports(kinds: frozenset[house.Kind]) -> None:
    """No module needs itself: at import time, by an import inside a function, or for types only."""
    assert house.circles(MODULES, kinds) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Each kind of import makes a circle, which is told as the modules of it."""
    (tmp_path / "house").mkdir()
    for name, text in _CIRCLE.items():
        (tmp_path / "house" / f"{name}.py").write_text(text)
    modules = house.modules_of(tmp_path / "house")
    found = [house.circles(modules, kinds) for kinds in house.KINDS_OF_IMPORTS]
    assert found == [
        [],
        [["house.a", "house.b"]],
        [["house.a", "house.b", "house.c"]],
    ]


_CIRCLE = {
    "__init__": '"""Rooms."""\n',
    "a": "from house import b\n",
    "b": "def f():\n    from house.a import x\n",
    "c": "from house.b import f\n",
    "d": "from house import c\n",
}
_CIRCLE["a"] += "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.c import f\n"


def test_one_name_for_one_class() -> None:
    """No two classes have one name, so that a name says which class it is, in whatever file."""
    homes: dict[str, list[str]] = {}
    for name, module in MODULES.items():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


_ROOT = Path(__file__).parents[2]
_IMPORT = re.compile(r"^ *from (aldente(?:\.\w+)*) import ([\w, ]+)$", re.MULTILINE)


def _imports_in_strings(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The modules, and names in them, that programs import which are strings in tests."""
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for module, names in _IMPORT.findall(node.value):
                    for name in names.split(","):
                        yield module, name.split()[0]


def test_programs_in_strings_import_what_exists() -> None:
    """Programs that tests run in other processes import no name that has been given up."""
    files = [*_ROOT.glob("tests/**/*.py"), *_ROOT.glob("benchmarks/*.py")]
    imported = set(_imports_in_strings(files))
    assert ("aldente._explore", "soak") in imported
    missing = {
        f"{module}.{name}"
        for module, name in imported
        if f"{module}.{name}" not in MODULES and not hasattr(importlib.import_module(module), name)
    }
    assert missing == set()


def test_no_module_is_too_long() -> None:
    """A module has at most 500 lines."""
    lengths = {name: module.lines for name, module in MODULES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > house.MOST_LINES} == {}
