"""Has all threads of a process share the simulated network of its loop.

Most of the interpreter's own tests of sockets have a thread with blocking sockets as the peer. Here
its sockets are simulated too, and its calls wait until they can be done. Only these tests need it:
in a simulated run nothing but the loop may wait.
"""

from __future__ import annotations

import functools
import select
import selectors
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from aldente import _asyncio_compat
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.network import creation, sockets
from aldente._simulation.network import loop as network_loop
from aldente._simulation.network.kernel import Kernel
from aldente._simulation.network.sockets import SimulatedSocket
from tests.conformance import threaded_tls

# Held by what works on the network; told of each change of it.
_changed = threading.Condition(threading.RLock())
# How long a loop waits for threads that neither wait for the network nor have ended.
_PATIENCE = 1.0
# How often what is no part of the network is looked at.
_LOOK = 0.005

# The network of the newest loop, and the threads that wait for something to happen in it.
_networks: list[Kernel] = []
_waiting: set[int] = set()


class _Blocked(Exception):
    """A call can't be done yet."""


def _network_here() -> Kernel | None:
    return _networks[-1] if _networks else None


def _wait(seconds: float | None) -> bool:
    """Wait for a change of the network; return whether there may have been one."""
    me = threading.get_ident()
    _waiting.add(me)
    try:
        return _changed.wait(seconds)
    finally:
        _waiting.discard(me)


def _tell() -> None:
    """Tell all threads of a change; none of them waits any more, even if it is yet to wake."""
    _waiting.clear()
    _changed.notify_all()


def _blocking(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of sockets that waits until it can be done."""

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _changed:
            until: float | None = None
            while True:
                try:
                    result = original(self, *args, **kwargs)
                    _tell()
                    return result
                except _Blocked:
                    timeout = self.gettimeout()
                    if timeout is not None and until is None:
                        until = time.monotonic() + timeout
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0:
                        raise TimeoutError("timed out") from None
                    _wait(left)

    call.__name__ = name
    return call


def _send_all(self: Any, data: Any, flags: int = 0, /) -> None:
    with memoryview(data) as whole, whole.cast("B") as rest:
        sent = 0
        while sent < len(rest):
            sent += self.send(rest[sent:], flags)


_refuse_to_block: Any = SimulatedSocket._would_block


def _would_block(self: Any, name: str, flags: int = 0) -> None:
    if self.gettimeout() != 0 and _asyncio_compat.loop_running_here() is None:
        raise _Blocked
    _refuse_to_block(self, name, flags)


# `select` for simulated sockets and others.


def _number(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


def _of_network(files: Iterable[Any], state: str) -> list[Any]:
    found = ((file, sockets.endpoints_behind.get(_number(file))) for file in files)
    return [file for file, known in found if known and getattr(known[0], state)]


_real_select: Any = select.select


def _select(
    readers: Any, writers: Any, others: Any, timeout: float | None = None, /
) -> tuple[Any, Any, Any]:
    readers, writers = list(readers), list(writers)
    until = None if timeout is None else time.monotonic() + timeout
    with _changed:
        while True:
            simulated = _of_network(readers, "is_readable"), _of_network(writers, "is_writable")
            real = [
                [file for file in files if _number(file) not in sockets.endpoints_behind]
                for files in (readers, writers)
            ]
            found = _real_select(*real, others, 0)
            ready = simulated[0] + found[0], simulated[1] + found[1], found[2]
            left = None if until is None else until - time.monotonic()
            if any(ready) or (left is not None and left <= 0):
                return ready
            _wait(_LOOK if any(real) else left)


class Threaded(SimulatedLoop):
    """A simulated loop whose network is that of all threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _networks.append(self.network)

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Any, *args: Any
    ) -> None:
        """Refused as ever, but for what most tests of a module begin with: to watch processes."""
        if sig != signal.SIGCHLD:
            super().add_signal_handler(sig, callback, *args)

    @property
    def may_be_late(self) -> bool:
        return False

    def is_late(self, *args: Any, **kwargs: Any) -> bool:
        # What another thread does can't depend on the loop's timers, which that would read.
        return False

    def poll(self) -> None:
        with _changed:
            super().poll()

    def call_soon_threadsafe(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Any:
        handle = super().call_soon_threadsafe(*args, **kwargs)
        with _changed:
            _tell()
        return handle

    def wait(self) -> None:
        """Wait for the other threads too, before time passes."""
        me = threading.get_ident()
        peers = [each for each in threading.enumerate() if _is_peer(each) and each.ident != me]
        if peers and not self._workers.jobs:
            until = time.monotonic() + _PATIENCE
            with _changed:
                while time.monotonic() < until:
                    self.poll()
                    if self._plain or self._foreign._inbox:
                        break
                    if all(each.ident in _waiting or not each.is_alive() for each in peers):
                        if not self.release():
                            self.let_time_pass()
                        return
                    _changed.wait(_LOOK)
            if self._plain:
                return
        super().wait()


def _is_peer(thread: threading.Thread) -> bool:
    is_worker = thread.name.startswith(("ThreadPoolExecutor", "asyncio_"))
    return thread.is_alive() and not is_worker and thread is not threading.main_thread()


# Methods that no program calls.
_OWN = ("_endpoint", "_stream", "_would_block", "_may_be_of_processes", "_become_real")


def install() -> None:
    """Have all sockets of the process be simulated, from its first simulated loop on."""
    network_loop._network_here = _network_here
    # The peers of these tests are threads, whose sockets block.
    SimulatedSocket._may_be_of_processes = lambda self: False  # type: ignore[method-assign]
    creation.Sockets(_network_here).__enter__()
    for name, method in list(vars(SimulatedSocket).items()):
        is_helper = name.startswith("__") or name in _OWN
        if callable(method) and not is_helper:
            setattr(SimulatedSocket, name, _blocking(name, method))
    SimulatedSocket.sendall = _send_all  # type: ignore[method-assign]
    SimulatedSocket._would_block = _would_block  # type: ignore[method-assign,assignment]
    select.select = _select
    selectors.SelectSelector._select = staticmethod(_select)  # type: ignore[attr-defined]
    threaded_tls.install(lambda sock: sock.fileno() in sockets.endpoints_behind)
    with suppress(AttributeError):
        socketserver._ServerSelector = selectors.SelectSelector  # type: ignore[attr-defined]
