# chat_fixed.py
from websockets.asyncio.server import ServerConnection, broadcast

import chat


class Room(chat.Room):
    async def handle(self, connection: ServerConnection) -> None:
        name = str(await connection.recv())
        if name in self.members:
            await connection.close(4000, "taken")
            return
        self.members[name] = connection
        try:
            await connection.send("password?")
            await connection.recv()
            await connection.send("welcome")
            async for text in connection:
                broadcast(self.members.values(), f"{name}: {text}")
        finally:
            del self.members[name]
