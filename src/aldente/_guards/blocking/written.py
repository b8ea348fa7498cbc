"""A call as the user has written it, for functions whose own name says less."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import NamedTuple


class WrittenCall(NamedTuple):
    """A call as it stands in the user's code.

    Attributes:
        function: what is called, with the module that it was imported from.
        shown: the call in words, without its arguments unless they are short.
        is_block: whether a ``with`` block has made the call.
    """

    function: str
    shown: str
    is_block: bool


def call_in(frame: FrameType, called: FrameType) -> WrittenCall | None:
    """The call that a frame is in; None when its source does not tell.

    Args:
        frame: a frame of the user's code.
        called: the frame of the function that it has called.
    """
    node = _node_in(frame)
    is_block = called.f_code.co_name in _OF_BLOCKS
    if isinstance(node, ast.Await):
        node = node.value
    function = node.func if isinstance(node, ast.Call) else node
    name = _dotted(function)
    if name is None or (not is_block and not isinstance(node, ast.Call)):
        return None
    name = _with_module(name, frame)
    if not is_block:
        return WrittenCall(name, f"{name}()", is_block)
    shown = ast.unparse(node) if node is not None else ""
    return WrittenCall(name, f"'with {shown if len(shown) < _LONG else f'{name}(...)'}'", is_block)


def is_awaited(frame: FrameType) -> bool:
    """Whether a frame is that of a coroutine function, or of a generator that is one."""
    return bool(frame.f_code.co_flags & _OF_COROUTINES)


_OF_BLOCKS = ("__enter__", "__exit__")
_OF_COROUTINES = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
_LONG = 60


def _node_in(frame: FrameType) -> ast.expr | None:
    """The expression that a frame is evaluating."""
    positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    line, end_line, column, end_column = positions
    if line is None or end_line is None or column is None or end_column is None:
        return None
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)[line - 1 : end_line]
    return _parsed(_between(lines, column, end_column))


def _parsed(source: str) -> ast.expr | None:
    """The expression that a piece of source is, or that its ``with`` block is made with."""
    try:
        # In parentheses it may have several lines.
        return ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        pass
    try:
        # Before CPython 3.13 the whole block is where its beginning and its end are.
        statements = ast.parse(source).body
    except SyntaxError:
        # The file has changed since it was imported, or is none.
        return None
    if len(statements) == 1 and isinstance(statements[0], ast.With):
        items = statements[0].items
        return items[0].context_expr if len(items) == 1 else None
    return None


def _between(lines: Sequence[str], column: int, end_column: int) -> str:
    """A part of some lines; columns are counted in bytes."""
    encoded = [line.encode() for line in lines]
    if not encoded:
        return ""
    encoded[-1] = encoded[-1][:end_column]
    encoded[0] = encoded[0][column:]
    return b"".join(encoded).decode(errors="replace")


def _dotted(node: ast.expr | None) -> str | None:
    """A name with dots; None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def _with_module(name: str, frame: FrameType) -> str:
    """A name with the module that its first part stands for, or was imported from."""
    first, dot, rest = name.partition(".")
    # Not among local variables: a snapshot of those would keep them alive.
    value = frame.f_globals.get(first)
    if isinstance(value, ModuleType):
        return f"{value.__name__}{dot}{rest}"
    home = getattr(value, "__module__", None)
    if not isinstance(home, str) or home == frame.f_globals.get("__name__"):
        return name
    # A package gives it more often than the module that it is defined in.
    parts = home.split(".")
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        if vars(sys.modules.get(module, sys)).get(first) is value:
            return f"{module}.{name}"
    return name
