"""Which mock the awaited expression of a traceback comes from, without running any code."""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import itertools
import linecache
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType, MemberDescriptorType, TracebackType
from typing import Any, NamedTuple
from unittest.mock import DEFAULT, AsyncMock, NonCallableMock

from aldente._rules.background_error import is_users_code

_UNKNOWN = object()

# Functions of asyncio that await their arguments, or have a task do so.
_AWAITING = {"gather", "wait_for", "shield", "create_task", "ensure_future", "wait"}


class MockUse(NamedTuple):
    """A mock in the expression that failed.

    Attributes:
        expression: what was awaited, as the user writes it.
        mock_expression: the mock, as the user writes it.
        mock: the mock; None for an async function that a mock replaced at that time.
        is_call: whether its result was used, rather than the mock itself.
    """

    expression: str
    mock_expression: str
    mock: NonCallableMock | None
    is_call: bool


def tracebacks_of(error: BaseException) -> tuple[TracebackType | None, TracebackType | None]:
    """The last entry of the traceback in the user's code, and the last one."""
    users = innermost = None
    traceback = error.__traceback__
    while traceback is not None:
        innermost = traceback
        if is_users_code(traceback.tb_frame.f_code.co_filename):
            users = traceback
        traceback = traceback.tb_next
    return users, innermost


def find_use(
    users: TracebackType | None, innermost: TracebackType | None, how: str, type_name: str | None
) -> MockUse | None:
    """The plain mock that was used, by the user's own expression if possible.

    Args:
        users: the last entry of the traceback in the user's code.
        innermost: the last entry.
        how: what was done: ``"await"``, ``"async with"`` or ``"async for"``.
        type_name: the type that does not support it; None if it is not known.
    """
    candidates = list(_candidates(users, innermost, how))
    for find in (_use_in, _use_before):
        for traceback, expression in candidates:
            use = find(expression, traceback)
            if use is not None and _fits(use, type_name):
                return use
    if how != "await" or type_name in (None, "coroutine") or users is not innermost:
        return None
    replaced = (_use_of_replaced(expression, traceback) for traceback, expression in candidates)
    return next(filter(None, replaced), None)


def _candidates(
    users: TracebackType | None, innermost: TracebackType | None, how: str
) -> Iterator[tuple[TracebackType, ast.expr]]:
    """The expressions whose value may not have supported it, the likeliest first."""
    if users is not None:
        operands = _operands(_node_at(users), how)
        for operand in operands:
            for alternative in _alternatives(operand):
                yield users, alternative
            if how == "async for" and _name_called(operand) in ("anext", "aiter"):
                for handed in _arguments([operand]):
                    yield users, handed
        if innermost is not None and _is_pythons(innermost.tb_frame):
            for handed in _arguments(operands):
                yield users, handed
                for element in _elements(handed, users.tb_frame):
                    yield users, element
    if innermost is not None and innermost is not users:
        for operand in _operands(_node_at(innermost), how):
            yield innermost, operand


def _alternatives(expression: ast.expr) -> Iterator[ast.expr]:
    """An expression; for a conditional one, its alternatives."""
    if isinstance(expression, ast.IfExp):
        yield from _alternatives(expression.body)
        yield from _alternatives(expression.orelse)
    elif isinstance(expression, ast.BoolOp):
        for value in expression.values:
            yield from _alternatives(value)
    elif isinstance(expression, ast.NamedExpr):
        yield from _alternatives(expression.value)
    else:
        yield expression


def _fits(use: MockUse, type_name: str | None) -> bool:
    """Whether the object that was used may have been of a type."""
    if type_name is None or use.mock is None:
        return True
    if not use.is_call:
        return type(use.mock).__name__ == type_name
    stored = vars(use.mock)
    if stored.get("_mock_side_effect") is not None or stored.get("_mock_wraps") is not None:
        # It may have returned anything.
        return True
    given = stored.get("_mock_return_value", DEFAULT)
    return given is DEFAULT or type(given).__name__ == type_name


def _is_pythons(frame: FrameType) -> bool:
    """Whether a frame runs the standard library's code, such as asyncio's or contextlib's."""
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] in sys.stdlib_module_names


def is_asyncios(frame: FrameType) -> bool:
    """Whether a frame runs asyncio's code."""
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "asyncio"


