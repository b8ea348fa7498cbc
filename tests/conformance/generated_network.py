"""Random programs of clients and servers, which note what each party sees.

A program is a list of bursts of instructions. Between two bursts it waits until all has arrived, so
that what it notes depends neither on time nor on how a system cuts streams, and is the same on real
sockets and on simulated ones.
"""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from tests.conformance.network_parties import (
    Datagrams,
    Notes,
    Protocol,
    Raw,
    Recorder,
    Streams,
    Transports,
    described,
)

Main = Callable[[], Coroutine[Any, Any, dict[str, list[str]]]]


class Instruction(NamedTuple):
    """Something that is done.

    Attributes:
        what: the name of a method of `Network`, or of a party.
        who: which of the parties, or which kind of thing.
        number: which of its ways.
    """

    what: str
    who: int
    number: int


# What the network as a whole does.
_OPENING = (
    *("open_protocols", "open_streams") * 4,
    *("open_raw", "open_datagrams") * 2,
    *("open_socket", "open_bound", "refuse", "listen_twice", "close_server", "serve"),
    *("serve_address", "bind_twice", "accept_raw", "connect_and_close", "transfer", "exchange"),
)
# What parties of different kinds do; each of them knows some.
_DOING = (
    *("write", "read", "close") * 4,
    *("read_exactly", "read_line", "read_until", "write_end", "names", "abort", "write_some") * 2,
    *("pause", "resume", "drain", "wait_closed", "at_end", "write_much", "receive_into", "echo"),
    *("shut_down", "peek", "cancel", "duplicate", "look"),
)


def instructions(draw: Callable[[int], int]) -> list[list[Instruction]]:
    """A program.

    Args:
        draw: gives a number from 0 to less than its argument.
    """

    def one(whats: tuple[str, ...]) -> Instruction:
        return Instruction(whats[draw(len(whats))], draw(100), draw(100))

    program = [[one(_OPENING)] for _ in range(1 + draw(3))]
    for _ in range(4 + draw(26)):
        if not draw(7):
            program.append([one(_OPENING)])
        else:
            program.append([one(_DOING) for _ in range((1, 1, 1, 2, 2, 3)[draw(6)])])
    return program


def network_program(seed: int, *, seconds: float = 1.0) -> Main:
    """The program of a seed.

    Args:
        seed: what it follows from.
        seconds: how long it waits until all has arrived.
    """
    program = instructions(random.Random(seed).randrange)

    async def main() -> dict[str, list[str]]:
        # Unix sockets need short paths.
        with tempfile.TemporaryDirectory(prefix="net") as folder:
            network = Network(folder, seconds)
            try:
                for burst in program:
                    for instruction in burst:
                        await network.do(instruction)
                    await asyncio.sleep(seconds)
            finally:
                await network.end()
            return network.notes.found

    return main


