"""Clients of stores and brokers, redis-py and nats-py, with small servers of their protocols."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.conformance.correct.serving import client_context, close, server_context, serving

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Redis:
    """A server of RESP, version 2, that knows a few commands."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.subscribers: dict[bytes, list[Writer]] = {}

    async def handle(self, reader: Reader, writer: Writer) -> None:
        queued: list[list[bytes]] | None = None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                command = await self._command(reader)
                name = command[0].upper()
                if name == b"MULTI":
                    queued, reply = [], b"+OK\r\n"
                elif name == b"EXEC" and queued is not None:
                    replies = [self._do(each, writer) for each in queued]
                    queued, reply = None, b"*%d\r\n" % len(replies) + b"".join(replies)
                elif queued is not None:
                    queued.append(command)
                    reply = b"+QUEUED\r\n"
                else:
                    reply = self._do(command, writer)
                writer.write(reply)
                await writer.drain()
        for each in self.subscribers.values():
            if writer in each:
                each.remove(writer)
        await close(writer)

    async def _command(self, reader: Reader) -> list[bytes]:
        count = int((await reader.readuntil(b"\r\n"))[1:])
        words = []
        for _ in range(count):
            length = int((await reader.readuntil(b"\r\n"))[1:])
            words.append((await reader.readexactly(length + 2))[:-2])
        return words

    def _do(self, command: list[bytes], writer: Writer) -> bytes:
        match [command[0].upper(), *command[1:]]:
            case [b"SET", key, value, *_]:
                self.values[key] = value
                return b"+OK\r\n"
            case [b"GET", key]:
                return _bulk(self.values.get(key))
            case [b"INCRBY", key, by]:
                self.values[key] = b"%d" % (int(self.values.get(key, b"0")) + int(by))
                return b":%s\r\n" % self.values[key]
            case [b"SUBSCRIBE", channel]:
                self.subscribers.setdefault(channel, []).append(writer)
                return b"*3\r\n" + _bulk(b"subscribe") + _bulk(channel) + b":1\r\n"
            case [b"PUBLISH", channel, text]:
                subscribers = self.subscribers.get(channel, [])
                for each in subscribers:
                    each.write(b"*3\r\n" + _bulk(b"message") + _bulk(channel) + _bulk(text))
                return b":%d\r\n" % len(subscribers)
            case [b"PING", *_]:
                return b"+PONG\r\n"
            case [b"CLIENT", *_]:
                return b"+OK\r\n"
            case [name, *_]:
                return b"-ERR unknown command '%s'\r\n" % name
        raise AssertionError(command)


def _bulk(text: bytes | None) -> bytes:
    return b"$-1\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text), text)


@contextlib.asynccontextmanager
async def _serving(
    handle: Callable[[Reader, Writer], Awaitable[None]], is_encrypted: bool
) -> AsyncIterator[int]:
    options: dict[str, Any] = {"ssl": server_context()} if is_encrypted else {}
    async with serving(handle, **options) as port:
        yield port


async def redis_client(is_encrypted: bool) -> Any:
    """Commands of many tasks on a pool, a pipeline and a subscription."""
    import redis.asyncio

    # What its annotations say of commands is also true of clients without asyncio.
    make: Any = redis.asyncio.Redis
    async with _serving(Redis().handle, is_encrypted) as port:
        options: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": "none"} if is_encrypted else {}
        if is_encrypted:
            options["ssl_check_hostname"] = False
        async with make(
            host="localhost", port=port, protocol=2, max_connections=3, **options
        ) as client:

            async def work(name: str) -> bytes | None:
                await client.set(name, name * 40)
                await client.incrby("count", 2)
                got: bytes | None = await client.get(name)
                return got

            got = await asyncio.gather(*map(work, "ab"))
            assert got == [b"a" * 40, b"b" * 40]
            async with client.pipeline(transaction=True) as pipe:
                found = await pipe.incrby("count", 1).get("none").execute()
            assert found == [5, None]
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe("news")
                await subscription.get_message(timeout=5)
                assert await client.publish("news", "hello") == 1
                message = await subscription.get_message(timeout=5)
            assert message["data"] == b"hello"
    return got, found


class Nats:
    """A server of NATS that passes messages on; with TLS from the first byte but one on."""

    def __init__(self, is_encrypted: bool) -> None:
        self.is_encrypted = is_encrypted
        self.subscriptions: list[tuple[Writer, bytes, bytes]] = []

    async def handle(self, reader: Reader, writer: Writer) -> None:
        facts = {"max_payload": 1 << 20, "headers": True, "tls_required": self.is_encrypted}
        writer.write(b"INFO " + json.dumps(facts).encode() + b"\r\n")
        if self.is_encrypted:
            await writer.start_tls(server_context())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                await self._obey(line.split(), reader, writer)
        self.subscriptions = [each for each in self.subscriptions if each[0] is not writer]
        await close(writer)

    async def _obey(self, words: list[bytes], reader: Reader, writer: Writer) -> None:
        match words:
            case [b"PING"]:
                writer.write(b"PONG\r\n")
            case [b"SUB", subject, *_, number]:
                self.subscriptions.append((writer, subject, number))
            case [b"UNSUB", number, *_]:
                self.subscriptions = [
                    each for each in self.subscriptions if (each[0], each[2]) != (writer, number)
                ]
            case [b"PUB", subject, *reply, size]:
                text = await reader.readexactly(int(size) + 2)
                for to, pattern, number in self.subscriptions:
                    if pattern == subject or subject.startswith(pattern.removesuffix(b"*")):
                        to.write(
                            b" ".join([b"MSG", subject, number, *reply, size]) + b"\r\n" + text
                        )


async def nats_client(is_encrypted: bool) -> Any:
    """Two clients: one answers requests of the other, and a subscription gets all in order."""
    import nats

    async with _serving(Nats(is_encrypted).handle, False) as port:
        options: dict[str, Any] = {"allow_reconnect": False}
        if is_encrypted:
            options |= {"tls": client_context(), "tls_hostname": "localhost"}
        asking = await nats.connect(f"nats://localhost:{port}", **options)
        answering = await nats.connect(f"nats://localhost:{port}", **options)

        async def shout(message: Any) -> None:
            await message.respond(message.data.upper())

        await answering.subscribe("shout", cb=shout)
        numbers = await answering.subscribe("numbers")
        # Not flush(): in nats-py 2.16 its PING overtakes what was not sent yet. This does not.
        assert (await answering.request("shout", b"ready", timeout=60)).data == b"READY"
        replies = await asyncio.gather(
            *(asking.request("shout", text, timeout=60) for text in (b"one", b"two"))
        )
        assert [each.data for each in replies] == [b"ONE", b"TWO"]
        for number in range(3):
            await asking.publish("numbers", b"%d" % number)
        got = [(await numbers.next_msg(timeout=60)).data for _ in range(3)]
        assert got == [b"0", b"1", b"2"]
        await asking.drain()
        await answering.close()
    return got
