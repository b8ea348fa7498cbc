"""Notices blocking calls that Python has no audit event for, by replacing the functions."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
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

from aldente._guards.blocking.calls import BlockingCall, Topic, written
from aldente._guards.blocking.watching import is_watched_here, reporting
from aldente._own_errors import containing

Function = Callable[..., Any]


def install(patches: contextlib.ExitStack, *, files: bool) -> None:
    """Replace functions that block until a stack unwinds.

    Args:
        patches: gets what undoes it.
        files: whether those that read and write files are wanted.
    """
    # Every watcher has its own, so that nested ones leave as they came, in the opposite order.
    for name in ("recv", "recvfrom", "send", "sendall"):
        patch(patches, socket.socket, name, _socket_method(name))
    patch(patches, socket.socket, "recv_into", _receive_into())
    for owner, name, call, blocks in _functions():
        patch(patches, owner, name, watched(getattr(owner, name), call, blocks))
    if hasattr(select, "poll"):
        patch(patches, select, "poll", functools.partial(_Poll, select.poll))
    if sys.version_info < (3, 13):
        patch_everywhere(patches, time, "sleep", _sleep())
    if files:
        for name in ("read", "write"):
            call = BlockingCall(f"os.{name}", Topic.FILES)
            patch(patches, os, name, watched(getattr(os, name), call, _is_file))


def patch(patches: contextlib.ExitStack, owner: Any, name: str, replacement: object) -> None:
    """Give a module or class another attribute until a stack unwinds."""
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
    # Modules that were imported since then have the replacement from the beginning.
    patches.callback(_rebind, replacement, original)


def _rebind(before: object, after: object) -> None:
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            # Not by vars(), which loads a module that is waiting to be loaded when first used.
            namespace = ModuleType.__getattribute__(module, "__dict__")
            for name in [name for name, value in list(namespace.items()) if value is before]:
                namespace[name] = after


def watched(
    original: Function, call: BlockingCall, blocks: Callable[..., bool] | None = None
) -> Function:
    """A function that reports the calls of another one.

    Args:
        original: the other one.
        call: what is reported.
        blocks: says of the arguments whether a call may block; without it every call does.
    """

    @functools.wraps(original)
    def watched_function(*args: Any, **kwargs: Any) -> Any:
        if not is_watched_here() or (blocks is not None and not _may_block(blocks, args, kwargs)):
            return original(*args, **kwargs)
        with reporting(call, inspect.currentframe()):
            return original(*args, **kwargs)

    return watched_function


_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)


def _socket_method(name: str) -> Function:
    original: Function = getattr(socket.socket, name)
    # Datagrams are dropped rather than waited with.
    exempt_type = socket.SOCK_DGRAM if name.startswith("send") else None

    # asyncio's sockets never block, and come by many thousand times. With its parameters written
    # out a method costs a third of what it costs with *args.
    @functools.wraps(original)
    def method(self: socket.socket, argument: Any, flags: int = 0, /) -> Any:
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
        if self.gettimeout() == 0 or not is_watched_here() or flags & _DONT_WAIT:
            return original(self, buffer, nbytes, flags)
        with reporting(_socket_call("recv_into"), inspect.currentframe()):
            return original(self, buffer, nbytes, flags)

    return recv_into


def _socket_call(name: str, arguments: str = "") -> BlockingCall:
    return BlockingCall(f"socket.{name}", Topic.NETWORK, arguments)


def _functions() -> Iterator[tuple[Any, str, BlockingCall, Callable[..., bool]]]:
    """Functions and methods that block, and for which arguments they do."""
    yield socket.socket, "accept", _socket_call("accept"), _is_blocking_socket
    # They ask OpenSSL, not the socket.
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


@containing("looking at the arguments of a blocking call", False)
def _may_block(blocks: Callable[..., bool], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        return blocks(*args, **kwargs)
    except TypeError:
        # Wrong arguments, which the function itself is to refuse.
        return False


# They take what the functions take, so that a call with wrong arguments fails in the function.


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
    # Pipes and terminals are not files; those of asyncio never block.
    return isinstance(descriptor, int) and stat.S_ISREG(os.fstat(descriptor).st_mode)


class _Poll:
    """What ``select.poll()`` gives; the real ones are of a type that can't be changed."""

    def __init__(self, make: Callable[[], Any]) -> None:
        poll = make()
        self.register = poll.register
        self.modify = poll.modify
        self.unregister = poll.unregister
        self._poll = poll.poll

    def poll(self, timeout: float | None = None, /) -> Any:
        """As ``select.poll().poll``; the time-out is in milliseconds, and none if negative."""
        if timeout == 0 or not is_watched_here():
            return self._poll(timeout)
        call = BlockingCall("select.poll", Topic.DESCRIPTORS)
        with reporting(call, inspect.currentframe()):
            return self._poll(timeout)


def _sleep() -> Function:
    original = time.sleep

    @functools.wraps(original)
    def sleep(seconds: Any, /) -> None:
        if not seconds or not is_watched_here():
            return original(seconds)
        call = BlockingCall("time.sleep", Topic.SLEEP, written(seconds))
        with reporting(call, inspect.currentframe()):
            return original(seconds)

    return sleep
