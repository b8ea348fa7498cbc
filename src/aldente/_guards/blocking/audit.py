"""Notices blocking calls by Python's audit events."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from aldente import _lazy_imports
from aldente._guards.blocking.calls import BlockingCall, Topic, written
from aldente._guards.blocking.watching import is_watched_here, reporting, watchers
from aldente._own_errors import containing
from aldente._source import caller

_Arguments = tuple[Any, ...]


@functools.cache
def install_hook() -> None:
    """Have Python tell its audit events; once, as that can't be undone."""
    # Some are told while a module is imported, and the hook must not need it for that.
    _lazy_imports.import_own()
    sys.addaudithook(_on_event)


def _sleep(arguments: _Arguments) -> BlockingCall | None:
    (seconds,) = arguments
    return BlockingCall("time.sleep", Topic.SLEEP, written(seconds)) if seconds else None


def _connect(arguments: _Arguments) -> BlockingCall | None:
    connection, address = arguments
    # For datagrams it only notes the address.
    if connection.gettimeout() == 0 or connection.type == socket.SOCK_DGRAM:
        return None
    return BlockingCall("socket.connect", Topic.NETWORK, written(address))


def _send_message(arguments: _Arguments) -> BlockingCall | None:
    connection = arguments[0]
    if connection.gettimeout() == 0 or connection.type == socket.SOCK_DGRAM:
        return None
    return BlockingCall("socket.sendmsg", Topic.NETWORK)


def _look_up(name: str, arguments: _Arguments) -> BlockingCall | None:
    host = arguments[0]
    if not host or _is_number(host):
        return None
    return BlockingCall(name, Topic.NAMES, written(host))


def _is_number(host: object) -> bool:
    """Whether a host is given by its address, so that nobody is asked for it."""
    # Only asked for with a blocking call, and not imported for every suite.
    import ipaddress

    try:
        ipaddress.ip_address(os.fsdecode(host) if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


def _look_up_name(name: str, arguments: _Arguments) -> BlockingCall | None:
    """The look-ups that go from an address to a name."""
    return BlockingCall(name, Topic.NAMES, written(arguments[0]))


def _system(arguments: _Arguments) -> BlockingCall | None:
    return BlockingCall("os.system", Topic.SUBPROCESS, written(os.fsdecode(arguments[0])))


def _input(arguments: _Arguments) -> BlockingCall | None:
    return BlockingCall("input", Topic.INPUT, "" if arguments[0] is None else written(arguments[0]))


def _connect_database(arguments: _Arguments) -> BlockingCall | None:
    return BlockingCall("sqlite3.connect", Topic.DATABASE, written(arguments[0]))


def _lock_file(name: str, arguments: _Arguments) -> BlockingCall | None:
    operation = arguments[1]
    if sys.platform == "win32" or operation & (fcntl.LOCK_NB | fcntl.LOCK_UN):
        return None
    return BlockingCall(name, Topic.FILE_LOCK)


def _open(arguments: _Arguments) -> BlockingCall | None:
    path = arguments[0]
    # A descriptor is open already, and devices hold no data.
    if not isinstance(path, str | bytes | os.PathLike) or os.fsdecode(path).startswith("/dev/"):
        return None
    return BlockingCall("open", Topic.FILES, written(os.fsdecode(path)))


if sys.platform != "win32":
    import fcntl

# What each event says. A call that does not block is None.
_READERS: dict[str, Callable[[_Arguments], BlockingCall | None]] = {
    # Python tells it from 3.13 on.
    "time.sleep": _sleep,
    "socket.connect": _connect,
    "socket.sendmsg": _send_message,
    "socket.getaddrinfo": functools.partial(_look_up, "socket.getaddrinfo"),
    "socket.gethostbyname": functools.partial(_look_up, "socket.gethostbyname"),
    "socket.gethostbyaddr": functools.partial(_look_up_name, "socket.gethostbyaddr"),
    "socket.getnameinfo": functools.partial(_look_up_name, "socket.getnameinfo"),
    "os.system": _system,
    "builtins.input": _input,
    "sqlite3.connect": _connect_database,
    "fcntl.flock": functools.partial(_lock_file, "fcntl.flock"),
    "fcntl.lockf": functools.partial(_lock_file, "fcntl.lockf"),
    "open": _open,
}


@containing("reading an audit event", None)
def _read(
    reader: Callable[[_Arguments], BlockingCall | None], arguments: _Arguments
) -> BlockingCall | None:
    return reader(arguments)


def _on_event(
    event: str,
    arguments: _Arguments,
    # Bound here because the hook is called until the process ends, after the module's own names
    # are gone; and because every event of the process comes by, so that each look-up counts.
    reader_of: Callable[[str], Callable[[_Arguments], BlockingCall | None] | None] = _READERS.get,
    watchers: list[Any] = watchers,
) -> None:
    reader = reader_of(event)
    if reader is None or not watchers or not is_watched_here():
        return
    call = _read(reader, arguments)
    if call is None:
        return
    with reporting(call, caller()):
        # The call itself follows once this returns.
        pass
