"""The public packages whose tests are explored, and what was found there and read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tests.compat import suites
from tests.compat.suites import Suite

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

# Besides these of `suites.py`, some whose tests can't be compared.
_MORE = (
    Suite(
        "tenacity", "9.2.1", "unittest and pytest", requirements=("tornado", "typeguard", "trio")
    ),
    Suite("aiotools", "2.2.4", "timers, task groups"),
    Suite("aioresponses", "0.7.9", "unittest, aiohttp", requirements=("ddt", "aiohttp==3.14.5")),
)

# Of these a run takes longer than usual, as every test gets up to two seconds.
SUITES = tuple(
    dataclasses.replace(suite, seconds=900)
    for suite in (*suites.SUITES, *_MORE)
    if suite.name in _NAMES or suite in _MORE
)

# What each finding is, by the test, once it was read.
KNOWN: Mapping[str, str] = {}
