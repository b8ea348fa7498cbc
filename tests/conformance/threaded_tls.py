"""TLS of blocking sockets in memory, as OpenSSL would read and write the system's descriptors."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_CHUNK = 65_536


class Wrapped:
    """What `SSLContext.wrap_socket` gives for a simulated socket.

    Args:
        sock: the socket, which is left without its descriptor.
        context: the context.
        server_side: whether it is the server's end.
        server_hostname: the name of the server.
        handshake: whether to do the handshake as soon as it is connected.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        server_side: bool,
        server_hostname: str | None,
        handshake: bool,
    ) -> None:
        timeout = sock.gettimeout()
        self._sock = socket.socket(sock.family, sock.type, sock.proto, sock.detach())
        self._sock.settimeout(timeout)
        self.context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side, server_hostname
        )
        self._does_handshake = handshake
        self._io_refs = 0
        self._is_closed = False
        try:
            self._sock.getpeername()
        except OSError:
            return
        if handshake:
            self.do_handshake()

    def __getattr__(self, name: str) -> Any:
        if name in ("getpeercert", "cipher", "version", "selected_alpn_protocol", "pending"):
            return getattr(self._object, name)
        return getattr(self._sock, name)

    def __enter__(self) -> Wrapped:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def connect(self, address: Any) -> None:
        self._sock.connect(address)
        if self._does_handshake:
            self.do_handshake()

    def do_handshake(self, block: bool = False) -> None:
        self._run(self._object.do_handshake)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._sock.sendall(self._outgoing.read())

    def _run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Do something, with what it needs from the other end."""
        while True:
            try:
                result = call(*args)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(_CHUNK)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush()
                raise
            else:
                self._flush()
                return result

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        try:
            found: bytes = self._run(self._object.read, size)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
        return found

    read = recv

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view))
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        sent: int = self._run(self._object.write, data)
        return sent

    write = send

    def sendall(self, data: Any, flags: int = 0) -> None:
        rest = memoryview(data).cast("B")
        while len(rest):
            rest = rest[self.send(rest) :]

    def unwrap(self) -> socket.socket:
        self._run(self._object.unwrap)
        return self._sock

    def makefile(self, mode: str = "r", buffering: int | None = None, **kwargs: Any) -> Any:
        raw: Any = socket.SocketIO(self, "".join(each for each in mode if each in "rw"))  # type: ignore[arg-type]
        self._io_refs += 1
        if buffering == 0:
            return raw
        return io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)

    def _decref_socketios(self) -> None:
        self._io_refs -= 1
        if self._is_closed:
            self.close()

    def close(self) -> None:
        self._is_closed = True
        if self._io_refs <= 0:
            self._sock.close()


def install(is_simulated: Callable[[Any], bool]) -> None:
    """Have contexts wrap simulated sockets in memory."""
    original: Any = ssl.SSLContext.wrap_socket

    def wrap_socket(
        self: ssl.SSLContext,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | None = None,
        session: Any = None,
    ) -> Any:
        if not is_simulated(sock):
            return original(
                self,
                sock,
                server_side,
                do_handshake_on_connect,
                suppress_ragged_eofs,
                server_hostname,
                session,
            )
        return Wrapped(sock, self, server_side, server_hostname, do_handshake_on_connect)

    ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign,assignment]
