"""The rule ``plain-mock``: awaiting a `Mock` or `MagicMock`, or what one has returned."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import linecache
import re
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType, MemberDescriptorType, TracebackType
from typing import Any, Literal, NamedTuple
from unittest.mock import AsyncMock, NonCallableMock

from aldente._guards.error_chains import errors_within, is_users_code
from aldente._records import Finding, Rule, SourcePlace

RULE = Rule(
    name="plain-mock",
    level="error",
    catches="a Mock or MagicMock, or what it returned, where something to await is needed",
    why="Calling a Mock gives its return value at once; async code waits for something to await.",
    explanation="""\
`Mock` and `MagicMock` stand in for synchronous code. Awaiting what they return fails with a
TypeError that names neither the mock nor the mend; aldente adds both to the error.

Explained are `await`, `async with` and `async for` of a plain mock or of what it returned, and
handing that to `asyncio.gather()`, `asyncio.wait_for()` or `asyncio.create_task()`.

Mend: use `AsyncMock` for a function that is awaited, or build the whole stand-in with
`unittest.mock.create_autospec()`, which makes the async methods of its spec awaitable. For
`async with` and `async for` let a `MagicMock` stand in: it supports both.""",
)

# What to put in the place of a mock whose result is awaited.
_AWAITABLE_STAND_IN = "an AsyncMock"

# In tracebacks "object X can't be used" is what CPython says before 3.14.
_MESSAGES: list[tuple[re.Pattern[str], Literal["await", "async with", "async for"]]] = [
    (re.compile(r"object (?P<type>\S+) can't be used in 'await' expression"), "await"),
    (re.compile(r"'(?P<type>\S+)' object can't be awaited"), "await"),
    (re.compile(r"a coroutine was expected, got <(?P<type>\w+)"), "await"),
    (re.compile(r"An asyncio\.Future, a coroutine or an awaitable is required"), "await"),
    (re.compile(r"A coroutine object is required"), "await"),
    (
        re.compile(r"'(?P<type>\S+)' object does not support the asynchronous context manager"),
        "async with",
    ),
    (
        re.compile(r"'async for' requires an object with __aiter__ method, got (?P<type>\S+)"),
        "async for",
    ),
]

_MOCK_CLASSES = ("Mock", "MagicMock", "NonCallableMock", "NonCallableMagicMock")
_UNKNOWN = object()


class _Mistake(NamedTuple):
    """What a TypeError says: what was done, and the type of the object that does not support it."""

    how: Literal["await", "async with", "async for"]
    type_name: str | None


class _Use(NamedTuple):
    """A mock in the expression that failed.

    Attributes:
        expression: what was awaited, as the user writes it.
        mock_expression: the mock, as the user writes it.
        mock: the mock.
        is_call: whether it was called, rather than used itself.
    """

    expression: str
    mock_expression: str
    mock: NonCallableMock
    is_call: bool


def find(error: BaseException) -> Finding | None:
    """The finding for an error that comes of awaiting a plain mock; None for all others.

    Looks at its causes, its context and the members of exception groups too.
    """
    for inner in errors_within(error):
        if type(inner) is TypeError:
            finding = _find(inner)
            if finding is not None:
                return finding
    return None


def explain(error: BaseException) -> str | None:
    """What to say of an error that comes of awaiting a plain mock; None for all others."""
    finding = find(error)
    if finding is None:
        return None
    where = f" ({finding.place})" if finding.place is not None else ""
    return f"{RULE.name}: {finding.what}{where}\n{RULE.why}\nMend: {finding.mend}"


def note(error: BaseException) -> None:
    """Add the explanation to an error as a note, once."""
    text = explain(error)
    if text is not None and text not in getattr(error, "__notes__", ()):
        error.add_note(text)


def _find(error: TypeError) -> Finding | None:
    mistake = _mistake_of(str(error))
    if mistake is None:
        return None
    users, innermost = _tracebacks_of(error)
    use = _find_use(users, innermost, mistake.how)
    if use is None and mistake.type_name not in _MOCK_CLASSES:
        return None
    place = None
    if users is not None:
        place = SourcePlace(users.tb_frame.f_code.co_filename, users.tb_lineno)
    return Finding(RULE.name, _what_happened(mistake, use), _mend(mistake, use), place)


def _mistake_of(message: str) -> _Mistake | None:
    for pattern, how in _MESSAGES:
        match = pattern.match(message)
        if match is not None:
            name = match.groupdict().get("type")
            # contextlib says the module too.
            return _Mistake(how, None if name is None else name.rpartition(".")[2])
    return None


def _tracebacks_of(error: BaseException) -> tuple[TracebackType | None, TracebackType | None]:
    """The last entry of the traceback that is the user's, and the last one."""
    users = innermost = None
    traceback = error.__traceback__
    while traceback is not None:
        innermost = traceback
        if is_users_code(traceback.tb_frame.f_code.co_filename):
            users = traceback
        traceback = traceback.tb_next
    return users, innermost


