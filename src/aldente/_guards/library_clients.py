"""Clients of libraries that keep connections open: which there are, and what they hold."""

from __future__ import annotations

import collections
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class ClientKind(NamedTuple):
    """A class of a library whose objects have to be closed.

    Attributes:
        package: the library.
        name: the name of the class in it.
        mend: how it is closed.
        is_closed: tells it of an object.
        is_leak_by_itself: whether it is to be closed although it has no connection, because the
            library itself complains.
    """

    package: str
    name: str
    mend: str
    is_closed: Callable[[Any], bool]
    is_leak_by_itself: bool = False

    def loaded(self) -> Any:
        """The class; None while nobody has imported the library."""
        return getattr(sys.modules.get(self.package), self.name, None)


KINDS = (
    ClientKind(
        "aiohttp",
        "ClientSession",
        "Use 'async with aiohttp.ClientSession() as session:', or 'await session.close()' in the "
        "tear-down.",
        lambda session: bool(session.closed),
        is_leak_by_itself=True,
    ),
    ClientKind(
        "aiohttp",
        "BaseConnector",
        "Close the session that uses it, or 'await connector.close()'.",
        lambda connector: bool(connector.closed),
    ),
    ClientKind(
        "httpx",
        "AsyncClient",
        "Use 'async with httpx.AsyncClient() as client:', or 'await client.aclose()' in the "
        "tear-down.",
        lambda client: bool(client.is_closed),
    ),
    ClientKind(
        "aiosqlite",
        "Connection",
        "Use 'async with aiosqlite.connect(...) as connection:', or 'await connection.close()' in "
        "the tear-down.",
        lambda connection: _is_closed_database(connection),
        is_leak_by_itself=True,
    ),
)


def _is_closed_database(connection: Any) -> bool:
    """Whether a connection of aiosqlite is closed, or was never opened."""
    try:
        connection.in_transaction  # noqa: B018
    except ValueError:
        return True
    return False


def kind_of(client: object) -> ClientKind | None:
    """The kind of a client; None for all else."""
    for kind in KINDS:
        loaded = kind.loaded()
        if isinstance(loaded, type) and isinstance(client, loaded):
            return kind
    return None


# Where connections are found that a client holds: in objects of these packages, and in containers.
_PACKAGES = {"aiohttp", "anyio", "asyncio", "httpcore", "httpx"}
_CONTAINERS = (
    dict,
    list,
    tuple,
    set,
    collections.OrderedDict,
    collections.defaultdict,
    collections.deque,
)
_MOST_HELD = 20_000


def held_by(client: object) -> Iterator[object]:
    """What a client holds, directly or by other objects of its library.

    The collector knows what an object refers to, so that no private attribute is asked for.
    """
    seen: set[int] = set()
    pending = [client]
    while pending and len(seen) < _MOST_HELD:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        pending += [each for each in gc.get_referents(found) if _leads_further(each)]


def _leads_further(value: object) -> bool:
    kind = type(value)
    if kind in _CONTAINERS:
        # The names of a module lead to everything.
        return not (kind is dict and "__builtins__" in value)  # type: ignore[operator]
    if issubclass(kind, type):
        return False
    return str(getattr(kind, "__module__", "")).partition(".")[0] in _PACKAGES
