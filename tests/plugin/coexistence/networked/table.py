"""The programs, by name, and what each of them needs."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from tests.plugin.coexistence.networked import brokers, services, web


class Program(NamedTuple):
    """A program with a network.

    Attributes:
        body: a coroutine function that takes whether its connections are encrypted.
        needs: the modules that it imports.
        kinds: whether it is tried plain and encrypted.
    """

    body: Callable[[bool], Coroutine[Any, Any, Any]]
    needs: tuple[str, ...]
    kinds: tuple[bool, ...] = (False, True)


_FASTAPI = ("fastapi", "python_multipart", "httpx", "uvicorn")
_TALK = ("fastapi", "python_multipart", "uvicorn", "websockets")
_HYPERCORN = ("fastapi", "python_multipart", "httpx", "hypercorn.asyncio", "h2")
_HYPERCORN_TALK = ("fastapi", "python_multipart", "hypercorn.asyncio", "websockets")

_PROGRAMS = {
    "aiohttp-pool": Program(web.pool_of_aiohttp, ("aiohttp",)),
    "fastapi-uvicorn": Program(web.fastapi_on_uvicorn, _FASTAPI),
    "fastapi-uvicorn-websocket": Program(web.websocket_of_fastapi_on_uvicorn, _TALK),
    "fastapi-hypercorn": Program(web.fastapi_on_hypercorn, _HYPERCORN),
    "fastapi-hypercorn-websocket": Program(web.websocket_of_fastapi_on_hypercorn, _HYPERCORN_TALK),
    "redis": Program(brokers.redis_client, ("redis.asyncio",)),
    "nats": Program(brokers.nats_client, ("nats",)),
    "aiosmtpd": Program(services.mail, ("aiosmtpd.smtp", "aiosmtplib")),
    "grpclib": Program(services.grpc, ("grpclib.server", "grpclib.client")),
    # There is no SSH without encryption.
    "asyncssh": Program(services.shell, ("asyncssh",), (True,)),
}

# By name: the program as a coroutine function without arguments, and the modules that it needs.
PROGRAMS = {
    f"{name}-{'tls' if is_encrypted else 'plain'}": (
        functools.partial(program.body, is_encrypted),
        program.needs,
    )
    for name, program in _PROGRAMS.items()
    for is_encrypted in program.kinds
}


def missing_for(name: str) -> list[str]:
    """The modules that a program needs and that can't be imported; the others are imported."""
    missing = []
    for module in PROGRAMS[name][1]:
        try:
            with warnings.catch_warnings():
                # What a library imports is its own matter.
                warnings.simplefilter("ignore")
                importlib.import_module(module)
        except ImportError:
            missing.append(module)
    return missing
