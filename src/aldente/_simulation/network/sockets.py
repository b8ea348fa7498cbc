"""The sockets that programs see in a simulated run.

`SimulatedSocket` has a real socket's descriptor and options, as a subclass of Python's class, but
nothing that it sends leaves the run. While a simulated loop runs, each socket that its thread makes
is turned into one, whether asyncio or a library makes it.
"""

from __future__ import annotations

import errno
import functools
import operator
import os
import socket
import struct
import sys
import weakref
from collections.abc import Iterable
from typing import Any, NoReturn

from aldente._simulation.network.addresses import Address, fail
from aldente._simulation.network.datagrams import DatagramEndpoint
from aldente._simulation.network.endpoints import StreamEndpoint
from aldente._simulation.network.refusals import refuse_blocking
from aldente.errors import OutsideSimulation

# The longest path that an address has room for.
_LONGEST_PATH = 108


def checked_address(method: str, family: int, address: Address) -> Address:
    """An address of a family, as its own socket gives it.

    Args:
        method: the name of the socket's method that was called.
        family: the family.
        address: what was given.

    Raises:
        TypeError, OverflowError, OSError: as Python's socket does.
    """
    if family == socket.AF_UNIX:
        return _checked_path(address)
    name = socket.AddressFamily(family).name
    if not isinstance(address, tuple):
        raise TypeError(f"{method}(): {name} address must be tuple, not {type(address).__name__}")
    lengths = range(2, 5) if family == socket.AF_INET6 else range(2, 3)
    if len(address) not in lengths:
        wanted = "a tuple (host, port[, flowinfo[, scopeid]])" if len(lengths) > 1 else "a pair"
        raise TypeError(f"{method}(): {name} address must be {wanted} (host, port)")
    host, port = address[0], address[1]
    if not isinstance(host, (str, bytes, bytearray)):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if not hasattr(port, "__index__"):
        raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
    if not 0 <= int(port) <= 0xFFFF:
        raise OverflowError(f"{method}(): port must be 0-65535.")
    return (host if isinstance(host, str) else os.fsdecode(bytes(host)), int(port), *address[2:])


def _checked_path(path: Any) -> str | bytes:
    if isinstance(path, str):
        data = os.fsencode(path)
    else:
        with memoryview(path) as view:
            data = bytes(view)
    is_name = data.startswith(b"\0")
    if len(data) > _LONGEST_PATH or (len(data) == _LONGEST_PATH and not is_name):
        raise OSError("AF_UNIX path too long")
    return data if is_name else os.fsdecode(data)


def split_sendto(arguments: tuple[Any, ...]) -> tuple[int, Address]:
    """The flags and the address of a call of ``sendto``, behind its data."""
    if len(arguments) not in (1, 2):
        raise TypeError(f"sendto() takes 2 or 3 arguments ({len(arguments) + 1} given)")
    *before, address = arguments
    flags = before[0] if before else 0
    if not isinstance(flags, int):
        raise TypeError(f"{type(flags).__name__!r} object cannot be interpreted as an integer")
    return flags, address


def room_for(method: str, wanted: int, length: int) -> int:
    """How many bytes a call is to read into a buffer.

    Args:
        method: the name of the socket's method that was called.
        wanted: how many it is asked for; 0 for as many as the buffer takes.
        length: the length of the buffer.
    """
    if wanted < 0:
        raise ValueError(f"negative buffersize in {method}")
    if wanted > length:
        raise ValueError("buffer too small for requested bytes")
    return wanted or length


AnyEndpoint = StreamEndpoint | DatagramEndpoint

# The endpoint behind each descriptor of this process, and the socket that owns the descriptor.
endpoints_behind: dict[int, tuple[AnyEndpoint, weakref.ref[socket.socket] | None]] = {}


# Distinguishes the system's sockets whose descriptors have no owner.
left_descriptors: dict[int, int] = {}


