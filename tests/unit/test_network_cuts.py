"""Where the simulated network cuts what is sent: never where chance would decide."""

from __future__ import annotations

import asyncio
import random

import pytest

from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._simulation.network.pipes import _places
from aldente._strategies.random import Random
from tests.conformance.bodies.with_connections import certificate
from tests.conformance.correct.serving import client_context, server_context, serving


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        (b"ping\nmore", 5),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 16),
        ("été\nà la plage".encode(), 6),
        # A character that the look ends in is text, too.
        (b"a\n" + "é".encode() * 20, 2),
        # Lines may announce what is none.
        (b"*2\r\n$4\r\nECHO\r\n$2\r\n\x00\xff\r\n", 4),
        # Nothing comes after the line, or no line is there.
        (b"ping\n", 2),
        (b"ping pong", 4),
        # What is no text has no lines.
        (b"\x00\x01\n\x02\x03\x04\x05\x06", 4),
        (b"\xff\xfe\nabcde", 4),
        # Two records of TLS, one, and a part of one.
        (b"\x17\x03\x03\x00\x02\n\n" + b"\x17\x03\x03\x00\x03\n\n\n", 7),
        (b"\x17\x03\x03\x00\x05ab\ncd", 5),
        (b"\x16\x03\x01\x01\x00ab\ncdef", 6),
    ],
)
def test_where_data_is_cut_inside(data: bytes, inside: int) -> None:
    """After its first line or record, or in the middle."""
    assert _places(data, 0) == [1, len(data) - 1, inside]


def test_what_is_encrypted_is_cut_in_the_middle() -> None:
    """Random bytes, as those of SSH, are not taken for lines."""
    chance = random.Random(1)
    for _ in range(20_000):
        assert _places(chance.randbytes(36), 0)[2] == 18


@pytest.mark.skipif(not certificate(), reason="Python's tests are not there")
def test_a_seed_gives_the_same_run_with_tls() -> None:
    """What is read at once does not depend on what encryption makes of it."""

    async def main() -> list[int]:
        sizes: list[int] = []

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                sizes.append(len(data))
            writer.close()

        async with serving(note, ssl=server_context()) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
            for _ in range(6):
                # Each of the two becomes a record of its own.
                writer.writelines([b"a" * 30, b"b" * 30])
                await asyncio.sleep(0.1)
            writer.close()
            await writer.wait_closed()
        return sizes

    found = set()
    for seed in range(6):
        runs = []
        for _ in range(5):
            strategy = Random(seed)
            strategy.start()
            run = simulate(main, strategy, RunSettings())
            assert run.error is None
            runs.append((run.result, run.choices, run.counts))
        assert all(each == runs[0] for each in runs)
        found.add(tuple(runs[0][0]))
    assert len(found) > 1
