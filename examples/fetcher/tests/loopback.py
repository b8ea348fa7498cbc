"""A real HTTP server on loopback whose answers the test holds back and lets go."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web


class Route:
    """One path of the server: what it answers, and what has been asked of it so far.

    Attributes:
        url: its address.
        arrived: how many requests have come.
        in_flight: how many of them have no answer yet.
        peak: the greatest `in_flight` there has been.
        dropped: how many were given up by the client before they had an answer.
        arrivals: when each request has come, in seconds of loop time.
        delay: how many seconds an answer takes.
    """

    def __init__(self, url: str, body: str, status: int, headers: dict[str, str]) -> None:
        self.url = url
        self.arrived = 0
        self.in_flight = 0
        self.peak = 0
        self.dropped = 0
        self.arrivals: list[float] = []
        self.delay = 0.0
        self._failing = 0
        self._failure = 503
        self._body = body
        self._status = status
        self._headers = headers
        self._changed = asyncio.Event()
        self._permits: asyncio.Semaphore | None = None

    def hold(self) -> None:
        """Answer no request from now on until `release` lets it go."""
        self._permits = asyncio.Semaphore(0)

    def release(self, requests: int = 1) -> None:
        """Let that many held requests have their answer, the oldest first."""
        assert self._permits is not None, "the route is not held"
        for _ in range(requests):
            self._permits.release()

    def fail(self, requests: int, *, status: int = 503) -> None:
        """Answer that many requests from now on with an error."""
        self._failing = requests
        self._failure = status

    async def wait_arrived(self, requests: int) -> None:
        """Wait until that many requests have come in all."""
        await self._wait_until(lambda: self.arrived >= requests)

    async def wait_dropped(self, requests: int) -> None:
        """Wait until the client has given up that many requests in all."""
        await self._wait_until(lambda: self.dropped >= requests)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def answer(self) -> web.Response:
        """Answer one request."""
        self.arrived += 1
        self.arrivals.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self._changed.set()
        try:
            if self._permits is not None:
                await self._permits.acquire()
            await asyncio.sleep(self.delay)
            if self._failing:
                self._failing -= 1
                return web.Response(status=self._failure)
            return web.Response(text=self._body, status=self._status, headers=self._headers)
        except asyncio.CancelledError:
            # aiohttp cancels a handler whose client has closed the connection.
            self.dropped += 1
            raise
        finally:
            self.in_flight -= 1
            self._changed.set()


class LoopbackServer:
    """The routes of a server that is running at `url`."""

    def __init__(self, runner: web.AppRunner) -> None:
        self.url = ""
        self._routes: dict[str, Route] = {}
        self._runner = runner

    @property
    def open_connections(self) -> int:
        """How many connections clients have opened and not closed."""
        server = self._runner.server
        return 0 if server is None else len(server.connections)

    def route(
        self, path: str, body: str, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> Route:
        """Answer requests for a path with a text, whatever their parameters."""
        self._routes[path] = Route(self.url + path, body, status, headers or {})
        return self._routes[path]

    def json_route(self, path: str, value: object) -> Route:
        """Answer requests for a path with a value as JSON."""
        return self.route(path, json.dumps(value))

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request through its route."""
        route = self._routes.get(request.path)
        if route is None:
            raise web.HTTPNotFound
        return await route.answer()


@asynccontextmanager
async def running_server() -> AsyncIterator[LoopbackServer]:
    """Run a server on a free port of 127.0.0.1."""
    application = web.Application()
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=True, shutdown_timeout=0
    )
    server = LoopbackServer(runner)
    application.router.add_get("/{path:.*}", server.handle)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()
