"""Clients and servers of mail, of remote calls and of shells: aiosmtpd, grpclib, asyncssh."""

from __future__ import annotations

import asyncio
import email.message
from typing import Any

from tests.conformance.correct.serving import client_context, server_context


async def mail(is_encrypted: bool) -> Any:
    """Mails of aiosmtplib come to a handler of aiosmtpd; encrypted from STARTTLS on."""
    import aiosmtplib
    from aiosmtpd.smtp import SMTP

    received = []

    class Keep:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            await asyncio.sleep(0.01)
            received.append((envelope.rcpt_tos, envelope.content))
            return "250 Message accepted for delivery"

    def protocol() -> Any:
        context = server_context() if is_encrypted else None
        return SMTP(
            Keep(), hostname="localhost", tls_context=context, require_starttls=is_encrypted
        )

    server = await asyncio.get_running_loop().create_server(protocol, "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    message = email.message.EmailMessage()
    message["From"], message["Subject"] = "one@example.com", "hello"
    message.set_content("line\n.\nline\n" * 20)

    async def send(to: str) -> None:
        await aiosmtplib.send(
            message,
            recipients=[to],
            hostname="localhost",
            port=port,
            start_tls=is_encrypted,
            tls_context=client_context() if is_encrypted else None,
            local_hostname="localhost",
        )

    await asyncio.gather(*map(send, ("two@example.com", "three@example.com")))
    server.close()
    await server.wait_closed()
    assert sorted(to for (to,), _ in received) == ["three@example.com", "two@example.com"]
    assert all(text.count(b"\r\n..\r\n") == 0 for _, text in received)
    assert all(text.count(b"line\r\n.\r\nline") == 20 for _, text in received)
    return [to for (to,), _ in received]


class _Text:
    """A codec of grpclib for text, so that no messages need be generated."""

    __content_subtype__ = "text"

    def encode(self, message: str, message_type: Any) -> bytes:
        return message.encode()

    def decode(self, data: bytes, message_type: Any) -> str:
        return data.decode()


class _Shouting:
    """A service of grpclib with a simple call and one of streams."""

    async def shout(self, stream: Any) -> None:
        await stream.send_message((await stream.recv_message()).upper())

    async def each(self, stream: Any) -> None:
        async for text in stream:
            await stream.send_message(text.upper())
            await asyncio.sleep(0.01)

    def __mapping__(self) -> dict[str, Any]:
        from grpclib.const import Cardinality, Handler

        return {
            "/Shouting/shout": Handler(self.shout, Cardinality.UNARY_UNARY, str, str),
            "/Shouting/each": Handler(self.each, Cardinality.STREAM_STREAM, str, str),
        }


async def grpc(is_encrypted: bool) -> Any:
    """Calls at the same time, and streams in both directions, on one connection."""
    from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
    from grpclib.server import Server

    context = server_context() if is_encrypted else None
    if context is not None:
        context.set_alpn_protocols(["h2"])
    codec: Any = _Text()
    server = Server([_Shouting()], codec=codec)
    await server.start("127.0.0.1", 50051, ssl=context)
    options: dict[str, Any] = {}
    if is_encrypted:
        options["ssl"] = client_context()
        options["ssl"].set_alpn_protocols(["h2"])
    async with Channel("127.0.0.1", 50051, codec=codec, **options) as channel:
        shout: Any = UnaryUnaryMethod(channel, "/Shouting/shout", str, str)
        got = await asyncio.gather(*map(shout, ("one", "two", "three" * 50)))
        assert got == ["ONE", "TWO", "THREE" * 50]
        each: Any = StreamStreamMethod(channel, "/Shouting/each", str, str)
        async with each.open() as stream:
            await stream.send_message("a")
            await stream.send_message("b", end=True)
            assert [text async for text in stream] == ["A", "B"]
    server.close()
    await server.wait_closed()
    return got


async def shell(is_encrypted: bool) -> Any:
    """Commands in sessions of asyncssh, on one connection, which SSH always encrypts."""
    import asyncssh

    async def shout(process: Any) -> None:
        text = await process.stdin.read()
        process.stdout.write(f"{process.command}: {text.upper()}")
        process.exit(3)

    class Open(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        asyncssh.listen(
            "127.0.0.1", 8022, server_host_keys=[key], server_factory=Open, process_factory=shout
        ),
        asyncssh.connect(
            "127.0.0.1", 8022, known_hosts=None, username="me", client_keys=None, config=None
        ) as connection,
    ):
        results = await asyncio.gather(
            *(connection.run(name, input=name * 100) for name in ("a", "b"))
        )
    got = [(each.stdout, each.exit_status) for each in results]
    assert got == [(f"{name}: {name.upper() * 100}", 3) for name in ("a", "b")]
    return got
