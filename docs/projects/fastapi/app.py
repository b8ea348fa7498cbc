# app.py
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse


class Mailer:
    async def send(self, address: str, text: str) -> None:
        raise ConnectionError("a real mail server, which is not there in tests")


class Rates:
    async def of(self, currency: str) -> float:
        raise ConnectionError("a real bank, which is not there in tests")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.prices = {"penne": 10}  # say, a pool of connections
    yield
    app.state.prices.clear()


app = FastAPI(lifespan=lifespan)


@app.get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/prices/{name}")
async def price(
    name: str, rates: Annotated[Rates, Depends(Rates)], currency: str = "EUR"
) -> dict[str, float]:
    if name not in app.state.prices:
        raise HTTPException(404)
    if currency == "EUR":
        return {"price": app.state.prices[name]}
    try:
        async with asyncio.timeout(5):
            return {"price": app.state.prices[name] * await rates.of(currency)}
    except TimeoutError:
        raise HTTPException(504) from None


@app.post("/orders", status_code=202)
async def order(
    address: str, background: BackgroundTasks, mailer: Annotated[Mailer, Depends(Mailer)]
) -> None:
    background.add_task(mailer.send, address, "Thank you for your order.")


@app.get("/countdown")
async def countdown() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in (3, 2, 1):
            yield f"{number}\n"
            await asyncio.sleep(60)

    return StreamingResponse(lines(), media_type="text/plain")
