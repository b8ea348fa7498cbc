"""What asyncio promises of its methods for sockets, and the system of sockets and datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from tests.conformance.correct.of_transports import LOCAL, Lines
from tests.conformance.correct.serving import close
from tests.conformance.correct.table import correct


def _socket(kind: int = socket.SOCK_STREAM) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    return made


def _listening() -> socket.socket:
    listener = _socket()
    listener.bind(LOCAL)
    listener.listen()
    return listener


async def _receive(connection: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < count:
        part = await loop.sock_recv(connection, count - len(received))
        assert part
        received += part
    return received


@correct
async def sockets_send_and_receive_all() -> None:
    loop = asyncio.get_running_loop()

    async def serve(connection: socket.socket) -> None:
        with connection:
            for _ in range(2):
                await loop.sock_sendall(connection, (await _receive(connection, 5)).upper())

    async def accept() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                connection, address = await loop.sock_accept(listener)
                assert address[0] == "127.0.0.1"
                group.create_task(serve(connection))

    async def ask(text: bytes) -> None:
        with _socket() as connection:
            await loop.sock_connect(connection, listener.getsockname())
            for _ in range(2):
                await loop.sock_sendall(connection, text)
                assert await _receive(connection, 5) == text.upper()
            assert await loop.sock_recv(connection, 1) == b""

    with _listening() as listener:
        await asyncio.gather(accept(), ask(b"hello"), ask(b"world"))


@correct
async def an_accepted_socket_becomes_a_transport() -> None:
    loop = asyncio.get_running_loop()

    def answer(transport: asyncio.Transport, line: bytes) -> None:
        transport.write(line.upper() + b"\n")

    async def accept() -> None:
        connection, _ = await loop.sock_accept(listener)
        _, protocol = await loop.connect_accepted_socket(lambda: Lines(answer), connection)
        await protocol.lost

    with _listening() as listener:
        accepting = asyncio.create_task(accept())
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
        await close(writer)
        await accepting


@correct
async def readers_and_writers_are_called_when_there_is_something_to_do() -> None:
    loop = asyncio.get_running_loop()
    received = b""
    is_over = asyncio.Event()
    rest = memoryview(b"0123456789" * 50_000)

    def receive() -> None:
        nonlocal received
        part = accepted.recv(40_000)
        received += part
        if not part:
            loop.remove_reader(accepted)
            is_over.set()

    def send() -> None:
        nonlocal rest
        rest = rest[connection.send(rest) :]
        if not rest:
            loop.remove_writer(connection)
            connection.shutdown(socket.SHUT_WR)

    with _listening() as listener, _socket() as connection:
        await loop.sock_connect(connection, listener.getsockname())
        accepted, _ = await loop.sock_accept(listener)
        with accepted:
            loop.add_writer(connection, send)
            loop.add_reader(accepted, receive)
            await is_over.wait()
    assert received == b"0123456789" * 50_000


# Datagrams.


class _Datagrams(asyncio.DatagramProtocol):
    """Puts what comes into a queue."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.put_nowait(exc)


async def _bound() -> tuple[asyncio.DatagramTransport, _Datagrams, Any]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Datagrams, local_addr=LOCAL)
    return transport, protocol, transport.get_extra_info("sockname")


async def _to(address: Any) -> tuple[asyncio.DatagramTransport, _Datagrams]:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(_Datagrams, remote_addr=address)


@correct
async def numbers_put_datagrams_in_order() -> None:
    transport, protocol, address = await _bound()
    sender, _ = await _to(address)

    async def receive() -> list[bytes]:
        waiting: dict[int, bytes] = {}
        ordered: list[bytes] = []
        while len(ordered) < 5:
            data, source = await protocol.arrived.get()
            assert source == sender.get_extra_info("sockname")
            waiting[data[0]] = data[1:]
            while len(ordered) in waiting:
                ordered.append(waiting.pop(len(ordered)))
        return ordered

    receiving = asyncio.create_task(receive())
    for number in range(5):
        sender.sendto(bytes([number]) + b"x" * number)
        await asyncio.sleep(0.01)
    assert await receiving == [b"x" * number for number in range(5)]
    sender.close()
    transport.close()


@correct
async def a_datagram_without_an_answer_is_sent_again() -> None:
    transport, server, address = await _bound()
    applied: dict[bytes, bytes] = {}
    count = 0

    async def serve() -> None:
        nonlocal count
        while True:
            data, source = await server.arrived.get()
            if data not in applied:
                count += 1
                applied[data] = b"%s is number %d" % (data, count)
            transport.sendto(applied[data], source)

    async def ask(text: bytes) -> bytes:
        sender, client = await _to(address)
        try:
            for _ in range(100):
                sender.sendto(text)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        return (await client.arrived.get())[0]
            raise TimeoutError
        finally:
            sender.close()

    serving = asyncio.create_task(serve())
    answers = await asyncio.gather(ask(b"this"), ask(b"that"))
    assert sorted(answers) in (
        [b"that is number 1", b"this is number 2"],
        [b"that is number 2", b"this is number 1"],
    )
    assert count == 2
    serving.cancel()
    transport.close()


@correct
async def nothing_at_the_address_of_a_datagram_is_an_error() -> None:
    transport, _, address = await _bound()
    transport.close()
    await asyncio.sleep(0.1)
    sender, client = await _to(address)
    sender.sendto(b"hello")
    assert isinstance(await client.errors.get(), ConnectionRefusedError)
    sender.close()


@correct
async def datagrams_keep_their_borders() -> None:
    loop = asyncio.get_running_loop()
    with _socket(socket.SOCK_DGRAM) as one, _socket(socket.SOCK_DGRAM) as other:
        one.bind(LOCAL)
        other.bind(LOCAL)
        sent = [b"one", b"", b"three"]
        for data in sent:
            await loop.sock_sendto(other, data, one.getsockname())
        got = [await loop.sock_recvfrom(one, 100) for _ in sent]
        assert sorted(got) == sorted((data, other.getsockname()) for data in sent)
