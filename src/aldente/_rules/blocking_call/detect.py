"""Sees blocking calls.

Python raises audit events for most. This replaces the functions that have none, and those that the
user names in a setting.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import pkgutil
import select
import selectors
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from aldente import _imports
from aldente._own_errors import contained, containing
from aldente._rules.blocking_call.report import (
    BlockingCall,
    Topic,
    is_watched_here,
    reporting,
    watchers,
    written,
)
from aldente._source import caller
from aldente.errors import InvalidSetting

_Arguments = tuple[Any, ...]


@functools.cache
def install_hook() -> None:
    """Install the audit hook; once, as a hook can't be removed."""
    # Python raises some events during imports, and the hook must not import anything then.
    _imports.import_own()
    sys.addaudithook(_on_event)


def _call_of_sleep(arguments: _Arguments) -> BlockingCall | None:
    (seconds,) = arguments
    return BlockingCall("time.sleep", Topic.SLEEP, written(seconds)) if seconds else None


def _connect(arguments: _Arguments) -> BlockingCall | None:
    connection, address = arguments
    # For datagrams it only stores the address.
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
    """Whether a host is given by its address, so that there is no look-up."""
    # Imported here, as only a blocking call needs it.
    import ipaddress

    try:
        ipaddress.ip_address(os.fsdecode(host) if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


def _look_up_name(name: str, arguments: _Arguments) -> BlockingCall | None:
    """A look-up of the name for an address."""
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
    # A descriptor is open already, and opening a device does not block.
    if not isinstance(path, str | bytes | os.PathLike) or os.fsdecode(path).startswith("/dev/"):
        return None
    return BlockingCall("open", Topic.FILES, written(os.fsdecode(path)))


if sys.platform != "win32":
    import fcntl

# The call in each event; None for one that does not block.
_READERS: dict[str, Callable[[_Arguments], BlockingCall | None]] = {
    # New in Python 3.13.
    "time.sleep": _call_of_sleep,
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


def _on_event(
    event: str,
    arguments: _Arguments,
    # Bound here because the hook runs until the process ends, after the module's own names are
    # gone; and because it runs for every event of the process, so that each look-up counts.
    reader_of: Callable[[str], Callable[[_Arguments], BlockingCall | None] | None] = _READERS.get,
    watchers: list[Any] = watchers,
) -> None:
    reader = reader_of(event)
    if reader is None or not watchers or not is_watched_here():
        return
    with contained("reading an audit event"):
        call = reader(arguments)
        if call is not None:
            with reporting(call, caller()):
                # The call itself is made once this returns.
                pass


Function = Callable[..., Any]


def install(patches: contextlib.ExitStack, *, files: bool) -> None:
    """Replace functions that block until a stack unwinds.

    Args:
        patches: the stack that undoes it.
        files: whether to replace those that read and write files.
    """
    # Every watcher has its own replacements, so that nested ones undo them in reverse order.
    for name in ("recv", "recvfrom", "send", "sendall"):
        patch(patches, socket.socket, name, _socket_method(name))
    patch(patches, socket.socket, "recv_into", _receive_into())
    for owner, name, call, blocks in _functions():
        patch(patches, owner, name, watched(getattr(owner, name), call, blocks))
    if hasattr(select, "poll"):
        patch(patches, select, "poll", functools.partial(_Poll, select.poll))
    if sys.version_info < (3, 13):
        patch_everywhere(patches, time, "sleep", _watched_sleep())
    if files:
        for name in ("read", "write"):
            call = BlockingCall(f"os.{name}", Topic.FILES)
            patch(patches, os, name, watched(getattr(os, name), call, _is_file))


def patch(patches: contextlib.ExitStack, owner: Any, name: str, replacement: object) -> None:
    """Set an attribute of a module or class until a stack unwinds."""
    is_own = name in vars(owner)
    original = vars(owner).get(name)
    setattr(owner, name, replacement)

    def undo() -> None:
        # A later replacement by something else must stay.
        if vars(owner).get(name) is replacement:
            if is_own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)

    patches.callback(undo)


def patch_everywhere(
    patches: contextlib.ExitStack, owner: ModuleType, name: str, replacement: object
) -> None:
    """Replace a function in its module and in all that have imported it by name."""
    original = vars(owner)[name]
    _rebind(original, replacement)
    # Modules that were imported since then got the replacement from the start.
    patches.callback(_rebind, replacement, original)


def _rebind(before: object, after: object) -> None:
    for module in list(sys.modules.values()):
        # Others that are there may call themselves modules, as a library of cffi does.
        if issubclass(type(module), ModuleType):
            # Not by vars(), which loads a lazy module.
            namespace = ModuleType.__getattribute__(module, "__dict__")
            for name in [name for name, value in list(namespace.items()) if value is before]:
                namespace[name] = after


def watched(
    original: Function, call: BlockingCall, blocks: Callable[..., bool] | None = None
) -> Function:
    """Return a function that reports the calls of another one.

    Args:
        original: the other one.
        call: the call to report.
        blocks: whether a call with some arguments may block; without it every call does.
    """

    @functools.wraps(original)
    def watched_function(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not is_watched_here() or (blocks is not None and not _may_block(blocks, args, kwargs)):
            return original(*args, **kwargs)
        with reporting(call, inspect.currentframe()):
            return original(*args, **kwargs)

    return watched_function


_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)


def _socket_method(name: str) -> Function:
    original: Function = getattr(socket.socket, name)
    # The system drops datagrams rather than block.
    exempt_type = socket.SOCK_DGRAM if name.startswith("send") else None

    # asyncio's sockets never block, and make many thousand calls. With its parameters written
    # out a method costs a third of what it costs with *args.
    @functools.wraps(original)
    def method(self: socket.socket, argument: Any, flags: int = 0, /) -> Any:
        __tracebackhide__ = True
        if (
            self.gettimeout() == 0
            or not is_watched_here()
            or flags & _DONT_WAIT
            or self.type == exempt_type
        ):
            return original(self, argument, flags)
        arguments = written(argument) if isinstance(argument, int) else ""
        with reporting(_socket_call(name, arguments), inspect.currentframe()):
            return original(self, argument, flags)

    return method


def _receive_into() -> Function:
    original = socket.socket.recv_into

    @functools.wraps(original)
    def recv_into(self: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        __tracebackhide__ = True
        if self.gettimeout() == 0 or not is_watched_here() or flags & _DONT_WAIT:
            return original(self, buffer, nbytes, flags)
        with reporting(_socket_call("recv_into"), inspect.currentframe()):
            return original(self, buffer, nbytes, flags)

    return recv_into


def _socket_call(name: str, arguments: str = "") -> BlockingCall:
    return BlockingCall(f"socket.{name}", Topic.NETWORK, arguments)


def _functions() -> Iterator[tuple[Any, str, BlockingCall, Callable[..., bool]]]:
    """Functions and methods that block, and with which arguments they do."""
    yield socket.socket, "accept", _socket_call("accept"), _is_blocking_socket
    # They call OpenSSL, not the socket.
    for name in ("read", "send"):
        call = BlockingCall(f"ssl.SSLSocket.{name}", Topic.NETWORK)
        yield ssl.SSLSocket, name, call, _is_blocking_socket
    wait = BlockingCall("threading.Condition.wait", Topic.THREADS)
    yield threading.Condition, "wait", wait, _method_may_wait
    yield threading.Thread, "join", BlockingCall("threading.Thread.join", Topic.THREADS), _is_alive
    for name in ("wait", "communicate"):
        call = BlockingCall(f"subprocess.Popen.{name}", Topic.SUBPROCESS)
        yield subprocess.Popen, name, call, _is_unfinished
    if hasattr(os, "waitpid"):
        yield os, "waitpid", BlockingCall("os.waitpid", Topic.SUBPROCESS), _waits_for_process
    yield select, "select", BlockingCall("select.select", Topic.DESCRIPTORS), _selects
    if hasattr(selectors, "PollSelector"):
        call = BlockingCall("selectors.PollSelector.select", Topic.DESCRIPTORS)
        yield selectors.PollSelector, "select", call, _method_may_wait


@containing("checking the arguments of a blocking call", False)
def _may_block(blocks: Callable[..., bool], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        return blocks(*args, **kwargs)
    except TypeError:
        # Wrong arguments, which the function itself refuses.
        return False


# With the functions' parameters, so that a call with wrong arguments fails in the function.


def _is_blocking_socket(self: socket.socket, *others: object, **named: object) -> bool:
    return self.gettimeout() != 0


def _method_may_wait(self: object, timeout: Any = None, *others: object, **named: object) -> bool:
    return timeout is None or timeout > 0


def _is_alive(
    self: threading.Thread, timeout: Any = None, *others: object, **named: object
) -> bool:
    # A thread that was not started has no identifier, and can't be joined.
    return _method_may_wait(self, timeout) and self.ident is not None and self.is_alive()


def _is_unfinished(self: subprocess.Popen[Any], *others: object, **named: object) -> bool:
    timeout = named.get("timeout", others[-1] if others else None)
    return self.returncode is None and not (isinstance(timeout, int | float) and timeout <= 0)


def _waits_for_process(process: object = None, options: Any = None, *others: object) -> bool:
    return options is not None and not options & os.WNOHANG


def _selects(*arguments: Any) -> bool:
    return _method_may_wait(None, *arguments[3:])


def _is_file(descriptor: Any = None, *others: object) -> bool:
    # Pipes and terminals are no files; asyncio's never block.
    return isinstance(descriptor, int) and stat.S_ISREG(os.fstat(descriptor).st_mode)


class _Poll:
    """Wraps a ``select.poll()`` object, whose type can't be patched."""

    def __init__(self, make: Callable[[], Any]) -> None:
        poll = make()
        self.register = poll.register
        self.modify = poll.modify
        self.unregister = poll.unregister
        self._poll = poll.poll

    def poll(self, timeout: float | None = None, /) -> Any:
        """``select.poll().poll``; the time-out is in milliseconds, a negative one means none."""
        if timeout == 0 or not is_watched_here():
            return self._poll(timeout)
        call = BlockingCall("select.poll", Topic.DESCRIPTORS)
        with reporting(call, inspect.currentframe()):
            return self._poll(timeout)


def _watched_sleep() -> Function:
    original = time.sleep

    @functools.wraps(original)
    def sleep(seconds: Any, /) -> None:
        __tracebackhide__ = True
        if not seconds or not is_watched_here():
            return original(seconds)
        call = BlockingCall("time.sleep", Topic.SLEEP, written(seconds))
        with reporting(call, inspect.currentframe()):
            return original(seconds)

    return sleep


SETTING = "aldente_blocking_calls"

_ALLOWED = (
    "Allowed are dotted names of functions: package.module.function or package.module.Class.method."
)


def install_configured(patches: contextlib.ExitStack, dotted_name: str) -> None:
    """Replace a function or method by one that reports its calls, until a stack unwinds.

    Raises:
        InvalidSetting: there is no such function, or it can't be replaced.
    """
    owner, name, original = _find(dotted_name)
    call = BlockingCall(dotted_name, Topic.CONFIGURED)
    if issubclass(type(owner), ModuleType):
        patch_everywhere(patches, owner, name, watched(original, call))
        return
    try:
        if isinstance(original, staticmethod | classmethod):
            patch(patches, owner, name, type(original)(watched(original.__func__, call)))
        else:
            patch(patches, owner, name, watched(original, call))
    except TypeError as error:
        raise _refused(dotted_name, f"Its class can't be patched: {error}.") from error


def _find(dotted_name: str) -> tuple[Any, str, Any]:
    """The module or class that has a function, the attribute's name, and its value."""
    owner_name, _, name = dotted_name.rpartition(".")
    if not owner_name:
        raise _refused(dotted_name, "No part of it is a module.")
    try:
        owner: Any = pkgutil.resolve_name(owner_name)
        original = inspect.getattr_static(owner, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _refused(dotted_name, f"There is no such function: {error}.") from error
    if not callable(getattr(owner, name)) or not isinstance(owner, ModuleType | type):
        raise _refused(dotted_name, "It is no function.")
    if inspect.iscoroutinefunction(getattr(owner, name)):
        raise _refused(dotted_name, "It is a coroutine function, whose call does not block.")
    return owner, name, original


def _refused(dotted_name: str, reason: str) -> InvalidSetting:
    return InvalidSetting(SETTING, dotted_name, f"{reason} {_ALLOWED}")
