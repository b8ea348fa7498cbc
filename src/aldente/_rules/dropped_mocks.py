"""Coroutines of an `unittest.mock.AsyncMock` that are never awaited: who called it, how to fix it.

A test that does not await a mock is wrong. Code under test that does not await a mock is mostly
right: the real method is a plain one, and the mock should be too.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from aldente._records import SourcePlace
from aldente._source import is_own

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
        "under test has to await it."
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
