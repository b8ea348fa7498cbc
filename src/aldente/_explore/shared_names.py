"""Which names each line of a source file reads and changes, where tasks may share what they name.

Only paths are known: a variable, then attributes and elements, such as ``self.rows[key]``. A method
that changes a container in place changes its elements; any other use of a container reads them.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

from aldente._simulation.trace import in_brief

# Methods by which a task acts on others: of asyncio's locks, events, queues, futures and tasks.
_SIGNALLING = frozenset(
    name
    for names in (
        "cancel clear get_nowait notify notify_all put_nowait release set set_exception set_result",
        "shutdown task_done",
    )
    for name in names.split()
)

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

_MISSING = object()


class Index(NamedTuple):
    """The index of an element.

    Attributes:
        variable: the variable that has it; empty for a constant.
        constant: its value, if it is one.
    """

    variable: str
    constant: Any = None


class Use(NamedTuple):
    """A use of a path on a line.

    Attributes:
        path: the variable and the attributes that lead to the object; the last one is used.
        text: the source of the path, as a user would name it.
        is_change: whether it is changed; else it is read.
        is_of_elements: whether elements of the object are used, not the name itself.
        element: which one is used, as a variable or a constant; None if it is neither, or all.
        is_call: whether a method is called by which tasks act on others; the path leads to the
            object, if it is one with such methods.
        amount: 1 if a permit of the object is put back, -1 if one is taken; 0 for all else.
    """

    path: _Path
    text: str
    is_change: bool
    is_of_elements: bool = False
    element: Index | None = None
    is_call: bool = False
    amount: int = 0


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
    statements = Counter(node.lineno for node in nodes if isinstance(node, ast.stmt))
    for node in nodes:
        if id(node) in containers:
            continue
        for line, use in [*_uses_of(node), *_call_of(node, statements), *_permit_of(node)]:
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


def _call_of(node: ast.AST, statements: Mapping[int, int]) -> Iterator[tuple[int, Use]]:
    """The call that a statement is, if it is the only one on its line, so that it surely runs."""
    if not isinstance(node, ast.Expr) or statements[node.lineno] > 1:
        return
    call = node.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    path = _path_of(call.func.value)
    if path and call.func.attr in _SIGNALLING:
        yield node.lineno, Use(path, f"{ast.unparse(call.func)}()", is_change=True, is_call=True)


def _permit_of(node: ast.AST) -> Iterator[tuple[int, Use]]:
    """The permit of a lock or semaphore that is taken or put back."""
    is_taken = isinstance(node, ast.Await)
    call = node.value if isinstance(node, ast.Await | ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        path, method = _path_of(call.func.value), call.func.attr
        if path and method == ("acquire" if is_taken else "release"):
            text, amount = ast.unparse(call.func.value), -1 if is_taken else 1
            yield call.lineno, Use(path, text, is_change=True, amount=amount)


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
        text, index = ast.unparse(whole), _index_of(whole)
        yield whole.lineno, Use(path, text, is_change, is_of_elements=True, element=index)


def _index_of(node: ast.expr) -> Index | None:
    index = node.slice if isinstance(node, ast.Subscript) else None
    if isinstance(index, ast.Name):
        return Index(index.id)
    return Index("", index.value) if isinstance(index, ast.Constant) else None


def _path_of(node: ast.expr) -> _Path:
    """The names that lead to an object; empty for anything but a variable and its attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def index_in(frame: FrameType, use: Use) -> Any:
    """The index of the element that is used, if it has a short text; else None."""
    if use.element is None:
        return None
    variable, value = use.element
    if variable:
        value = frame.f_locals.get(variable, frame.f_globals.get(variable))
    return value if in_brief(value) and isinstance(value, str | bytes | int) else None


def element_of(use: Use, value: Any, index: Any) -> tuple[str, str]:
    """What a use of a container uses, and its value in words."""
    if index is None or not isinstance(value, dict):
        return use.text, in_brief(value)
    text = f"{use.text.rpartition('[')[0]}[{in_brief(index)}]"
    element = dict.get(value, index, _MISSING)
    if element is _MISSING:
        return text, in_brief(value)
    return text, in_brief(element)
