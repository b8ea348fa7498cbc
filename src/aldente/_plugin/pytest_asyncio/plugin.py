"""The fixtures of pytest-asyncio; registered with pytest under its name, ``asyncio``.

Every test suite loads this module, so asyncio and sockets are imported by the fixtures that need
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

from aldente._plugin.pytest_asyncio import __version__, fixture, is_async_test, loop_fixtures
from aldente._plugin.pytest_compat import as_aldentes

if TYPE_CHECKING:
    import asyncio

__all__ = ["__version__", "fixture", "is_async_test"]

_ScopeName = Literal["session", "package", "module", "class", "function"]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"pytest_asyncio.plugin has no {name!r}: aldente replaces pytest-asyncio, with its "
        "documented names and fixtures but not with its internals.\n"
        "Fix: use a documented name; or run the tests with pytest-asyncio, by -p no:aldente."
    )


@pytest.fixture(scope="session")
@as_aldentes
def event_loop_policy() -> Any:
    """The policy that makes event loops; a test suite may override it."""
    return loop_fixtures.current()


def _unused_port(socket_type: int) -> int:
    """A free port of this machine."""
    import socket

    with socket.socket(type=socket_type) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
@as_aldentes
def unused_tcp_port() -> int:
    """An unused TCP port."""
    from socket import SOCK_STREAM

    return _unused_port(SOCK_STREAM)


@pytest.fixture
@as_aldentes
def unused_udp_port() -> int:
    """An unused UDP port."""
    from socket import SOCK_DGRAM

    return _unused_port(SOCK_DGRAM)


@pytest.fixture(scope="session")
@as_aldentes
def unused_tcp_port_factory() -> Callable[[], int]:
    """A function that returns a new unused TCP port on each call."""
    from socket import SOCK_STREAM

    return _port_factory(SOCK_STREAM)


@pytest.fixture(scope="session")
@as_aldentes
def unused_udp_port_factory() -> Callable[[], int]:
    """A function that returns a new unused UDP port on each call."""
    from socket import SOCK_DGRAM

    return _port_factory(SOCK_DGRAM)


def _port_factory(socket_type: int) -> Callable[[], int]:
    given: set[int] = set()

    def new_port() -> int:
        # The operating system may return a port twice, as nothing is bound to it yet.
        while (port := _unused_port(socket_type)) in given:
            pass
        given.add(port)
        return port

    return new_port


def _runner_fixture(scope: _ScopeName) -> Any:
    @pytest.fixture(scope=scope, name=f"_{scope}_scoped_runner")
    @as_aldentes
    def scoped_runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
        from aldente._plugin.pytest_asyncio import looptime

        yield from looptime.provide_runner(request, scope)

    return scoped_runner


_function_scoped_runner = _runner_fixture("function")
_class_scoped_runner = _runner_fixture("class")
_module_scoped_runner = _runner_fixture("module")
_package_scoped_runner = _runner_fixture("package")
_session_scoped_runner = _runner_fixture("session")
