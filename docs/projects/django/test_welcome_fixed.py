# test_welcome_fixed.py
import asyncio

import aldente
from django.test import AsyncRequestFactory

import welcome_fixed


@aldente.explore
async def test_one_mail(doubles, monkeypatch):
    monkeypatch.setattr(welcome_fixed, "welcomed", set())
    send = doubles.patch("views.mailer.send").returns(None).takes(0.1)

    async def click():
        await welcome_fixed.welcome(AsyncRequestFactory().get("/"), "ann")

    await asyncio.gather(click(), click())
    assert send.await_count == 1