def _find_use(
    users: TracebackType | None, innermost: TracebackType | None, how: str
) -> _Use | None:
    """The plain mock that was used, by the user's own expression if possible."""
    candidates: list[tuple[TracebackType, ast.expr]] = []
    if users is not None:
        operands = _operands(_node_at(users), how)
        candidates += [(users, operand) for operand in operands]
        if innermost is not None and _is_pythons(innermost.tb_frame):
            candidates += [(users, handed) for handed in _arguments(operands)]
    if innermost is not None and innermost is not users:
        candidates += [(innermost, operand) for operand in _operands(_node_at(innermost), how)]
    uses = (_use_in(expression, traceback.tb_frame) for traceback, expression in candidates)
    return next((use for use in uses if use is not None), None)


def _is_pythons(frame: FrameType) -> bool:
    """Whether the code of a frame is a part of Python, such as asyncio's or contextlib's."""
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] in sys.stdlib_module_names


def _arguments(operands: list[ast.expr]) -> Iterator[ast.expr]:
    """What is handed to calls among the operands, to be awaited there."""
    for operand in operands:
        if isinstance(operand, ast.Call):
            yield from operand.args
            yield from (keyword.value for keyword in operand.keywords)


def _operands(node: ast.AST | None, how: str) -> list[ast.expr]:
    """What an await, async with or async for was applied to."""
    if isinstance(node, ast.AsyncWith):
        return [item.context_expr for item in node.items]
    if isinstance(node, ast.AsyncFor):
        return [node.iter]
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return [generator.iter for generator in node.generators if generator.is_async]
    if isinstance(node, ast.Await):
        return [node.value]
    return [node] if isinstance(node, ast.expr) else []


def _node_at(traceback: TracebackType) -> ast.AST | None:
    """The statement or expression that a traceback's entry was busy with."""
    code = traceback.tb_frame.f_code
    position = next(
        itertools.islice(code.co_positions(), traceback.tb_lasti // 2, None), (None,) * 4
    )
    source = "".join(linecache.getlines(code.co_filename, traceback.tb_frame.f_globals))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # The file is gone, has changed or is no Python.
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            # Its expression stands at the same place.
            continue
        place = tuple(
            getattr(node, name, None)
            for name in ("lineno", "end_lineno", "col_offset", "end_col_offset")
        )
        if None not in place and place == position:
            return node
    return None


def _use_in(expression: ast.expr, frame: FrameType) -> _Use | None:
    is_call = isinstance(expression, ast.Call)
    mock_expression = expression.func if isinstance(expression, ast.Call) else expression
    mock = _plain_mock(_look_up(mock_expression, frame))
    if mock is None:
        return None
    return _Use(ast.unparse(expression), ast.unparse(mock_expression), mock, is_call)


def _plain_mock(value: object) -> NonCallableMock | None:
    """The mock that an object is, or is a front for, unless its calls can be awaited."""
    if isinstance(value, FunctionType):
        # create_autospec() makes a function of a function.
        value = vars(value).get("mock")
    kind = type(value)
    if not issubclass(kind, NonCallableMock) or issubclass(kind, AsyncMock):
        return None
    mock: Any = value
    return mock  # type: ignore[no-any-return]


def _look_up(expression: ast.expr, frame: FrameType) -> object:
    """What an expression stands for, as far as that can be told without running any code."""
    if isinstance(expression, ast.Name):
        for names in (frame.f_locals, frame.f_globals, vars(builtins)):
            if expression.id in names:
                return names[expression.id]
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
        # A slot; reading it runs nothing.
        return getattr(owner, name, _UNKNOWN)
    return found


def _what_happened(mistake: _Mistake, use: _Use | None) -> str:
    verb = {
        "await": "be awaited",
        "async with": "be used with 'async with'",
        "async for": "be used with 'async for'",
    }[mistake.how]
    if use is None:
        return f"a {mistake.type_name} can't {verb}."
    kind = type(use.mock).__name__
    if not use.is_call:
        return f"'{use.expression}' is a {kind}{_named(use)}, which can't {verb}."
    gave = _an(mistake.type_name or "object")
    return (
        f"'{use.mock_expression}' is a {kind}{_named(use)}, so '{use.expression}' gave {gave}, "
        f"which can't {verb}."
    )


def _mend(mistake: _Mistake, use: _Use | None) -> str:
    if use is None:
        subject = "the mock that it comes from"
    elif not use.is_call and _name_of(use.mock).endswith("()"):
        subject = "the mock that returned it"
    else:
        subject = f"'{use.mock_expression}'"
    if mistake.how == "await":
        return (
            f"Make {subject} {_AWAITABLE_STAND_IN}, or build the whole stand-in with "
            "unittest.mock.create_autospec(), which makes the async methods of its spec awaitable."
        )
    special = "__aenter__" if mistake.how == "async with" else "__aiter__"
    return (
        f"Make {subject} a MagicMock that returns what it makes by itself, which supports "
        f"'{mistake.how}'; what that gives is set by its {special}.return_value."
    )


def _named(use: _Use) -> str:
    """The mock's own name, where it says more than the expression does."""
    name = _name_of(use.mock)
    says_more = name and name != use.mock_expression and (not use.is_call or "mock" not in name)
    return f" named '{name}'" if says_more else ""


def _name_of(mock: NonCallableMock) -> str:
    # Not repr(mock): a MagicMock's may be configured, and would count a call.
    match = re.match(r"<\w+ name='([^']*)'", NonCallableMock.__repr__(mock))
    return match.group(1) if match else ""


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"
