"""That the code has the structure that its maps say: every module on its map, no circle of imports."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import aldente
import house

SOURCE = Path(aldente.__file__).parent
PACKAGES = [path.parent for path in sorted(SOURCE.rglob("__init__.py"))]


# Not while the tests are collected: that is done by each process that runs a part of them.
@pytest.fixture(scope="module")
def modules() -> dict[str, house.Module]:
    """All modules of aldente, by their full names."""
    return house.modules_of(SOURCE)


@pytest.mark.parametrize(
    "package", [".".join(path.relative_to(SOURCE.parent).parts) for path in PACKAGES]
)
def test_the_map_of_a_package(modules: dict[str, house.Module], package: str) -> None:
    """The docstring of a package names each of its modules, and nothing that is not there."""
    text = ast.get_docstring(modules[package].tree) or ""
    named = {
        name
        for line in text.splitlines()
        if re.fullmatch(r"``\w+``(, ``\w+``)*,?", line)
        for name in re.findall(r"``(\w+)``", line)
    }
    there = {name.rpartition(".")[2] for name in modules if name.rpartition(".")[0] == package}
    assert named == there


@pytest.mark.parametrize("kinds", house.KINDS_OF_IMPORTS)
def test_no_circle_of_imports(
    modules: dict[str, house.Module], kinds: frozenset[house.Kind]
) -> None:
    """No module needs itself: at import time, by an import inside a function, or for types only."""
    assert house.circles(modules, kinds) == []


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


def test_one_name_for_one_class(modules: dict[str, house.Module]) -> None:
    """No two classes have one name, so that a name says which class it is, in whatever file."""
    homes: dict[str, list[str]] = {}
    for name, module in modules.items():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


_ROOT = Path(__file__).parents[2]
# At the beginning of a line, or of a string, or after the "\\n" in one.
_IMPORT = re.compile(r"""(?:^|["']|\\n) *from (aldente(?:\.\w+)*) import ([\w, ]+)""", re.MULTILINE)


def test_programs_in_strings_import_what_exists(modules: dict[str, house.Module]) -> None:
    """Programs that tests run in other processes import no name that has been given up."""
    imported = {
        (module, name.split()[0])
        for path in (*_ROOT.glob("tests/**/*.py"), *_ROOT.glob("benchmarks/*.py"))
        for module, names in _IMPORT.findall(path.read_text(encoding="utf-8"))
        for name in filter(str.strip, names.split(","))
    }
    assert ("aldente._explore", "soak") in imported
    missing = {
        f"{module}.{name}"
        for module, name in imported
        if f"{module}.{name}" not in modules and not hasattr(importlib.import_module(module), name)
    }
    assert missing == set()


def test_no_module_is_too_long(modules: dict[str, house.Module]) -> None:
    """A module has at most 500 lines."""
    lengths = {name: module.lines for name, module in modules.items()}
    assert {name: length for name, length in lengths.items() if length > house.MOST_LINES} == {}
