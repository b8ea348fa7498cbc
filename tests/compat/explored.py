"""The public packages whose tests are explored, and what was found there and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tests.compat import suites

_NAMES = (
    "aiosignal",
    "janus",
    "async-timeout",
    "aiolimiter",
    "aiocache",
    "aiofiles",
    "asgiref",
    "async-lru",
    "aiostream",
    "aiojobs",
    "aiodataloader",
    "async-property",
    "pyee",
    "blinker",
    "graphql-core",
    "python-statemachine",
    "aiosmtplib",
    "structlog",
    "python-socketio",
    "hypercorn",
    "prometheus-async",
    "svcs",
    "aiohttp-sse",
    "httpx-sse",
    "aioconsole",
)

# Of these a run takes longer than usual, as every test gets up to two seconds.
SUITES = tuple(
    dataclasses.replace(suite, seconds=900) for suite in suites.SUITES if suite.name in _NAMES
)

# What each finding is, by the test, once it was read.
_IN_PARTS = "its server reads a command by one read(), which comes in two parts"

KNOWN: Mapping[str, str] = {
    "tests/test_task_group.py::test_task_group_cleanup": (
        "counts turns: one task's sleep(0) has to be over before a task that was cancelled is awaited"
    ),
    "tests/test_connect.py::test_server_unexpected_disconnect_on_command_then_reconnect": _IN_PARTS,
    "tests/test_protocol.py::test_protocol_read_limit_overrun": _IN_PARTS,
    "tests/test_protocol.py::test_protocol_response_no_newline_overrun": _IN_PARTS,
    "tests/test_protocol.py::test_protocol_response_continuation_overrun": _IN_PARTS,
    "tests/test_protocol.py::test_protocol_exception_cleanup_warning": _IN_PARTS,
}
