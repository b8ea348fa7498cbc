"""An application of FastAPI, which evaluates annotations with the names of their module."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import fastapi
from fastapi.responses import StreamingResponse


def application(notes: list[str]) -> fastapi.FastAPI:
    """With a lifespan, validated arguments, uploads, server-sent events and a websocket."""

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        notes.append("begin")
        await asyncio.sleep(0.01)
        yield
        notes.append("end")

    app = fastapi.FastAPI(lifespan=lifespan)
    app.get("/items/{number}")(item)
    app.post("/upload")(upload)
    app.get("/events")(events)
    app.websocket("/shout")(shout)
    return app


def twice(number: int) -> int:
    """FastAPI calls it in a thread of anyio, as it is no coroutine function."""
    return number * 2


async def item(number: int, doubled: Annotated[int, fastapi.Depends(twice)]) -> dict[str, int]:
    await asyncio.sleep(0.01)
    return {"item": number, "doubled": doubled}


async def upload(file: fastapi.UploadFile) -> dict[str, Any]:
    return {"name": file.filename, "size": len(await file.read())}


async def events() -> StreamingResponse:
    async def produce() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(produce(), media_type="text/event-stream")


async def shout(socket: fastapi.WebSocket) -> None:
    await socket.accept()
    with contextlib.suppress(fastapi.WebSocketDisconnect):
        while True:
            await socket.send_text((await socket.receive_text()).upper())
