# test_time.py
import asyncio
import socket

import aldente
import pytest

from chat import Room, follow, open_room

pytestmark = aldente.virtual_time

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YWxkZW50ZWFsZGVudGVhbA==\r\n\r\n"
)


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def test_pings_keep_a_connection(ann, clock):
    await clock.advance(600)
    await ann.send("still here")
    assert await ann.recv() == "ann: still here"


async def test_a_client_that_answers_no_ping(url, clock):
    reader, writer = await asyncio.open_connection(*url.removeprefix("ws://").split(":"))
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    await reader.read()  # until the server closes the connection
    assert clock.elapsed == 20 + 20  # the ping, and the time for its answer
    writer.close()


async def test_it_connects_again(clock, free_port):
    url = f"ws://127.0.0.1:{free_port}"
    room = Room()
    messages = follow(url, "bob")
    message = asyncio.ensure_future(anext(messages))
    await clock.advance(2.5)  # there was no server at 0 s and at 1 s
    async with open_room(room, free_port):
        await aldente.eventually(lambda: "bob" in room.members)
        assert 3 <= clock.elapsed < 3.1
        await room.members["bob"].send("hello")
        assert await message == "hello"
    await messages.aclose()
