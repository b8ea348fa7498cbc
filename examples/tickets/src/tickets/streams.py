"""The feed as server-sent events and over a websocket."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import WebSocket, WebSocketDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tickets.box_office import BoxOffice
from tickets.feed import SeatsFeed, Subscription


@asynccontextmanager
async def listening(
    box_office: BoxOffice, feed: SeatsFeed, concert: int
) -> AsyncIterator[Subscription]:
    """Listen to a concert; the first number is how many seats are left now.

    Raises:
        UnknownConcert: there is none of this number.
    """
    with feed.subscribe(concert) as subscription:
        await box_office.tell(concert)
        yield subscription


async def seat_events(
    box_office: BoxOffice, feed: SeatsFeed, concert: int
) -> AsyncGenerator[str, None]:
    """Give one event for each change."""
    async with listening(box_office, feed, concert) as subscription:
        async for left in subscription:
            yield f"data: {json.dumps({'left': left})}\n\n"


class EventStream(StreamingResponse):
    """A response of server-sent events that does not leave its generator to the garbage collector.

    Starlette's own does, when the client has gone while something was being sent; the subscription
    would stay for as long.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until there are no more, or the client has gone."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def send_seats(websocket: WebSocket, subscription: Subscription) -> None:
    """Send a message for each change, until there are no more or the client has gone."""

    async def end_when_gone() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass  # what clients say is of no interest
        subscription.close()

    gone = asyncio.create_task(end_when_gone(), name="end when gone")
    try:
        async for left in subscription:
            await websocket.send_json({"left": left})
        if not gone.done():
            await websocket.close()
    except WebSocketDisconnect:
        pass  # it has gone while something was sent, or the server has closed the connection
    finally:
        gone.cancel()
        await asyncio.wait([gone])
    if not gone.cancelled():
        gone.result()
