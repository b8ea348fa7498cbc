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

_BACKGROUND_ERROR = (
    "the rule background-error: the test has an exception end in the event loop's exception handler "
    "on purpose"
)
_NEVER_AWAITED = "the rule never-awaited: the test forgets an await, so that it tests nothing there"

ASYNC_LRU: Final = {
    f"tests/test_internals.py::{test}": _BACKGROUND_ERROR
    for test in ("test_done_callback_exception", "test_done_callback_exception_logs")
}

AIOJOBS: Final = {
    f"tests/test_job.py::{test}": _BACKGROUND_ERROR
    for test in ("test_job_wait_closed", "test_job_close_closed")
}

PYTHON_SOCKETIO: Final = {
    f"tests/async/{test}": _NEVER_AWAITED
    for test in (
        "test_client.py::TestAsyncClient::test_eio_disconnect_namespaces",
        "test_manager.py::TestAsyncManager::test_close_invalid_room",
    )
}
