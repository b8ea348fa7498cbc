"""What asyncio and TCP promise of connections, as programs with streams rely on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile

from tests.conformance.correct.serving import Connection, close, connect, serving, shout
from tests.conformance.correct.table import correct

# Framing.


@correct
async def a_request_gets_its_response() -> None:
    async with serving(shout) as port:
        reader, writer = await connect(port)
        writer.write(b"hello, how are you?\n")
        assert await reader.readline() == b"HELLO, HOW ARE YOU?\n"
        await close(writer)


@correct
async def pipelined_requests_are_answered_in_order() -> None:
    async with serving(shout) as port:
        reader, writer = await connect(port)
        for number in range(5):
            writer.write(b"request %d\n" % number)
        for number in range(5):
            assert await reader.readline() == b"REQUEST %d\n" % number
        await close(writer)


@correct
async def lengths_ahead_of_messages_keep_them_apart() -> None:
    got: list[bytes] = []
    rest = b"not yet"

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal rest
        while True:
            try:
                head = await reader.readexactly(4)
            except asyncio.IncompleteReadError as error:
                rest = error.partial
                break
            got.append(await reader.readexactly(int.from_bytes(head, "big")))
        await close(writer)

    messages = [b"", b"a", b"two\nlines\n", b"x" * 1000, b"\0\0\0\1"]
    async with serving(collect) as port:
        _, writer = await connect(port)
        for message in messages:
            writer.writelines([len(message).to_bytes(4, "big"), message])
            await writer.drain()
        await close(writer)
    assert got == messages
    assert not rest


@correct
async def a_separator_of_several_bytes_is_found_wherever_it_is_cut() -> None:
    heads: list[bytes] = []
    rest = b""

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal rest
        while not reader.at_eof():
            try:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.IncompleteReadError as error:
                rest = error.partial
        await close(writer)

    async with serving(collect) as port:
        _, writer = await connect(port)
        for part in (b"GET / HTTP/1.1\r", b"\nHost: a\r\n", b"\r\nPUT\r\n\r\n\r", b"\n"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        await close(writer)
    assert heads == [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PUT\r\n\r\n"]
    assert rest == b"\r\n"


@correct
async def reading_to_the_end_gets_all() -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(6):
            writer.write(bytes([number]) * (number + 1))
            if number % 2:
                await asyncio.sleep(0.01)
        await close(writer)

    async with serving(send) as port:
        reader, writer = await connect(port)
        received = b""
        while part := await reader.read(4):
            assert len(part) <= 4
            received += part
        assert received == b"".join(bytes([number]) * (number + 1) for number in range(6))
        await close(writer)


@correct
async def chunks_with_their_sizes_make_up_a_body() -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in (b"one", b"\r\n", b"three" * 10, b""):
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
        await close(writer)

    async with serving(send) as port:
        reader, writer = await connect(port)
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        assert await reader.readline() == b"\r\n"
        assert await reader.read() == b""
        assert body == b"one\r\n" + b"three" * 10
        await close(writer)


@correct
async def a_line_that_is_too_long_is_refused() -> None:
    async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil()
        except asyncio.LimitOverrunError:
            writer.write(b"too long\n")
        await reader.read()
        await close(writer)

    async with serving(check, limit=10) as port:
        reader, writer = await connect(port)
        writer.write(b"x" * 30 + b"\n")
        writer.write_eof()
        assert await reader.read() == b"too long\n"
        await close(writer)


@correct
async def a_message_that_breaks_off_is_seen_as_such() -> None:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"only half")
        await close(writer)

    async with serving(send) as port:
        reader, writer = await connect(port)
        partial = b""
        try:
            await reader.readexactly(18)
        except asyncio.IncompleteReadError as error:
            partial = error.partial
        assert partial == b"only half"
        await close(writer)


# Beginnings and ends.


@correct
async def a_client_tries_until_the_server_is_up() -> None:
    async with serving(shout) as port:
        pass

    async def start() -> asyncio.Server:
        await asyncio.sleep(1.0)
        return await asyncio.start_server(shout, "127.0.0.1", port)

    async def insist() -> Connection:
        while True:
            try:
                return await connect(port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.3)

    (reader, writer), server = await asyncio.gather(insist(), start())
    writer.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    await close(writer)
    server.close()
    await server.wait_closed()
    # Before Python 3.12 that does not wait for connections.
    await asyncio.sleep(1.0)


@correct
async def the_port_of_a_closed_server_is_free() -> None:
    server = await asyncio.start_server(shout, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    server = await asyncio.start_server(shout, *address)
    try:
        await asyncio.start_server(shout, *address)
    except OSError:
        pass
    else:
        raise AssertionError
    server.close()
    await server.wait_closed()


@correct
async def open_requests_are_answered_after_the_server_was_closed() -> None:
    begun = asyncio.Semaphore(0)
    requests: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        requests.add(asyncio.current_task())
        begun.release()
        await asyncio.sleep(0.5)
        writer.write(line.upper())
        await close(writer)

    async def ask(port: int, text: bytes) -> None:
        reader, writer = await connect(port)
        writer.write(text + b"\n")
        assert await reader.read() == text.upper() + b"\n"
        await close(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = [asyncio.create_task(ask(port, text)) for text in (b"one", b"two")]
    for _ in clients:
        await begun.acquire()
    server.close()
    await asyncio.gather(*(each for each in requests if each is not None))
    await server.wait_closed()
    await asyncio.gather(*clients)
    try:
        await connect(port)
    except ConnectionRefusedError:
        pass
    else:
        raise AssertionError


@correct
async def one_direction_is_closed_and_the_other_not() -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = len(await reader.read())
        for _ in range(3):
            writer.write(b"%d bytes\n" % length)
            await asyncio.sleep(0.01)
        await close(writer)

    async with serving(count) as port:
        reader, writer = await connect(port)
        writer.write(b"x" * 10)
        writer.write(b"y" * 7)
        assert writer.can_write_eof()
        writer.write_eof()
        assert await reader.read() == b"17 bytes\n" * 3
        await close(writer)


@correct
async def what_was_written_before_the_close_arrives() -> None:
    got: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read())
        await close(writer)

    async with serving(collect) as port:
        _, writer = await connect(port)
        for _ in range(4):
            writer.write(b"x" * 200_000)
        await close(writer)
    assert got == [b"x" * 800_000]


@correct
async def a_writer_learns_that_the_peer_has_gone() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(serve) as port:
        reader, writer = await connect(port)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        await close(writer)


@correct
async def a_slow_reader_holds_the_writer_up() -> None:
    sent = 0

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=10_000)
        for _ in range(40):
            writer.write(b"x" * 400_000)
            await writer.drain()
            sent += 400_000
        await close(writer)

    async with serving(send) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        await asyncio.sleep(10)
        # Linux keeps less than that for a slow reader.
        assert sent < 16_000_000
        length = 0
        while part := await reader.read(400_000):
            length += len(part)
        assert length == 16_000_000 == sent
        await close(writer)


@correct
async def a_socket_file_leads_to_a_server() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        server = await asyncio.start_unix_server(shout, path)
        reader, writer = await asyncio.open_unix_connection(path)
        assert writer.get_extra_info("peername") == path
        for text in (b"one", b"two"):
            writer.write(text + b"\n")
            assert await reader.readline() == text.upper() + b"\n"
        await close(writer)
        server.close()
        await server.wait_closed()
        # Before Python 3.12 that does not wait for connections.
        await asyncio.sleep(1.0)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        try:
            await asyncio.open_unix_connection(path)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        else:
            raise AssertionError
