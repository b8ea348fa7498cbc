"""Measures the structure of the code: sizes of modules, circles of imports, paths through it.

    python tools/house.py           prints the measures
    python tools/house.py --paths   also counts the modules that two kinds of tests enter

The first needs only the standard library; the second needs aldente as installed for its tests.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

# When a module is imported: with the module that names it, when a function of that is called, or
# never, as only type checkers read it.
Kind = Literal["import", "call", "types"]
KINDS_OF_IMPORTS: tuple[frozenset[Kind], ...] = (
    frozenset({"import"}),
    frozenset({"import", "call"}),
    frozenset({"import", "call", "types"}),
)

MOST_LINES = 500
SMALL = 60


class Module(NamedTuple):
    """A module, as read from its file.

    Attributes:
        path: the file.
        is_package: whether it is a package.
        tree: its syntax tree.
        lines: how many lines it has.
    """

    path: Path
    is_package: bool
    tree: ast.Module
    lines: int


def modules_of(folder: Path) -> dict[str, Module]:
    """The modules in the folder of a package, by their full names."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = list(path.relative_to(folder.parent).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(path, is_package, ast.parse(text), text.count("\n"))
    return found


def imports_of(module: Module, modules: Mapping[str, Module]) -> Iterator[tuple[str, Kind]]:
    """The modules that a module imports, each with when it does."""
    for node, kind in _statements(module.tree, "import"):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        else:
            named = [
                full if (full := f"{node.module}.{alias.name}") in modules else str(node.module)
                for alias in node.names
            ]
        for name in named:
            if name in modules:
                yield name, kind


def _statements(node: ast.AST, kind: Kind) -> Iterator[tuple[ast.Import | ast.ImportFrom, Kind]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, kind
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from _statements(child, "types")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and kind == "import":
            yield from _statements(child, "call")
        else:
            yield from _statements(child, kind)


def circles(modules: Mapping[str, Module], kinds: frozenset[Kind]) -> list[list[str]]:
    """The groups of modules that need one another, by imports of some kinds.

    A package and its own modules count as one another's only where they import each other by name.
    """
    needs = {
        name: {to for to, kind in imports_of(module, modules) if kind in kinds and to != name}
        for name, module in modules.items()
    }
    reached = {name: _reachable(name, needs) for name in modules}
    groups = {
        frozenset({name, *(other for other in reached[name] if name in reached[other])})
        for name in modules
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    left = [start]
    while left:
        for name in needs[left.pop()] - seen:
            seen.add(name)
            left.append(name)
    return seen


def measures(folder: Path) -> Iterator[str]:
    """What there is to say of the structure, a line each."""
    modules = modules_of(folder)
    sizes = [module.lines for module in modules.values()]
    yield f"modules: {len(modules)}, {sum(sizes)} lines, median {statistics.median(sizes):g}"
    yield f"modules of at most {SMALL} lines: {sum(size <= SMALL for size in sizes)}"
    yield f"longest module: {max(sizes)} lines"
    names = ("at import", "and inside functions", "and for types")
    for words, kinds in zip(names, KINDS_OF_IMPORTS, strict=True):
        yield f"circles of imports {words}: {len(circles(modules, kinds))}"
    importers = dict.fromkeys(modules, 0)
    for module in modules.values():
        for to in {to for to, _ in imports_of(module, modules)}:
            importers[to] += 1
    yield f"modules with one importer: {sum(number == 1 for number in importers.values())}"


# A test that passes, with a fixture and a finding, and an explored test that fails.
PATHS = {
    "an async test with a fixture and a finding": """
        import asyncio
        import pytest

        @pytest.fixture
        async def number():
            yield 1

        async def test_it(number):
            asyncio.create_task(asyncio.sleep(100))
    """,
    "an explored test that fails": """
        import asyncio
        import aldente

        @aldente.explore
        async def test_it():
            seen = []
            async def add(value):
                await asyncio.sleep(0)
                seen.append(value)
            await asyncio.gather(add(1), add(2))
            assert seen == [1, 2]
    """,
}

_COUNTER = """
import inspect, json, os, sys
entered, called = set(), set()
def see(frame, event, argument):
    name = frame.f_globals.get("__name__", "")
    if event == "call" and name.startswith("aldente") and frame.f_code.co_name != "<module>":
        entered.add(name)
        # The body of a class runs when its module is imported.
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            called.add(name)
sys.setprofile(see)
def pytest_unconfigure():
    sys.setprofile(None)
    with open("entered.json", "w") as file:
        json.dump([len(entered), len(called)], file)
"""


def paths() -> Iterator[str]:
    """How many modules some tests enter, from the start of pytest to its end."""
    for words, test in PATHS.items():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "test_it.py").write_text(_dedented(test))
            Path(folder, "counter.py").write_text(_COUNTER)
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "counter", "-p", "no:cacheprovider"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path])},
                stdout=subprocess.DEVNULL,
                check=False,
            )
            entered, called = json.loads(Path(folder, "entered.json").read_text())
        yield f"modules entered by {words}: {entered}; those with a function called: {called}"


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix("        ") for line in text.splitlines())


def main() -> None:
    """Print the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", action="store_true", help="count the modules that tests enter")
    chosen = parser.parse_args()
    for line in measures(Path(__file__).parents[1] / "src" / "aldente"):
        print(line)
    if chosen.paths:
        for line in paths():
            print(line)


if __name__ == "__main__":
    main()