def mock_waited_for(traceback: TracebackType | None) -> NonCallableMock | None:
    """A plain mock among what `asyncio.wait()` waits for, in a traceback that leads through it."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code is asyncio.wait.__code__:
            # Gone where code has cleared the frames, as unittest's assertRaises() does.
            awaited = frame.f_locals.get("fs", ())
            for each in awaited if type(awaited) in (list, tuple, set) else ():
                mock = _plain_mock(each)
                # asyncio takes a mock with the spec of a future for one.
                if mock is not None and not asyncio.isfuture(mock):
                    return mock
            return None
        traceback = traceback.tb_next
    return None


def _arguments(operands: list[ast.expr]) -> Iterator[ast.expr]:
    """The arguments of those operands that are calls which await them."""
    for operand in operands:
        if isinstance(operand, ast.Call):
            for argument in (*operand.args, *(keyword.value for keyword in operand.keywords)):
                yield from _parts(argument)


def _parts(argument: ast.expr) -> Iterator[ast.expr]:
    """The single awaitables in an argument: the elements of a display or comprehension."""
    if isinstance(argument, ast.Starred):
        yield from _parts(argument.value)
    elif isinstance(argument, (ast.List, ast.Tuple, ast.Set)):
        for element in argument.elts:
            yield from _parts(element)
    elif isinstance(argument, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        yield argument.elt
    else:
        yield argument
        if isinstance(argument, ast.Call):
            name = _name_called(argument)
            if name in _AWAITING:
                yield from _arguments([argument])
            elif name == "map" and argument.args:
                yield ast.Call(argument.args[0], [], [])


# How many elements of a list are looked at.
_MOST_ELEMENTS = 100


def _elements(handed: ast.expr, frame: FrameType) -> Iterator[ast.expr]:
    """The elements of a list of awaitables that is kept in a variable."""
    kept = _look_up(handed, frame)
    if type(kept) in (list, tuple):
        for index in range(min(len(kept), _MOST_ELEMENTS)):  # type: ignore[arg-type]
            yield ast.Subscript(handed, ast.Constant(index))


def _name_called(expression: ast.expr) -> str | None:
    """The last part of the name of a called function; None if it is not a call."""
    called = getattr(expression, "func", None)
    name: str | None = getattr(called, "attr", None) or getattr(called, "id", None)
    return name


def _operands(node: ast.AST | None, how: str) -> list[ast.expr]:
    """The operands of an await, async with or async for."""
    if isinstance(node, ast.AsyncWith):
        return [item.context_expr for item in node.items]
    if isinstance(node, (ast.AsyncFor, ast.For)):
        # A plain one iterates over `asyncio.as_completed()`.
        return [node.iter]
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return [generator.iter for generator in node.generators if generator.is_async]
    if isinstance(node, ast.Await):
        return [node.value]
    return [node] if isinstance(node, ast.expr) else []


def _tree_of(traceback: TracebackType) -> ast.Module | None:
    """The syntax tree of a traceback entry's file; None if it is gone or is no Python."""
    code = traceback.tb_frame.f_code
    source = "".join(linecache.getlines(code.co_filename, traceback.tb_frame.f_globals))
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def _node_at(traceback: TracebackType) -> ast.AST | None:
    """The statement or expression that a traceback entry was executing."""
    code = traceback.tb_frame.f_code
    position = next(
        itertools.islice(code.co_positions(), traceback.tb_lasti // 2, None), (None,) * 4
    )
    tree = _tree_of(traceback)
    if tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            # Its expression has the same position.
            continue
        place = tuple(
            getattr(node, name, None)
            for name in ("lineno", "end_lineno", "col_offset", "end_col_offset")
        )
        if None not in place and place == position:
            return node
    return None


def _use_in(expression: ast.expr, traceback: TracebackType) -> MockUse | None:
    """The use of a mock in an expression, if it is one."""
    is_call = isinstance(expression, ast.Call)
    mock_expression = expression.func if isinstance(expression, ast.Call) else expression
    mock = _plain_mock(_look_up(mock_expression, traceback.tb_frame))
    if mock is None:
        return None
    return MockUse(ast.unparse(expression), ast.unparse(mock_expression), mock, is_call)


def _use_before(expression: ast.expr, traceback: TracebackType) -> MockUse | None:
    """The use of a mock whose result was kept in a variable, and awaited by its name."""
    if not isinstance(expression, ast.Name):
        return None
    frame = traceback.tb_frame
    value = _look_up(expression, frame)
    for given in _assigned_before(expression.id, traceback):
        for alternative in _alternatives(given):
            awaited = alternative.value if isinstance(alternative, ast.Await) else alternative
            use = _use_in(awaited, traceback) if isinstance(awaited, ast.Call) else None
            if use is not None and use.mock is not None:
                stored = vars(use.mock)
                if stored.get("_mock_return_value") is value or stored.get("_mock_side_effect"):
                    return use
    return None


def _assigned_before(name: str, traceback: TracebackType) -> list[ast.expr]:
    """The assignments to a variable above the line of a traceback entry, the last first."""
    code = traceback.tb_frame.f_code
    found: list[tuple[int, ast.expr]] = []
    for node in ast.walk(_tree_of(traceback) or ast.Module([], [])):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            targets = [node.target]
        value: ast.expr | None = getattr(node, "value", None)
        if value is None or not any(
            isinstance(target, ast.Name) and target.id == name for target in targets
        ):
            continue
        line: int = node.lineno  # type: ignore[attr-defined]
        if code.co_firstlineno <= line <= traceback.tb_lineno:
            found.append((line, value))
    return [value for _, value in sorted(found, key=lambda each: -each[0])]


def _use_of_replaced(expression: ast.expr, traceback: TracebackType) -> MockUse | None:
    """The call of a function that is async now, and was not when it was called.

    By the time that a failure is looked into, `unittest.mock.patch` has undone its patch.
    """
    if not isinstance(expression, ast.Call):
        return None
    function = _look_up(expression.func, traceback.tb_frame)
    if not inspect.iscoroutinefunction(getattr(function, "__func__", function)):
        return None
    return MockUse(ast.unparse(expression), ast.unparse(expression.func), None, True)


def _plain_mock(value: object) -> NonCallableMock | None:
    """The mock that an object is or wraps, unless its calls can be awaited."""
    if isinstance(value, FunctionType):
        # create_autospec() wraps the mock of a function in a function.
        value = vars(value).get("mock")
    kind = type(value)
    if not issubclass(kind, NonCallableMock) or issubclass(kind, AsyncMock):
        return None
    mock: Any = value
    return mock  # type: ignore[no-any-return]


def _look_up(expression: ast.expr, frame: FrameType) -> object:
    """Evaluate an expression, as far as that is possible without running any code."""
    if isinstance(expression, ast.Name):
        for names in (frame.f_locals, frame.f_globals, vars(builtins)):
            if expression.id in names:
                return names[expression.id]
    if isinstance(expression, ast.Subscript):
        return _element(_look_up(expression.value, frame), _look_up(expression.slice, frame))
    if isinstance(expression, ast.Constant):
        return expression.value
    if isinstance(expression, ast.Attribute):
        return _attribute(_look_up(expression.value, frame), expression.attr)
    if isinstance(expression, ast.Call):
        mock = _plain_mock(_look_up(expression.func, frame))
        if mock is not None:
            return vars(mock).get("_mock_return_value", _UNKNOWN)
    if isinstance(expression, ast.Await):
        awaited = expression.value
        if isinstance(awaited, ast.Call):
            function = _look_up(awaited.func, frame)
            if issubclass(type(function), AsyncMock):
                return vars(function).get("_mock_return_value", _UNKNOWN)
    return _UNKNOWN


def _element(container: Any, key: Any) -> object:
    """An element of a built-in container; a lookup in any other type runs code."""
    if type(key) not in (str, int, bytes, bool, tuple):
        return _UNKNOWN
    if type(container) is dict:
        return container.get(key, _UNKNOWN)
    if (
        type(container) in (list, tuple)
        and type(key) is int
        and -len(container) <= key < len(container)
    ):
        return container[key]
    return _UNKNOWN


def _attribute(owner: object, name: str) -> object:
    """An attribute as it is stored, so that no property runs and no mock counts a call."""
    if owner is _UNKNOWN:
        return _UNKNOWN
    if issubclass(type(owner), NonCallableMock):
        stored = vars(owner)
        children: dict[str, object] = stored.get("_mock_children", {})
        if name == "return_value":
            return stored.get("_mock_return_value", _UNKNOWN)
        return stored.get(name, children.get(name, _UNKNOWN))
    found = inspect.getattr_static(owner, name, _UNKNOWN)
    if isinstance(found, (staticmethod, classmethod)):
        return found.__func__
    if isinstance(found, MemberDescriptorType):
        # A slot; reading it runs no code.
        return getattr(owner, name, _UNKNOWN)
    return found