class SimulatedSocket(socket.socket):
    """A socket of a simulated run."""

    # None, so that a socket can become one.
    __slots__ = ()

    # Naming.

    def bind(self, address: Address, /) -> None:
        """Like a socket's."""
        endpoint = self._endpoint()
        address = checked_address("bind", self.family, address)
        if self.family == socket.AF_UNIX:
            # Makes the file, or finds it taken; nothing can connect to it from outside.
            super().bind(address)
            address = super().getsockname()
        endpoint.bind(address)

    def getsockname(self) -> Address:
        """Like a socket's."""
        endpoint = self._endpoint()
        if endpoint.local is not None:
            return endpoint.local
        return "" if self.family == socket.AF_UNIX else endpoint.addresses.any_address(self.family)

    def getpeername(self) -> Address:
        """Like a socket's."""
        endpoint = self._endpoint()
        if not endpoint.is_connected:
            fail(errno.ENOTCONN)
        return "" if endpoint.remote is None else endpoint.remote

    # Connections.

    def listen(self, backlog: int = 128, /) -> None:
        """Like a socket's."""
        if self._may_be_of_processes():
            self._become_real()
            return self.listen(backlog)
        return self._stream().listen(operator.index(backlog))

    def accept(self) -> tuple[socket.socket, Address]:
        """Like a socket's."""
        accepted = self._stream().accept()
        if accepted is None:
            self._would_block("accept")
        made = socket.socket(self.family, self.type, self.proto)
        give(made, accepted)
        if socket.getdefaulttimeout() is None and self.gettimeout():
            made.setblocking(True)
        return made, "" if accepted.remote is None else accepted.remote

    def connect(self, address: Address, /) -> None:
        """Like a socket's."""
        endpoint = self._endpoint()
        address = checked_address("connect", self.family, address)
        try:
            is_done = endpoint.connect(address)
        except OutsideSimulation:
            # `socket.create_connection` and others close it only when an OSError is raised.
            self.close()
            raise
        except OSError:
            if not self._may_be_of_processes():
                raise
            # Nothing in the run listens there.
            self._become_real()
            return self.connect(address)
        if is_done:
            return None
        if self.gettimeout() == 0:
            raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
        if not endpoint.is_writable:
            self._would_block("connect")
        endpoint.connect(address)
        return None

    def connect_ex(self, address: Address, /) -> int:
        """Like a socket's."""
        try:
            self.connect(address)
        except OSError as error:
            if error.errno is None or isinstance(error, socket.gaierror):
                raise
            return error.errno
        return 0

    def shutdown(self, how: int, /) -> None:
        """Like a socket's."""
        self._endpoint().shut_down(operator.index(how))

    # Receiving.

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Like a socket's."""
        if not bufsize:
            return b""
        if not flags and bufsize > 0:
            # As most calls are.
            found = endpoints_behind.get(self.fileno())
            if found is not None and isinstance(found[0], StreamEndpoint):
                data = found[0].receive(bufsize)
                if data is not None:
                    return data
        return self._receive("recv", bufsize, flags)[0]

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Address]:
        """Like a socket's."""
        return self._receive("recvfrom", bufsize, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Like a socket's."""
        return self._receive_into("recv_into", buffer, nbytes, flags)[0]

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Address]:
        """Like a socket's."""
        return self._receive_into("recvfrom_into", buffer, nbytes, flags)

    def _receive_into(self, name: str, buffer: Any, nbytes: int, flags: int) -> tuple[int, Address]:
        with memoryview(buffer) as whole, whole.cast("B") as view:
            if view.readonly:
                kind = type(buffer).__name__
                raise TypeError(
                    f"{name}() argument 1 must be read-write bytes-like object, not {kind}"
                )
            data, source = self._receive(name, room_for(name, nbytes, len(view)), flags)
            view[: len(data)] = data
        return len(data), source

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[bytes, list[Any], int, Any]:
        """Like a socket's, without descriptors of files."""
        if bufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        data, source, is_cut = self._receive_whole("recvmsg", bufsize, flags)
        return data, [], socket.MSG_TRUNC if is_cut else 0, source

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[Any], int, Any]:
        """Like a socket's, without descriptors of files."""
        views = [memoryview(each).cast("B") for each in buffers]
        data, _, is_cut, source = self.recvmsg(sum(map(len, views)), ancbufsize, flags)
        rest = data
        for view in views:
            part, rest = rest[: len(view)], rest[len(view) :]
            view[: len(part)] = part
        return len(data), [], is_cut, source

    def _receive(self, name: str, most: int, flags: int) -> tuple[bytes, Address]:
        if most < 0:
            raise ValueError(f"negative buffersize in {name}")
        if not most and name == "recv_into":
            return b"", None
        return self._receive_whole(name, most, flags)[:2]

    def _receive_whole(self, name: str, most: int, flags: int) -> tuple[bytes, Address, bool]:
        """What comes next, where from, and whether a part of it was cut off."""
        endpoint = self._endpoint()
        is_peek = bool(flags & _PEEK)
        if isinstance(endpoint, DatagramEndpoint):
            found = endpoint.receive_from(is_peek=is_peek)
            if found is None:
                self._would_block(name, flags)
            return found[0][:most], found[1], len(found[0]) > most
        data = endpoint.receive(most, is_peek=is_peek)
        if data is None:
            self._would_block(name, flags)
        return data, None, False

    # Sending.

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Like a socket's."""
        found = endpoints_behind.get(self.fileno())
        if type(data) is bytes and found is not None and isinstance(found[0], StreamEndpoint):
            # As most calls are.
            sent = found[0].send((data,))
            if sent is not None:
                return sent
            self._would_block("send", flags)
        return self._send("send", [data], None, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Like a socket's."""
        rest = memoryview(data).cast("B")
        while True:
            rest = rest[self._send("sendall", [rest], None, flags) :]
            if not len(rest):
                return

    def sendto(self, data: Any, *arguments: Any) -> int:
        """Like a socket's: the address is the last argument."""
        flags, address = split_sendto(arguments)
        address = checked_address("sendto", self.family, address)
        return self._send("sendto", [data], address, flags)

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[Any] = (),
        flags: int = 0,
        address: Address | None = None,
        /,
    ) -> int:
        """Like a socket's, without descriptors of files."""
        if list(ancdata):
            fail(errno.EOPNOTSUPP)
        if address is not None:
            address = checked_address("sendmsg", self.family, address)
        return self._send("sendmsg", buffers, address, flags)

    def _send(self, name: str, buffers: Iterable[Any], address: Address | None, flags: int) -> int:
        parts = [each if type(each) is bytes else memoryview(each).tobytes() for each in buffers]
        endpoint = self._endpoint()
        if isinstance(endpoint, DatagramEndpoint):
            sent = endpoint.send_to(b"".join(parts), address)
        else:
            sent = endpoint.send(parts, address)
        if sent is None:
            self._would_block(name, flags)
        return sent

    # Options and descriptors.

    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any:
        """Like a socket's."""
        found = super().getsockopt(level, option, *([size] if size else []))
        if level == socket.SOL_SOCKET:
            if option == socket.SO_ERROR:
                found = self._endpoint().take_error()
            elif option == socket.SO_ACCEPTCONN:
                found = int(self._endpoint().is_listening)
            else:
                return found
            return found.to_bytes(4, sys.byteorder) if size else found
        return found

    def setsockopt(self, *arguments: Any) -> None:
        """Like a socket's."""
        super().setsockopt(*arguments)
        if arguments[0] != socket.IPPROTO_TCP:
            note_options(self, self._endpoint())

    def dup(self) -> Any:
        """Like a socket's."""
        endpoint = self._endpoint()
        made = super().dup()
        endpoint.handles += 1
        give(made, endpoint, is_counted=True)
        return made

    def detach(self) -> int:
        """Like a socket's: the descriptor stays that of the endpoint."""
        descriptor = self.fileno()
        if descriptor in endpoints_behind:
            endpoints_behind[descriptor] = (endpoints_behind[descriptor][0], None)
            left_descriptors[descriptor] = os.fstat(descriptor).st_ino
        return super().detach()

    def _real_close(self, *arguments: Any) -> None:
        descriptor = self.fileno()
        super()._real_close(*arguments)  # type: ignore[misc]
        close_descriptor(descriptor)

    # What it stands for.

    def _endpoint(self) -> AnyEndpoint:
        found = endpoints_behind.get(self.fileno())
        if found is None:
            fail(errno.EBADF)
        return found[0]

    def _may_be_of_processes(self) -> bool:
        """Whether it may connect processes of this machine, as those of multiprocessing do.

        Such sockets block, and no loop knows them.
        """
        return self.family == socket.AF_UNIX and self.gettimeout() != 0

    def _become_real(self) -> None:
        close_descriptor(self.fileno())
        self.__class__ = socket.socket  # type: ignore[assignment]

    def _stream(self) -> StreamEndpoint:
        endpoint = self._endpoint()
        if not isinstance(endpoint, StreamEndpoint):
            fail(errno.EOPNOTSUPP)
        return endpoint

    def _would_block(self, name: str, flags: int = 0) -> NoReturn:
        if self.gettimeout() == 0 or flags & getattr(socket, "MSG_DONTWAIT", 0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        refuse_blocking(f"socket.{name}()")


# Messages and reprs call it what it stands for.
SimulatedSocket.__module__, SimulatedSocket.__qualname__ = "socket", "socket"
SimulatedSocket.__name__ = "socket"


def note_options(of: socket.socket, endpoint: AnyEndpoint) -> None:
    """Have an endpoint behave as the options of its socket say."""
    get = functools.partial(_OPTION, of)
    level = socket.SOL_SOCKET
    endpoint.may_reuse_address = bool(get(level, socket.SO_REUSEADDR))
    if hasattr(socket, "SO_REUSEPORT"):
        endpoint.may_share_port = bool(get(level, socket.SO_REUSEPORT))
    if of.family == socket.AF_INET6:
        endpoint.is_for_six_only = bool(get(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
    # The formats of this differ between systems, but a time of 0 and "on" come in that order.
    is_on, seconds = struct.unpack("ii", get(level, socket.SO_LINGER, struct.calcsize("ii")))
    endpoint.is_abortive = bool(is_on and not seconds)


def give(made: socket.socket, endpoint: AnyEndpoint, *, is_counted: bool = False) -> None:
    """Put an endpoint behind a socket, instead of the one that it has got."""
    descriptor = made.fileno()
    if descriptor in endpoints_behind:
        close_descriptor(descriptor)
    if not is_counted:
        endpoint.handles += 1
    made.__class__ = SimulatedSocket
    # A socket that is not closed is closed by Python when nothing refers to it any more.
    owner = weakref.ref(made, lambda owner: close_descriptor(descriptor, owner))
    endpoints_behind[descriptor] = (endpoint, owner)
    endpoint.network.add(descriptor, endpoint)


def close_descriptor(descriptor: int, owner: weakref.ref[socket.socket] | None = None) -> None:
    found = endpoints_behind.get(descriptor)
    if found is None or (owner is not None and found[1] is not owner):
        return
    del endpoints_behind[descriptor]
    endpoint = found[0]
    endpoint.network.remove(descriptor)
    endpoint.close()


# Plain numbers: those of the module are slow.
_PEEK = int(socket.MSG_PEEK)
_OPTION: Any = socket.socket.getsockopt