class Network:
    """Runs a program once.

    Args:
        folder: an empty folder.
        seconds: how long it waits until all has arrived.

    Attributes:
        notes: what has been seen.
    """

    def __init__(self, folder: str, seconds: float) -> None:
        self.notes = Notes(folder)
        self._folder = folder
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._parties: list[Recorder] = []
        # Of each kind and family, the address of what listens.
        self._servers: dict[tuple[str, int], Any] = {}
        self._closed: list[Any] = []
        self._count = 0

    async def do(self, instruction: Instruction) -> None:
        """Do what an instruction says."""
        method = getattr(self, f"_{instruction.what}", None)
        if method is not None:
            try:
                await asyncio.wait_for(method(instruction.who, instruction.number), 5)
            except (OSError, ValueError, RuntimeError) as error:
                self.notes.note("network", instruction.what, described(error))
            return
        able = [party for party in self._parties if party.can(instruction.what)]
        if able:
            # Rather one of those that came last.
            able = able[-4:] if instruction.number % 3 else able
            able[instruction.who % len(able)].do(instruction.what, instruction.number)

    async def end(self) -> None:
        """Close all."""
        for party in self._parties:
            party.finish()
        for server in self._servers.values():
            server.close()
        await asyncio.sleep(self._seconds)
        for party in self._parties:
            party.settle()
        await asyncio.sleep(0)

    # Servers.

    def _family(self, number: int) -> int:
        families = [socket.AF_INET, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]
        return families[number % len(families)]

    def _path(self) -> str:
        self._count += 1
        return f"{self._folder}/{self._count}"

    async def _server(self, kind: str, family: int) -> Any:
        """What listens in a family; made when it is first asked for."""
        known = self._servers.get((kind, family))
        if known is None:
            known = await self._make_server(kind, family)
            self._servers[kind, family] = known
            name = known.sockets[0].getsockname()
            self.notes.know(name, f"{kind} {socket.AddressFamily(family).name}")
        return known

    async def _make_server(self, kind: str, family: int, address: Any = None) -> Any:
        if kind == "protocol":
            make = self._accepted_protocol
            if family == socket.AF_UNIX:
                return await self._loop.create_unix_server(make, address or self._path())
            host, port = (address or (_host(family), 0))[:2]
            return await self._loop.create_server(make, host, port)
        if family == socket.AF_UNIX:
            return await asyncio.start_unix_server(self._accepted_streams, address or self._path())
        host, port = (address or (_host(family), 0))[:2]
        return await asyncio.start_server(self._accepted_streams, host, port)

    def _accepted_protocol(self) -> Protocol:
        party = Transports(self.notes, f"{len(self._parties)} accepted")
        self._parties.append(party)
        return party.protocol

    async def _accepted_streams(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._add(Streams(self.notes, f"{len(self._parties)} accepted", reader, writer))

    def _add(self, party: Recorder) -> None:
        self._parties.append(party)

    def _name(self) -> str:
        return f"{len(self._parties)}"

    async def _close_server(self, who: int, number: int) -> None:
        key = (("protocol", "streams")[who % 2], self._family(number))
        server = self._servers.pop(key, None)
        if server is not None:
            self._closed.append((key[1], server.sockets[0].getsockname()))
            server.close()
            self.notes.note("network", "server closed", server.is_serving())

    async def _serve(self, who: int, number: int) -> None:
        await self._server(("protocol", "streams")[who % 2], self._family(number))

    async def _serve_address(self, who: int, number: int) -> None:
        """Serve an address again that has been served."""
        if self._closed:
            family, address = self._closed[who % len(self._closed)]
            server = await self._make_server("protocol", family, address)
            self.notes.note("network", "served again")
            server.close()

    async def _listen_twice(self, who: int, number: int) -> None:
        """Serve an address that is served."""
        kind, family = ("protocol", "streams")[who % 2], self._family(number)
        server = await self._server(kind, family)
        address = server.sockets[0].getsockname()
        again = await self._make_server(kind, family, address)
        self.notes.note("network", "served twice")
        again.close()

    async def _bind_twice(self, who: int, number: int) -> None:
        with socket.socket() as one, socket.socket() as other:
            for bit, made in enumerate((one, other)):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, number >> bit & 1)
            one.bind(("127.0.0.1", 0))
            if number & 4:
                one.listen()
            other.bind(one.getsockname())
            self.notes.note("network", "bound twice")
            other.listen()
            self.notes.note("network", "listens twice")

    # Clients.

    async def _address(self, who: int, number: int) -> tuple[int, Any, str]:
        family = self._family(number)
        kind = ("protocol", "streams")[who % 2]
        server = await self._server(kind, family)
        return family, server.sockets[0].getsockname(), kind

    async def _connect_protocol(self, name: str, family: int, address: Any, **more: Any) -> None:
        party = Transports(self.notes, name)
        make = lambda: party.protocol  # noqa: E731
        if more:
            await self._loop.create_connection(make, **more)
        elif family == socket.AF_UNIX:
            await self._loop.create_unix_connection(make, address)
        else:
            await self._loop.create_connection(make, address[0], address[1])
        self._know(party.transport, name)
        self._add(party)

    def _know(self, transport: Any, name: str) -> None:
        self.notes.know(transport.get_extra_info("sockname"), f"client {name}")

    async def _open_protocols(self, who: int, number: int) -> None:
        family, address, _ = await self._address(who, number)
        await self._connect_protocol(self._name(), family, address)
        await asyncio.sleep(self._seconds)

    async def _open_streams(self, who: int, number: int) -> None:
        family, address, _ = await self._address(who, number)
        more = {"limit": 16} if number % 5 == 0 else {}
        name = self._name()
        if family == socket.AF_UNIX:
            found = await asyncio.open_unix_connection(address, **more)
        else:
            found = await asyncio.open_connection(address[0], address[1], **more)
        self._know(found[1], name)
        self._add(Streams(self.notes, name, *found))
        await asyncio.sleep(self._seconds)

    async def _open_socket(self, who: int, number: int) -> None:
        """Give a connected socket to the loop."""
        family, address, _ = await self._address(who, number)
        made = socket.socket(family)
        made.setblocking(False)
        await self._loop.sock_connect(made, address)
        await self._connect_protocol(self._name(), family, address, sock=made)
        await asyncio.sleep(self._seconds)

    async def _open_bound(self, who: int, number: int) -> None:
        """Connect from an address that is chosen, and again from the same one."""
        _, address, _ = await self._address(who, 0)
        more = {"host": address[0], "port": address[1]}
        await self._connect_protocol(
            self._name(), socket.AF_INET, None, **more, local_addr=("127.0.0.1", 0)
        )
        await asyncio.sleep(self._seconds)
        own = self._parties[-1 if "accepted" not in self._parties[-1].name else -2]
        taken = own.transport.get_extra_info("sockname")  # type: ignore[attr-defined]
        await self._connect_protocol(self._name(), socket.AF_INET, None, **more, local_addr=taken)

    async def _open_raw(self, who: int, number: int) -> None:
        family, address, _ = await self._address(who, number)
        name = self._name()
        made = socket.socket(family)
        made.setblocking(False)
        await self._loop.sock_connect(made, address)
        self.notes.know(made.getsockname(), f"client {name}")
        self._add(Raw(self.notes, name, made))
        await asyncio.sleep(self._seconds)

    async def _accept_raw(self, who: int, number: int) -> None:
        """Both ends are sockets."""
        family = self._family(number)
        with socket.socket(family) as listener:
            listener.setblocking(False)
            listener.bind(self._path() if family == socket.AF_UNIX else (_host(family), 0))
            listener.listen()
            self.notes.know(listener.getsockname(), f"listener {len(self._parties)}")
            made = socket.socket(family)
            made.setblocking(False)
            await self._loop.sock_connect(made, listener.getsockname())
            accepted, address = await self._loop.sock_accept(listener)
            name = self._name()
            self.notes.know(made.getsockname(), f"client {name}")
            self.notes.note("network", "accepted", self.notes.named(address))
        self._add(Raw(self.notes, name, made))
        self._add(Raw(self.notes, f"{name} accepted", accepted))

    async def _connect_and_close(self, who: int, number: int) -> None:
        """A client that goes before it is accepted."""
        family, address, _ = await self._address(who, number)
        with socket.socket(family) as made:
            made.setblocking(False)
            await self._loop.sock_connect(made, address)
            if number & 4:
                made.send(b"gone")
            if number & 8:
                made.shutdown(socket.SHUT_WR)

    async def _refuse(self, who: int, number: int) -> None:
        if self._closed and who % 2:
            family, address = self._closed[number % len(self._closed)]
        else:
            family = socket.AF_INET
            with socket.socket() as made:
                made.bind(("127.0.0.1", 0))
                address = made.getsockname()
        await self._connect_protocol("refused", family, address)

    async def _transfer(self, who: int, number: int) -> None:
        """Move more than any buffer takes, in both directions, and end each stream."""
        family = self._family(number)
        accepted: asyncio.Future[Any] = self._loop.create_future()

        async def accept(*streams: Any) -> None:
            accepted.set_result(streams)

        if family == socket.AF_UNIX:
            path = self._path()
            server = await asyncio.start_unix_server(accept, path)
            one = await asyncio.open_unix_connection(path)
        else:
            server = await asyncio.start_server(accept, _host(family), 0)
            one = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        other = await accepted
        parts = [bytes([number]) * (1 + each * who * 2_000) for each in range(20)]
        sent = b"".join(parts)
        async with asyncio.TaskGroup() as group:
            for (_, writer), (reader, _) in ((one, other), (other, one)):
                group.create_task(_send(writer, parts))
                task = group.create_task(_receive(reader, 2_000 + number * 700))
                task.add_done_callback(
                    lambda task: self.notes.note("network", "transfer", task.result() == sent)
                )
        for _, writer in (one, other):
            writer.close()
            await writer.wait_closed()
        server.close()

    # Datagrams.

    async def _exchange(self, who: int, number: int) -> None:
        """Datagrams between two sockets, by the methods of the loop."""
        family = self._family(number)
        with (
            socket.socket(family, socket.SOCK_DGRAM) as one,
            socket.socket(family, socket.SOCK_DGRAM) as other,
        ):
            for each in (one, other):
                each.setblocking(False)
                each.bind(self._path() if family == socket.AF_UNIX else (_host(family), 0))
            if number & 16:
                one.connect(other.getsockname())
            for count in range(1 + who % 3):
                await self._loop.sock_sendto(one, b"%d" % count, other.getsockname())
            for _ in range(1 + who % 3):
                data, address = await self._loop.sock_recvfrom(other, 5)
                self.notes.note("network", "exchange", data, address == one.getsockname())
                buffer = bytearray(5)
                await self._loop.sock_sendto(other, data * 2, address)
                length, _ = await self._loop.sock_recvfrom_into(one, buffer)
                self.notes.note("network", "exchange", bytes(buffer[:length]))

    async def _open_datagrams(self, who: int, number: int) -> None:
        """A party of datagrams: bound, or connected with another one, or with nothing."""
        others = [each for each in self._parties if isinstance(each, Datagrams)]
        name = self._name()
        party = Datagrams(self.notes, name, others)
        more: dict[str, Any] = {"local_addr": ("127.0.0.1", 0)}
        if others and number % 3 == 1:
            address = others[who % len(others)].address
            if address is not None:
                more = {"remote_addr": address}
        elif number % 7 == 2:
            with socket.socket(type=socket.SOCK_DGRAM) as made:
                made.bind(("127.0.0.1", 0))
                more = {"remote_addr": made.getsockname()}
        await self._loop.create_datagram_endpoint(lambda: party.protocol, **more)
        party.address = party.transport.get_extra_info("sockname")
        self.notes.know(party.address, f"datagrams {name}")
        self._add(party)


async def _send(writer: asyncio.StreamWriter, parts: list[bytes]) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()
    writer.write_eof()


async def _receive(reader: asyncio.StreamReader, size: int) -> bytes:
    found = []
    while data := await reader.read(size):
        found.append(data)
        if len(found) % 10 == 0:
            await asyncio.sleep(0)
    return b"".join(found)


def _host(family: int) -> str:
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"
