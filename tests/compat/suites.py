"""The public packages whose tests are run with aldente in the place of pytest-asyncio."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tests.compat import expectations


@dataclasses.dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one version of a package.

    Attributes:
        package: the package, as the index names it.
        version: its version, of which both the archive with the tests and what is tested are.
        about: what its tests are configured like; why it is here.
        requirements: what else its tests need, with versions.
        arguments: given to pytest, which runs in the folder of the archive.
        variables: environment variables that the tests need.
        expected: differences that are meant, by node id, with their reasons. A node id without its
            parameters stands for all of them, the name of a module for all of its tests.
        removed: files and folders of the archive that are in the way, such as sources that would
            hide what is installed.
        beside_peer: pytest-asyncio is installed beside aldente, too, as pip does it for a user of
            a plugin that depends on it.
        seconds: how long a run may take.
        pytest_version: of both environments.
        peer_version: of pytest-asyncio.
    """

    package: str
    version: str
    about: str
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    expected: Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: tuple[str, ...] = ()
    beside_peer: bool = False
    seconds: int = 120
    pytest_version: str = "9.2.0"
    peer_version: str = "1.5.0"

    @property
    def name(self) -> str:
        """How the suite is called."""
        return self.package

    @property
    def pinned(self) -> str:
        """The package with its version, as pip takes it."""
        return f"{self.package}=={self.version}"


