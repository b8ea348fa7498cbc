"""Measures the structure of the code: sizes of modules, circles of imports, paths through it.

    python tools/house.py           prints the measures
    python tools/house.py --paths   also counts what tests enter, and what a plain async test calls

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
    naming = sorted(files_that_name_rules(modules).values())
    yield f"files that name a rule: median {statistics.median(naming):g}, at most {naming[-1]}"


def files_that_name_rules(modules: Mapping[str, Module]) -> dict[str, int]:
    """For each rule of aldente, how many modules name it, its own and the table among them."""
    rules = [
        str(row.args[0].value)
        for row in ast.walk(modules["aldente._rules"].tree)
        if isinstance(row, ast.Call)
        and ast.unparse(row.func) == "RuleRow"
        and isinstance(row.args[0], ast.Constant)
    ]
    named = [
        {node.value for node in ast.walk(module.tree) if isinstance(node, ast.Constant)}
        for module in modules.values()
    ]
    return {rule: sum(rule in constants for constants in named) for rule in rules}


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


# Many tests, as the first ones prepare what the others find done.
PLAIN = "\n".join(f"async def test_{number}():\n    pass\n" for number in range(25))

_COUNTER_OF_CALLS = """
import json, sys
import pytest
entered, begun = [], []
def see(frame, event, argument):
    if event == "call" and frame.f_globals.get("__name__", "").startswith("aldente"):
        entered.append(frame.f_globals["__name__"])
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart():
    begun.append(None)
    if len(begun) == 20:
        sys.setprofile(see)
    elif len(begun) == 21:
        sys.setprofile(None)
        with open("entered.json", "w") as file:
            json.dump([len(entered), len(set(entered))], file)
"""


def paths() -> Iterator[str]:
    """How many modules some tests enter, from the start of pytest to its end; calls of one test."""
    for words, test in PATHS.items():
        entered, called = _counted(_dedented(test), _COUNTER)
        yield f"modules entered by {words}: {entered}; those with a function called: {called}"
    calls, entered = _counted(PLAIN, _COUNTER_OF_CALLS)
    yield f"calls for a plain async test, once others have run: {calls}, in {entered} modules"


def _counted(test: str, counter: str) -> tuple[int, int]:
    """Two numbers that a plugin counts in a run of a test module, with no plugin but aldente."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(test)
        Path(folder, "counter.py").write_text(counter)
        options = ["-q", "-p", "aldente._plugin", "-p", "counter", "-p", "no:cacheprovider"]
        subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([folder, *sys.path]),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            stdout=subprocess.DEVNULL,
            check=False,
        )
        first, second = json.loads(Path(folder, "entered.json").read_text())
    return first, second


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
