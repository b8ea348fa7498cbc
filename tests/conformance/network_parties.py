"""The parties of random programs of clients and servers: they do things, and note what they see."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import inspect
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any

SIZES = (1, 5, 100, 3_000)
# As much as a stream takes from its transport before it pauses it.
MOST = 50_000


def described(error: BaseException | None) -> str:
    """An error in words: its type and number."""
    if error is None:
        return "None"
    number = getattr(error, "errno", None)
    name = errno.errorcode.get(number, str(number)) if isinstance(number, int) else ""
    return f"{type(error).__name__} {name}".strip()


def digest(data: bytes) -> str:
    """Data in few letters."""
    if len(data) <= 20:
        return repr(bytes(data))
    return f"{len(data)} bytes {hashlib.sha1(data).hexdigest()[:8]}"


class Notes:
    """What each party has seen.

    Args:
        folder: the folder of Unix sockets.

    Attributes:
        found: the notes of each party.
    """

    def __init__(self, folder: str) -> None:
        self.found: dict[str, list[str]] = {}
        self._folder = folder
        self._names: dict[Any, str] = {}

    def note(self, party: str, *what: object) -> None:
        """A party has seen something."""
        self.found.setdefault(party, []).append(" ".join(map(str, what)))

    def know(self, address: Any, name: str) -> None:
        """Call an address by a name."""
        if isinstance(address, tuple):
            self._names.setdefault(address[1], name)

    def named(self, address: Any) -> str:
        """An address, with its number replaced by a name."""
        if isinstance(address, tuple):
            return f"{address[0]} {self._names.get(address[1], 'unknown')}"
        return str(address).replace(self._folder, "")


class Recorder:
    """A party.

    Args:
        notes: where it notes what it sees.
        name: its name.
    """

    def __init__(self, notes: Notes, name: str) -> None:
        self.notes = notes
        self.name = name
        self._data = b""
        self._tasks: list[asyncio.Task[Any]] = []
        self._sent = 0

    def note(self, *what: object) -> None:
        """Note something, after the data that has come before."""
        self.settle()
        self.notes.note(self.name, *what)

    def come(self, data: bytes) -> None:
        """Data has come; in how many parts is not noted."""
        self._data += data

    def settle(self) -> None:
        """Note what has come."""
        data, self._data = self._data, b""
        if data:
            self.notes.note(self.name, "got", digest(data))

    def can(self, what: str) -> bool:
        """Whether something is a thing of its kind to do."""
        return hasattr(self, f"_{what}")

    def do(self, what: str, number: int) -> None:
        """Do something."""
        method = getattr(self, f"_{what}")
        if inspect.iscoroutinefunction(method):
            self._tasks.append(asyncio.create_task(self._do_later(what, method, number)))
            return
        try:
            found = method(number)
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            self.note(what, described(error))
            return
        if found is not None:
            self.note(what, found)

    async def _do_later(self, what: str, method: Callable[[int], Any], number: int) -> None:
        try:
            found = await method(number)
        except asyncio.CancelledError:
            self.note(what, "cancelled")
        except Exception as error:
            partial = getattr(error, "partial", b"")
            self.note(what, described(error), digest(partial))
        else:
            self.note(what, found)

    def _cancel(self, number: int) -> None:
        for task in self._tasks:
            task.cancel()

    def text(self, number: int, size: int | None = None) -> bytes:
        """Data that no other party sends, with some ends of lines."""
        size = SIZES[number % len(SIZES)] if size is None else size
        if self._sent + size > MOST:
            return b""
        self._sent += size
        line = f"{self.name}.{self._sent}.{number}\n".encode()
        return (line * (size // len(line) + 1))[:size]

    def finish(self) -> None:
        """End all that it does."""
        self.settle()
        for task in self._tasks:
            task.cancel()


class Protocol(asyncio.Protocol):
    """Tells a party what happens to its connection."""

    def __init__(self, party: Transports) -> None:
        self._party = party

    def connection_made(self, transport: Any) -> None:
        self._party.transport = transport
        self._party.note("made")

    def data_received(self, data: bytes) -> None:
        self._party.receive(data)

    def eof_received(self) -> bool:
        self._party.note("end")
        # Some leave their own half open.
        return self._party.is_half_open

    def connection_lost(self, exc: Exception | None) -> None:
        self._party.note("lost", described(exc))

    def pause_writing(self) -> None:
        self._party.is_writing_paused = True

    def resume_writing(self) -> None:
        self._party.is_writing_paused = False


class WithTransport(Recorder):
    """A party with a transport."""

    transport: Any

    def _names(self, number: int) -> str:
        names = (self.transport.get_extra_info(each) for each in ("sockname", "peername"))
        return " ".join(map(self.notes.named, names))

    def _look(self, number: int) -> str:
        return re.sub(r"fd=-?\d+", "", repr(self.transport))

    def _write(self, number: int) -> None:
        self.transport.write(self.text(number))

    def _write_some(self, number: int) -> None:
        # asyncio's loops never end to write nothing but empty parts.
        self.transport.writelines([self.text(number) or b".", b"", self.text(number + 1) or b"."])

    def _write_end(self, number: int) -> None:
        self.transport.write_eof()

    def _close(self, number: int) -> str:
        self.transport.close()
        return str(self.transport.is_closing())

    def _abort(self, number: int) -> None:
        self.transport.abort()

    def _pause(self, number: int) -> None:
        self.transport.pause_reading()

    def _resume(self, number: int) -> None:
        self.transport.resume_reading()

    def finish(self) -> None:
        super().finish()
        self.transport.abort()


class Transports(WithTransport):
    """A party that is a protocol."""

    def __init__(self, notes: Notes, name: str) -> None:
        super().__init__(notes, name)
        self.protocol = Protocol(self)
        self.is_half_open = len(name) % 2 == 0
        self.is_writing_paused = False
        self._is_echo = False

    def receive(self, data: bytes) -> None:
        """Data has come."""
        self.come(data)
        if self._is_echo:
            self.transport.write(data)

    def _echo(self, number: int) -> None:
        # Two that answer each other would never end.
        self._is_echo = "accepted" in self.name

    def _write_much(self, number: int) -> None:
        """As much as the system does not take at once, if the peer reads it; then the end."""
        if number % 4 == 0:
            self.transport.write(self.text(number, 20_000))
            self.transport.close()


class Streams(WithTransport):
    """A party with a reader and a writer."""

    def __init__(
        self,
        notes: Notes,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(notes, name)
        self._reader, self._writer = reader, writer
        self.transport = writer.transport
        self.note("made")

    async def _read(self, number: int) -> str:
        return digest(await self._reader.read((1, 10, 100, 10_000, -1)[number % 5]))

    async def _read_exactly(self, number: int) -> str:
        return digest(await self._reader.readexactly((1, 5, 150)[number % 3]))

    async def _read_line(self, number: int) -> str:
        return digest(await self._reader.readline())

    async def _read_until(self, number: int) -> str:
        return digest(await self._reader.readuntil(b".1"))

    def _at_end(self, number: int) -> str:
        return f"{self._reader.at_eof()} {described(self._reader.exception())}"

    def _write(self, number: int) -> None:
        self._writer.write(self.text(number))

    def _write_some(self, number: int) -> None:
        self._writer.writelines([self.text(number) or b".", self.text(number + 1) or b"."])

    async def _drain(self, number: int) -> None:
        await self._writer.drain()

    async def _wait_closed(self, number: int) -> None:
        await self._writer.wait_closed()

    def _close(self, number: int) -> str:
        self._writer.close()
        return str(self._writer.is_closing())

    def can(self, what: str) -> bool:
        # The reader does these itself.
        return super().can(what) and what not in ("pause", "resume")


class Raw(Recorder):
    """A party that is a socket."""

    def __init__(self, notes: Notes, name: str, made: socket.socket) -> None:
        super().__init__(notes, name)
        self._loop = asyncio.get_running_loop()
        self._socket = made
        self._copies: list[socket.socket] = []
        self._is_busy = False

    async def _read(self, number: int) -> str:
        return await self._alone(self._loop.sock_recv(self._socket, (1, 10, 10_000)[number % 3]))

    async def _alone(self, coroutine: Coroutine[Any, Any, bytes]) -> str:
        """Read, unless something reads: the loop has room for one."""
        if self._is_busy:
            coroutine.close()
            return "busy"
        self._is_busy = True
        try:
            return digest(await coroutine)
        finally:
            self._is_busy = False

    async def _receive_into(self, number: int) -> str:
        buffer = bytearray(50)

        async def receive() -> bytes:
            length = await self._loop.sock_recv_into(self._socket, buffer)
            return bytes(buffer[:length])

        return await self._alone(receive())

    def _peek(self, number: int) -> str:
        return digest(self._socket.recv(10, socket.MSG_PEEK))

    async def _write(self, number: int) -> None:
        await self._loop.sock_sendall(self._socket, self.text(number))

    def _write_some(self, number: int) -> str:
        return str(self._socket.sendmsg([self.text(number), self.text(number + 1)]))

    def _write_end(self, number: int) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def _shut_down(self, number: int) -> None:
        self._socket.shutdown((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)[number % 3])

    def _at_end(self, number: int) -> str:
        return str(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _names(self, number: int) -> str:
        names = [self.notes.named(self._socket.getsockname())]
        return " ".join([*names, self.notes.named(self._socket.getpeername())])

    def _duplicate(self, number: int) -> None:
        self._copies.append(self._socket.dup())

    def _close(self, number: int) -> None:
        if not self._is_busy:
            self._socket.close()

    def finish(self) -> None:
        super().finish()
        for each in (*self._copies, self._socket):
            self._loop.remove_reader(each) if each.fileno() >= 0 else None
            each.close()


class DatagramProtocol(asyncio.DatagramProtocol):
    """Tells a party what comes."""

    def __init__(self, party: Datagrams) -> None:
        self._party = party

    def connection_made(self, transport: Any) -> None:
        self._party.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._party.note("datagram", digest(data), self._party.notes.named(addr))

    def error_received(self, exc: Exception) -> None:
        self._party.note("error", described(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self._party.note("lost", described(exc))


class Datagrams(WithTransport):
    """A party of datagrams.

    Attributes:
        address: its own address.
    """

    def __init__(self, notes: Notes, name: str, others: list[Datagrams]) -> None:
        super().__init__(notes, name)
        self.address: Any = None
        self._others = others
        self.protocol = DatagramProtocol(self)

    def _target(self, number: int) -> Any:
        if self.transport.get_extra_info("peername") is not None and number % 5:
            return None
        return self._others[number % len(self._others)].address if self._others else self.address

    def _write(self, number: int) -> None:
        self.transport.sendto(self.text(number), self._target(number))

    def _write_some(self, number: int) -> None:
        for each in range(3):
            self.transport.sendto(self.text(number + each), self._target(number))

    def can(self, what: str) -> bool:
        return super().can(what) and what not in ("write_end", "pause", "resume")
