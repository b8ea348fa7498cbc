"""Which names each line of a source file reads and changes, and what objects are called.

Where tasks may share what is named, only paths are known: a variable, then attributes and elements,
such as ``self.rows[key]``. A method that changes a container in place changes its elements; any
other use of a container reads them.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import linecache
import weakref
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple

from aldente._diagnosis.inspection import is_running, links_of
from aldente._runner.threads import attribute_of
from aldente._simulation.trace import in_brief
from aldente._source import is_programs
from aldente._stacks import variables_of

# How often to look for the name of one object: it may get one only after its first uses.
_MOST_LOOKS = 20


class ObjectNames:
    """Numbers and names of the objects of a run.

    It keeps no object alive, as the run has to free them when it would.

    Args:
        main: the task of the program, in whose outermost function names are looked for.
    """

    def __init__(self, main: asyncio.Task[Any] | None) -> None:
        self._main = None if main is None else weakref.ref(main)
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._numbers = 0
        self._names: dict[Hashable, str] = {}
        self._looks: dict[Hashable, int] = {}

    def number_of(self, thing: object) -> Hashable:
        """A number that no other object of the run has; its identity where that can't be known."""
        known = self._known.get(id(thing))
        if known is not None and known[0]() is thing:
            return known[1]
        try:
            reference = weakref.ref(thing)
        except TypeError:
            return "identity", id(thing)
        self._numbers += 1
        self._known[id(thing)] = reference, self._numbers
        return self._numbers

    def look_for(self, thing: object, frame: FrameType) -> None:
        """Look for the name of an object, unless it is known.

        Args:
            thing: the object.
            frame: a function that uses it, and runs.
        """
        number = self.number_of(thing)
        looks = self._looks.get(number, 0)
        if not isinstance(number, int) or number in self._names or looks >= _MOST_LOOKS:
            return
        self._looks[number] = looks + 1
        for variables in self._scopes(frame):
            for name, value in variables.items():
                if value is thing and name != "self" and not name.startswith("_"):
                    self._names[number] = name
                    return

    def name_of(self, number: Hashable, default: str) -> str:
        """The name of an object by its number; the default if it has none of its own."""
        name = self._names.get(number, default)
        # A variable may have been set to several objects.
        return name if list(self._names.values()).count(name) == 1 else default

    def _scopes(self, frame: FrameType) -> Iterator[Mapping[str, Any]]:
        """Where a reader looks for it: the variables of the program and its module, then here."""
        main = None if self._main is None else self._main()
        links = [] if main is None or is_running(main.get_coro()) else links_of(main.get_coro())
        frames = [link.frame for link in links if is_programs(link.frame.f_code.co_filename)]
        if frames:
            yield variables_of(frames[0])
            yield frames[0].f_globals
        yield frame.f_globals

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._names.clear()
        self._looks.clear()


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

# Those of them that return nothing of the old content: calling one is not a read.
_ONLY_CHANGING = _CHANGING - frozenset(("pop", "popitem", "popleft", "setdefault"))

# Methods whose first argument says which element of a dictionary, or of a set, they are about.
_OF_ONE_ELEMENT = frozenset(("add", "discard", "get", "pop", "remove", "setdefault"))

_Path = tuple[str, ...]

_MISSING = object()


class Index(NamedTuple):
    """The index of an element: a path, a constant, or a tuple of such.

    Attributes:
        path: the variable and the attributes that have it; empty for all else.
        constant: its value, if it is one.
        parts: those of a tuple.
    """

    path: _Path = ()
    constant: Any = None
    parts: tuple[Index, ...] = ()


class PathUse(NamedTuple):
    """A use of a path on a line.

    Attributes:
        path: the variable and the attributes that lead to the object; the last one is used.
        text: the source of the path, as a user would name it.
        is_change: whether it is changed; else it is read.
        is_of_elements: whether elements of the object are used, not the name itself.
        element: which one is used; None if the source does not say so, or all are.
        is_call: whether a method is called by which tasks act on others; the path leads to the
            object, if it is one with such methods.
        amount: 1 if a permit of the object is put back, -1 if one is taken; 0 for all else.
        is_conditional: whether the line may end without the change.
    """

    path: _Path
    text: str
    is_change: bool
    is_of_elements: bool = False
    element: Index | None = None
    is_call: bool = False
    amount: int = 0
    is_conditional: bool = False


@functools.lru_cache(maxsize=64)
def uses_in(file: str) -> Mapping[int, tuple[PathUse, ...]]:
    """The uses on each line of a file; empty if its source can't be read."""
    found: dict[int, list[PathUse]] = defaultdict(list)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    nodes = list(ast.walk(tree))
    # The use of an element is no use of its container besides.
    containers = {id(container) for node in nodes for container in _containers_of(node)}
    conditional = {id(node) for each in nodes for node in _conditional_in(each)}
    statements = Counter(node.lineno for node in nodes if isinstance(node, ast.stmt))
    for node in nodes:
        if id(node) in containers:
            continue
        for line, use in [*_uses_of(node), *_call_of(node, statements), *_permit_of(node)]:
            if use.is_change and id(node) in conditional:
                use = use._replace(is_conditional=True)
            if use not in found[line]:
                found[line].append(use)
    return {line: tuple(uses) for line, uses in found.items()}


