"""Differences that are meant, by suite and node id, with their reasons."""

from __future__ import annotations

from typing import Final

_WIDEST_LOOP = (
    "a test that names no loop scope runs on the widest loop among its async fixtures; "
    "pytest-asyncio gives it a loop of its own"
)
_ASYNC_GENERATOR = (
    "an async generator as a test is an error, as nothing of it runs; pytest-asyncio expects "
    "its failure"
)

PYTEST_ASYNCIO: Final = {
    f"tests/{test}": reason
    for reason, tests in {
        _WIDEST_LOOP: (
            "markers/test_package_scope.py::"
            "test_asyncio_mark_allows_combining_package_scoped_fixture_with_function_scoped_test",
            "markers/test_session_scope.py::"
            "test_asyncio_mark_allows_combining_session_scoped_fixture_with_function_scoped_test",
            "markers/test_session_scope.py::"
            "test_allows_combining_session_scoped_asyncgen_fixture_with_function_scoped_test",
        ),
        _ASYNC_GENERATOR: tuple(
            f"test_asyncio_mark.py::test_asyncio_mark_on_async_generator_{kind}"
            f"_emits_warning_in_{mode}_mode"
            for kind in ("function", "method", "staticmethod")
            for mode in ("strict", "auto")
        ),
    }.items()
    for test in tests
}
