# test_welcome.py
import asyncio

import aldente
from django.test import AsyncRequestFactory

import welcome


@aldente.explore
async def test_one_mail(doubles, monkeypatch):
    monkeypatch.setattr(welcome, "welcomed", set())
    send = doubles.patch("views.mailer.send").returns(None).takes(0.1)

    async def click(after):
        await asyncio.sleep(after)
        await welcome.welcome(AsyncRequestFactory().get("/"), "ann")

    await asyncio.gather(click(0), click(0.15))
    assert send.await_count == 1
