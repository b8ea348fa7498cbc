"""Who made a coroutine that is never awaited."""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from aldente._records import SourcePlace
from aldente._source import is_own, is_users

if TYPE_CHECKING:
    from aldente._rules.coroutine_origins import Coroutine


def name_of(mock: Any) -> str:
    """The name of a mock in its tree: ``client.get``."""
    name: str = getattr(mock, "_extract_mock_name", lambda: "mock")()
    return name


def caller_of(coroutine: Coroutine) -> SourcePlace | None:
    """The line that called the mock, the user's or not; None if that was not tracked."""
    from aldente._doubles.mock_compat import is_mocks_own

    for path, line, _ in coroutine.cr_origin or ():
        if not is_mocks_own(path) and not is_own(path) and path != "<string>":
            return SourcePlace(path, line)
    return None


def is_test_code(path: str, test: str) -> bool:
    """Whether a file belongs to the tests rather than to the code under test.

    Args:
        path: the file.
        test: the node id of the test that runs.

    >>> is_test_code("/project/tests/test_client.py", ""), is_test_code("/project/client.py", "")
    (True, False)
    """
    name = os.path.basename(path)
    file = test.partition("::")[0]
    return (
        name.startswith(("test_", "conftest.", "<doctest"))
        or name.endswith("_test.py")
        or (bool(file) and path.replace(os.sep, "/").endswith(f"/{file}"))
    )


def is_callers_choice(coroutine: Coroutine, handed_over: SourcePlace | None, test: str) -> bool:
    """Whether code under test, or a library, called a mock and did not await it.

    Args:
        coroutine: the mock's coroutine.
        handed_over: where the mock was passed to its caller, if that is known.
        test: the node id of the test.
    """
    caller = caller_of(coroutine)
    if caller is None:
        return False
    chosen_in = caller.path if handed_over is None else handed_over.path
    return not is_test_code(chosen_in, test)


def fix_of(mock: Any, *, is_callers_choice: bool, fix: str) -> str:
    """How to fix a mock's coroutine that is never awaited.

    Args:
        mock: the mock.
        is_callers_choice: whether code under test called it.
        fix: the fix where the mock is right.
    """
    real = _real_name_if_plain(mock)
    short = name_of(mock).removesuffix("()").rpartition(".")[2]
    if real is not None:
        return (
            f"{real} is a plain function, which is not awaited: put a Mock in its place, not an "
            f"AsyncMock ({_HOW})."
        )
    if not is_callers_choice:
        return fix
    return (
        f"The code under test does not await it. If the real {short!r} is a plain function, put a "
        f"Mock in its place, not an AsyncMock ({_HOW}). If it is a coroutine function, the code "
        "under test must await it."
    )


_HOW = "unittest.mock.create_autospec() knows which methods are async"


def _real_name_if_plain(mock: Any) -> str | None:
    """The name of the function that a mock replaces, if it is known to be a plain one."""
    from aldente._doubles.mock_compat import real_of

    real, name = real_of(mock)
    if real is None or not callable(real) or isinstance(real, type):
        return None
    is_async = inspect.iscoroutinefunction(real) or inspect.isasyncgenfunction(real)
    return None if is_async else repr(name)


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
