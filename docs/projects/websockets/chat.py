# chat.py
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed


class Room:
    def __init__(self) -> None:
        self.members: dict[str, ServerConnection] = {}

    async def handle(self, connection: ServerConnection) -> None:
        name = str(await connection.recv())
        if name in self.members:
            await connection.close(4000, "taken")
            return
        await connection.send("password?")
        await connection.recv()
        self.members[name] = connection
        await connection.send("welcome")
        try:
            async for text in connection:
                broadcast(self.members.values(), f"{name}: {text}")
        finally:
            self.members.pop(name, None)


@asynccontextmanager
async def open_room(room: Room, port: int = 0) -> AsyncIterator[str]:
    """Serve a room; gives its address."""
    async with serve(room.handle, "127.0.0.1", port) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def follow(url: str, name: str) -> AsyncIterator[str]:
    """What is said in a room; connects again for as long as it takes."""
    pause = 1
    while True:
        try:
            async with connect(url) as connection:
                await connection.send(name)
                await connection.recv()
                await connection.send("secret")
                await connection.recv()
                pause = 1
                async for text in connection:
                    yield str(text)
        except (ConnectionClosed, OSError):
            pass
        await asyncio.sleep(pause)
        pause *= 2
