"""uvicorn, which ends the streams before it waits for them."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from tickets.feed import SeatsFeed


class Server(uvicorn.Server):
    """Serves an application whose streams last for as long as their clients like.

    uvicorn waits for all responses before it tells the application that the end has come; so a
    stream that only the application ends would have it wait for ever.

    Args:
        application: what to serve.
        feed: what the streams show.
        host: the address to listen at.
        port: the port; 0 for any.
        grace_seconds: how long it waits for responses.

    Attributes:
        listening: set once it listens.
    """

    def __init__(
        self, application: FastAPI, feed: SeatsFeed, host: str, port: int, grace_seconds: int = 10
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                host=host,
                port=port,
                log_level="warning",
                timeout_graceful_shutdown=grace_seconds,
            )
        )
        self._feed = feed
        self.listening = asyncio.Event()

    @property
    def address(self) -> str:
        """Where it listens, once it has started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and listen."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, wait for responses, and end the application."""
        self._feed.close()
        await super().shutdown(sockets)
