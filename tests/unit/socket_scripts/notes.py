"""`Notes`: calls functions, and notes what they give or raise."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = "127.0.0.1"
Script = Callable[["Notes"], None]
SCRIPTS: dict[str, Script] = {}


def script(function: Script) -> Script:
    """Register a script."""
    SCRIPTS[function.__name__] = function
    return function


class Notes:
    """Calls functions, and notes what they give or raise.

    Args:
        folder: an empty folder, for the files of Unix sockets.
        is_real: whether the sockets are the system's, so that things take some time.
    """

    def __init__(self, folder: Path, *, is_real: bool) -> None:
        self.folder = folder
        self.notes: list[Any] = []
        self._is_real = is_real
        self._ports: dict[int, str] = {}
        self._sockets: list[Any] = []

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function; return what it gives, or None if it raises."""
        if self._is_real:
            time.sleep(0.001)
        name = getattr(function, "__name__", "")
        try:
            result = function(*args, **kwargs)
        except OSError as error:
            number = error.errno
            self.notes.append((name, type(error).__name__, number and errno.errorcode.get(number)))
            return None
        except (TypeError, ValueError, OverflowError) as error:
            self.notes.append((name, type(error).__name__))
            return None
        self.notes.append((name, self._plain(result)))
        return result

    def note(self, *what: Any) -> None:
        """Note something."""
        self.notes.append(tuple(map(self._plain, what)))

    def _plain(self, value: Any) -> Any:
        """A value with the numbers of ports replaced by that of their order."""
        if isinstance(value, socket.socket):
            self._sockets.append(value)
            kind = socket.SocketKind(value.type).name
            return f"{socket.AddressFamily(value.family).name} {kind} {value.gettimeout()}"
        if isinstance(value, tuple):
            is_address = len(value) in (2, 4) and isinstance(value[0], str)
            if is_address and isinstance(value[1], int) and value[1] > 1024:
                port = self._ports.setdefault(value[1], f"port {len(self._ports)}")
                return (value[0], port, *value[2:])
            return tuple(map(self._plain, value))
        if isinstance(value, str):
            return value.replace(str(self.folder), "")
        if isinstance(value, bytes) and len(value) > 100:
            return f"{len(value)} bytes"
        return value

    # What scripts begin with.

    def make(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> Any:
        """A socket that does not block."""
        made = socket.socket(family, kind)
        made.setblocking(False)
        self._sockets.append(made)
        return made

    def listener(self, family: int = socket.AF_INET, backlog: int = 5) -> Any:
        """A listening socket."""
        made = self.make(family)
        if family == socket.AF_UNIX:
            made.bind(str(self.folder / f"{len(self._sockets)}"))
        else:
            made.bind(("::1" if family == socket.AF_INET6 else HERE, 0))
        made.listen(backlog)
        return made

    def connected(self, listener: Any) -> Any:
        """A client that is connected with a listener, as soon as possible."""
        made = self.make(listener.family)
        made.connect_ex(listener.getsockname())
        self.settle()
        return made

    def pair(self, family: int = socket.AF_INET) -> Any:
        """Two connected sockets that do not block: a client's and the accepted one."""
        with self.listener(family) as listener:
            client = self.connected(listener)
            accepted, _ = listener.accept()
        accepted.setblocking(False)
        self._sockets.append(accepted)
        return client, accepted

    def datagrams(self, family: int = socket.AF_INET) -> Any:
        """A bound socket of datagrams."""
        made = self.make(family, socket.SOCK_DGRAM)
        if family == socket.AF_UNIX:
            made.bind(str(self.folder / f"{len(self._sockets)}"))
        else:
            made.bind(("::1" if family == socket.AF_INET6 else HERE, 0))
        return made

    def free_port(self) -> int:
        """A port at which nothing listens."""
        with socket.socket() as made:
            made.bind((HERE, 0))
            port: int = made.getsockname()[1]
            return port

    def settle(self) -> None:
        """Let what is on its way arrive."""
        if self._is_real:
            time.sleep(0.003)

    def error(self, of: Any) -> None:
        """Note the error of a socket."""
        self(of.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        """Close all sockets."""
        for each in self._sockets:
            each.close()
