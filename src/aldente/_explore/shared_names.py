"""Which names each line of a source file reads and changes, where tasks may share what they name.

Only paths are known: a variable, then attributes and elements, such as ``self.rows[key]``. A method
that changes a container in place changes its elements; any other use of a container reads them.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Methods of lists, dictionaries, sets and deques that change them.
_CHANGING = frozenset(
    name
    for names in (
        "append appendleft add clear discard extend extendleft insert pop popitem popleft",
        "remove reverse rotate setdefault sort update",
    )
    for name in names.split()
)

_Path = tuple[str, ...]


class Use(NamedTuple):
    """A use of a path on a line.

    Attributes:
        path: the variable and the attributes that lead to the object; the last one is used.
        text: the source of the path, as a user would name it.
        is_change: whether it is changed; else it is read.
        is_of_elements: whether elements of the object are used, not the name itself.
    """

    path: _Path
    text: str
    is_change: bool
    is_of_elements: bool = False


@functools.lru_cache(maxsize=64)
def uses_in(file: str) -> Mapping[int, tuple[Use, ...]]:
    """The uses on each line of a file; empty if its source can't be read."""
    found: dict[int, list[Use]] = defaultdict(list)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    nodes = list(ast.walk(tree))
    # The use of an element is no use of its container besides.
    containers = {id(node.value) for node in nodes if isinstance(node, ast.Subscript)}
    for node in nodes:
        if id(node) in containers:
            continue
        for line, use in _uses_of(node):
            if use not in found[line]:
                found[line].append(use)
    return {line: tuple(uses) for line, uses in found.items()}


def _uses_of(node: ast.AST) -> Iterator[tuple[int, Use]]:
    if isinstance(node, ast.AugAssign):
        # Its target is read as well.
        yield from _path_use(node.target, is_change=False)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _CHANGING:
            yield from _element_use(node.func.value, node.func.value, is_change=True)
    elif isinstance(node, ast.Subscript):
        is_change = not isinstance(node.ctx, ast.Load)
        yield from _element_use(node.value, node, is_change=is_change)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _path_use(node, is_change=not isinstance(node.ctx, ast.Load))


def _path_use(node: ast.expr, *, is_change: bool) -> Iterator[tuple[int, Use]]:
    if isinstance(node, ast.Subscript):
        yield from _element_use(node.value, node, is_change=is_change)
        return
    path = _path_of(node)
    if path:
        yield node.lineno, Use(path, ast.unparse(node), is_change)


def _element_use(
    container: ast.expr, whole: ast.expr, *, is_change: bool
) -> Iterator[tuple[int, Use]]:
    path = _path_of(container)
    if path:
        yield whole.lineno, Use(path, ast.unparse(whole), is_change, is_of_elements=True)


def _path_of(node: ast.expr) -> _Path:
    """The names that lead to an object; empty for anything but a variable and its attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()