def _containers_of(node: ast.AST) -> Iterator[ast.expr]:
    """The containers of which a node uses elements alone."""
    if isinstance(node, ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _ONLY_CHANGING:
            yield node.func.value
        elif node.func.attr == "get" and _index_of(node) is not None:
            yield from (node.func, node.func.value)
    elif isinstance(node, ast.Compare) and _index_of(node) is not None:
        yield node.comparators[0]


def _conditional_in(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a node that may be left out on the line that it is on."""
    found: list[ast.AST] = []
    if isinstance(node, ast.IfExp):
        found = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        found = [*node.values[1:]]
    elif isinstance(node, ast.Lambda):
        found = [node.body]
    elif isinstance(node, ast.comprehension):
        found = [*node.ifs]
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        found = [node.elt]
    elif isinstance(node, ast.DictComp):
        found = [node.key, node.value]
    elif isinstance(node, ast.If | ast.While | ast.For | ast.AsyncFor):
        found = [each for each in (*node.body, *node.orelse) if each.lineno == node.lineno]
    for each in found:
        yield from ast.walk(each)


def _uses_of(node: ast.AST) -> Iterator[tuple[int, PathUse]]:
    if isinstance(node, ast.AugAssign):
        # Its target is read as well.
        yield from _path_use(node.target, is_change=False)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        index, container = _index_of(node), node.func.value
        if node.func.attr in _CHANGING:
            yield from _element_use(container, container, is_change=True, index=index)
        elif node.func.attr == "get" and index is not None:
            yield from _element_use(container, container, is_change=False, index=index)
    elif isinstance(node, ast.Compare):
        index, container = _index_of(node), node.comparators[0]
        if index is not None:
            yield from _element_use(container, container, is_change=False, index=index)
    elif isinstance(node, ast.Subscript):
        is_change = not isinstance(node.ctx, ast.Load)
        yield from _element_use(node.value, node, is_change=is_change)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _path_use(node, is_change=not isinstance(node.ctx, ast.Load))


def _call_of(node: ast.AST, statements: Mapping[int, int]) -> Iterator[tuple[int, PathUse]]:
    """The call that a statement is, if it is the only one on its line, so that it surely runs."""
    if not isinstance(node, ast.Expr) or statements[node.lineno] > 1:
        return
    call = node.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    path = _path_of(call.func.value)
    if path and call.func.attr in _SIGNALLING:
        yield (
            node.lineno,
            PathUse(path, f"{ast.unparse(call.func)}()", is_change=True, is_call=True),
        )


def _permit_of(node: ast.AST) -> Iterator[tuple[int, PathUse]]:
    """The permit of a lock or semaphore that is taken or put back."""
    is_taken = isinstance(node, ast.Await)
    call = node.value if isinstance(node, ast.Await | ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        path, method = _path_of(call.func.value), call.func.attr
        if path and method == ("acquire" if is_taken else "release"):
            text, amount = ast.unparse(call.func.value), -1 if is_taken else 1
            yield call.lineno, PathUse(path, text, is_change=True, amount=amount)


def _path_use(node: ast.expr, *, is_change: bool) -> Iterator[tuple[int, PathUse]]:
    if isinstance(node, ast.Subscript):
        yield from _element_use(node.value, node, is_change=is_change)
        return
    path = _path_of(node)
    if path:
        yield node.lineno, PathUse(path, ast.unparse(node), is_change)


def _element_use(
    container: ast.expr, whole: ast.expr, *, is_change: bool, index: Index | None = None
) -> Iterator[tuple[int, PathUse]]:
    path = _path_of(container)
    if path:
        text, index = ast.unparse(whole), index or _index_of(whole)
        yield whole.lineno, PathUse(path, text, is_change, is_of_elements=True, element=index)


def _index_of(node: ast.expr) -> Index | None:
    """Which element of a container a node is about; None if the source does not say so, or all."""
    if isinstance(node, ast.Subscript):
        return _index_by(node.slice)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return _index_by(node.left) if len(node.ops) == 1 else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _index_by(node.args[0]) if node.func.attr in _OF_ONE_ELEMENT and node.args else None
    return None


def _index_by(node: ast.expr) -> Index | None:
    path = _path_of(node)
    if path:
        return Index(path)
    if isinstance(node, ast.Constant):
        return Index(constant=node.value)
    if isinstance(node, ast.Tuple):
        parts = [_index_by(each) for each in node.elts]
        known = tuple(part for part in parts if part is not None)
        return Index(parts=known) if known and len(known) == len(parts) else None
    return None


def _path_of(node: ast.expr) -> _Path:
    """The names that lead to an object; empty for anything but a variable and its attributes."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def index_in(frame: FrameType, use: PathUse) -> Any:
    """The index of the element that is used, if it has a short text; else None."""
    return None if use.element is None else _value_in(frame, use.element)


def _value_in(frame: FrameType, index: Index) -> Any:
    if index.parts:
        values = tuple(_value_in(frame, part) for part in index.parts)
        return None if None in values else values
    value = index.constant
    if index.path:
        name, *attributes = index.path
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        for attribute in attributes:
            value = attribute_of(value, attribute, None)
    # Of no other type, as those of the program may compare themselves by its code.
    return value if type(value) in (str, bytes, int, bool) and in_brief(value) else None


def element_of(use: PathUse, value: Any, index: Any) -> tuple[str, str]:
    """What a use of a container uses, and its value in words."""
    if index is None or not isinstance(value, dict):
        return use.text, in_brief(value)
    shown = in_brief(index)
    container, bracket, _ = use.text.partition("[")
    text = f"{container}[{shown.strip('()') if type(index) is tuple else shown}]"
    element = dict.get(value, index, _MISSING)
    if element is _MISSING:
        # Of `key in container`, what there was instead.
        return text if bracket else container, in_brief(value)
    return text, in_brief(element)
