"""Where the user's code passes a function on to be called later: to the loop or to a thread.

That code is not on the stack any more when the function is called, so the line is looked up in the
sources. It is reported only if there is exactly one candidate.
"""

from __future__ import annotations

import ast
import linecache
import pathlib
import re
import sys
from collections.abc import Iterator

from aldente._records import SourcePlace
from aldente._source import is_users

# Functions and methods that take a function to call later, and classes that do: a timer, a thread.
_TAKERS = {
    "Thread",
    "Timer",
    "add_done_callback",
    "add_reader",
    "add_signal_handler",
    "add_writer",
    "call_at",
    "call_later",
    "call_soon",
    "call_soon_threadsafe",
    "map",
    "run_in_executor",
    "submit",
    "to_thread",
}


def place_of_handing_over(function: str, test: str | None) -> SourcePlace | None:
    """The only line of the user's that passes a function on; None if there is none, or several.

    Args:
        function: its name, unqualified.
        test: the node id of the test during which that happened; lines in other tests are left out.
    """
    file, _, names = (test or "").partition("::")
    # Without parameters, and without the group that pytest-xdist adds.
    own = re.split(r"[\[@]", names, maxsplit=1)[0].rpartition("::")[2]
    places = {
        SourcePlace(path, call.lineno)
        for path in _users_files()
        for call, within in _calls_in(path, function)
        if any(_is_named(value, function) for value in _values_of(call))
        and (not within or not own or (within == own and _is_file(path, file)))
    }
    return places.pop() if len(places) == 1 else None


def _users_files() -> set[str]:
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file for file in files if isinstance(file, str) and is_users(file)}


def _is_file(path: str, name: str) -> bool:
    """Whether a path is that of a file in a node id, which is relative, maybe with ``..``."""
    return f"/{pathlib.PurePath(path).as_posix()}".endswith(f"/{name.rpartition('../')[2]}")


def _calls_in(path: str, function: str) -> Iterator[tuple[ast.Call, str]]:
    """The calls of takers in a source file, if it mentions the function, each with its test."""
    source = "".join(linecache.getlines(path))
    if function not in source or not any(taker in source for taker in _TAKERS):
        return
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # It was changed since it was imported, or is no Python source.
        return
    nodes = list(ast.walk(tree))
    tests = [
        node
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test")
    ]
    for node in nodes:
        if isinstance(node, ast.Call) and _name_of(node.func) in _TAKERS:
            within = (test.name for test in tests if _contains(test, node))
            yield node, next(within, "")


def _contains(outer: ast.stmt, inner: ast.expr) -> bool:
    return outer.lineno <= inner.lineno <= (outer.end_lineno or outer.lineno)


def _values_of(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call, and those of a ``partial()`` among them."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    for value in values:
        yield value
        if isinstance(value, ast.Call) and _name_of(value.func) == "partial":
            yield from value.args[:1]


def _is_named(value: ast.expr, function: str) -> bool:
    return _name_of(value) == function


def _name_of(expression: ast.expr) -> str | None:
    """The last part of a dotted name."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else None