SUITES = (
    Suite(
        "aiosignal",
        "1.4.0",
        "auto, warnings are errors, doctests",
        requirements=("pytest-cov==7.1.0",),
    ),
    Suite(
        "janus",
        "2.0.0",
        "strict, warnings are errors",
        requirements=(
            "pytest-cov==7.1.0",
            "pytest-codspeed==5.0.4",
        ),
    ),
    Suite(
        "async-timeout",
        "5.0.1",
        "strict",
        requirements=("pytest-cov==7.1.0",),
        pytest_version="8.4.2",
    ),
    Suite(
        "aiolimiter",
        "1.3.0",
        "auto, fixtures on the session's loop",
        requirements=(
            "typing-extensions==4.16.0",
            "pytest-cov==7.1.0",
            "toml==0.10.2",
            "dunamai==1.26.5",
        ),
    ),
    Suite(
        "pytest-asyncio",
        "1.5.0",
        "its own tests",
        requirements=(
            "hypothesis==6.170.15",
            "coverage==7.17.3",
        ),
        removed=("pytest_asyncio",),
        seconds=600,
        expected=expectations.PYTEST_ASYNCIO,
    ),
    Suite(
        "aiocache",
        "0.12.3",
        "auto, warnings are errors",
        requirements=(
            "pytest-cov==7.1.0",
            "pytest-mock==3.17.0",
            "marshmallow==4.4.0",
            "aiomcache==0.8.2",
            "redis==8.1.0",
            "msgpack==1.2.4",
        ),
        arguments=(
            "-o",
            "asyncio_default_fixture_loop_scope=function",
            "tests/ut",
        ),
        seconds=300,
    ),
    Suite(
        "aiofiles",
        "25.1.0",
        "auto",
    ),
    Suite(
        "asgiref",
        "3.13.0",
        "strict; threads and context variables",
    ),
    Suite(
        "async-lru",
        "2.4.0",
        "auto, warnings are errors",
        requirements=(
            "pytest-cov==7.1.0",
            "pytest-timeout==2.4.0",
        ),
        arguments=(
            "-o",
            "addopts=",
            "-o",
            "asyncio_default_fixture_loop_scope=function",
        ),
        expected=expectations.ASYNC_LRU,
    ),
    Suite(
        "aiostream",
        "0.8.1",
        "strict",
        requirements=("pytest-cov==7.1.0",),
    ),
    Suite(
        "aiojobs",
        "1.4.0",
        "auto, through pytest-aiohttp",
        requirements=(
            "aiohttp==3.14.5",
            "pytest-aiohttp==1.1.1",
            "pytest-cov==7.1.0",
        ),
        arguments=("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
        beside_peer=True,
        expected=expectations.AIOJOBS,
    ),
    Suite(
        "aiohttp-sse",
        "3.0",
        "auto, through pytest-aiohttp",
        requirements=(
            "aiohttp==3.14.5",
            "pytest-aiohttp==1.1.1",
            "pytest-cov==7.1.0",
        ),
        arguments=("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
        beside_peer=True,
    ),
    Suite(
        "pytest-aiohttp",
        "1.1.1",
        "auto, warnings are errors; pytester",
        beside_peer=True,
    ),
    Suite(
        "pytest-httpx",
        "0.36.2",
        "strict; pytester",
    ),
    Suite(
        "async-property",
        "0.2.2",
        "auto",
    ),
    Suite(
        "aiodataloader",
        "0.4.3",
        "strict",
    ),
    Suite(
        "pyee",
        "13.0.0",
        "strict, beside pytest-trio",
        requirements=(
            "trio==0.35.0",
            "pytest-trio==0.8.0",
            "twisted==26.10.0",
        ),
        # Its configuration is refused by pytest 9, and not seen by pytest 8.
        removed=("pyproject.toml",),
    ),
    Suite(
        "blinker",
        "1.9.0",
        "auto, warnings are errors",
        arguments=(
            "-o",
            "asyncio_default_fixture_loop_scope=function",
        ),
    ),
    Suite(
        "python-socketio",
        "5.18.1",
        "auto, fixtures on the session's loop",
        requirements=(
            "msgpack==1.2.4",
            "redis==8.1.0",
            "valkey==6.2.0",
            "simple-websocket==1.1.0",
            "requests==2.34.2",
            "websocket-client==1.9.2",
            "uvicorn==0.54.0",
            "aiohttp==3.14.5",
        ),
        seconds=300,
        expected=expectations.PYTHON_SOCKETIO,
    ),
    Suite(
        "graphql-core",
        "3.3.2",
        "strict; large",
        requirements=(
            "pytest-describe==3.2.0",
            "pytest-benchmark==5.3.1",
            "pytest-timeout==2.4.0",
            "anyio==4.16.0",
        ),
        arguments=("tests/execution",),
        seconds=300,
    ),
    Suite(
        "looptime",
        "0.9",
        "auto; replaces the loop's clock",
        requirements=(
            "async-timeout==5.0.1",
            "pytest-mock==3.17.0",
        ),
    ),
    Suite(
        "svcs",
        "26.2.0",
        "strict options",
        requirements=(
            "sybil==10.1.0",
            "aiohttp==3.14.5",
            "fastapi==0.165.0",
            "flask==3.1.3",
            "httpx2==2.16.2",
        ),
    ),
    Suite(
        "structlog",
        "26.1.0",
        "auto",
        requirements=(
            "time-machine==3.6.0",
            "pretend==1.0.9",
            "twisted==26.10.0",
        ),
    ),
    Suite(
        "aiosmtplib",
        "5.1.3",
        "auto; sockets",
        requirements=(
            "aiosmtpd==1.4.6",
            "hypothesis==6.170.15",
            "trustme==1.2.1",
        ),
    ),
    Suite(
        "aioconsole",
        "0.8.2",
        "strict, loop policies as parameters, each test twice",
        requirements=(
            "pytest-cov==7.1.0",
            "pytest-repeat==0.9.4",
        ),
    ),
    Suite(
        "prometheus-async",
        "26.1.0",
        "auto",
        requirements=(
            "aiohttp==3.14.5",
            "twisted==26.10.0",
        ),
    ),
    Suite(
        "pytest-mock",
        "3.17.0",
        "auto; pytester",
    ),
    Suite(
        "pytest-subprocess",
        "1.6.0",
        "strict, warnings are errors; pytester",
        requirements=(
            "anyio==4.16.0",
            "docutils==0.23",
        ),
    ),
    Suite(
        "anthropic",
        "2.12.0",
        "auto, fixtures on the session's loop, warnings are errors",
        requirements=(
            "respx==0.23.1",
            "time-machine==3.6.0",
            "dirty-equals==0.11",
            "importlib-metadata==10.2.0",
            "rich==15.0.0",
            "pytest-xdist==3.8.0",
            "hypothesis==6.170.15",
            "inline-snapshot==0.36.1",
            "http-snapshot[httpx]==0.1.9",
            "httpx2==2.16.2",
            "opentelemetry-sdk==1.45.2",
        ),
        arguments=(
            "-n0",
            "tests/test_client.py",
            "tests/test_middleware.py",
            "tests/test_response.py",
            "tests/test_streaming.py",
        ),
    ),
    Suite(
        "tqdm",
        "4.70.1",
        "strict by command line, warnings are errors",
        requirements=("pytest-timeout==2.4.0",),
    ),
    Suite(
        "python-statemachine",
        "3.2.2",
        "auto, fixtures on the module's loop",
        requirements=(
            "pytest-benchmark==5.3.1",
            "pytest-mock==3.17.0",
            "pydot==4.0.1",
            "pdbr==0.9.8",
        ),
        arguments=(
            "--benchmark-disable",
            "tests/test_async.py",
            "tests/test_async_futures.py",
            "tests/test_invoke.py",
            "tests/test_statechart_delayed.py",
        ),
    ),
    Suite(
        "httpx-sse",
        "0.4.3",
        "strict",
        requirements=(
            "pytest-cov==7.1.0",
            "sse-starlette==3.7.0",
            "httpx==0.28.1",
            "starlette==1.10.0",
        ),
    ),
    Suite(
        "hypercorn",
        "0.18.0",
        "strict, beside pytest-trio",
        requirements=(
            "pytest-cov==7.1.0",
            "trio==0.35.0",
            "pytest-trio==0.8.0",
            "httpx==0.28.1",
        ),
    ),
)
