"""Bugs of programs with datagrams, which may overtake each other and come late."""

from __future__ import annotations

import asyncio
from typing import Any


class _Queue(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived.put_nowait((data, addr))


async def _endpoint(**options: Any) -> tuple[Any, _Queue]:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(_Queue, **options)


def _taken(queue: asyncio.Queue[Any]) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def older_position_wins(is_fixed: bool) -> None:
    """A tracker keeps the position that came last, which may not be the newest."""
    transport, protocol = await _endpoint(local_addr=("127.0.0.1", 0))
    sender, _ = await _endpoint(remote_addr=transport.get_extra_info("sockname"))
    position, newest = "", 0

    async def track() -> None:
        nonlocal position, newest
        for _ in range(4):
            data, _ = await protocol.arrived.get()
            number, place = data.decode().split()
            if not is_fixed or int(number) > newest:
                position, newest = place, int(number)

    tracking = asyncio.create_task(track())
    for number, place in enumerate(("home", "street", "tram", "work"), 1):
        sender.sendto(f"{number} {place}".encode())
        await asyncio.sleep(0)
    await tracking
    assert position == "work"
    sender.close()
    transport.close()


async def fragments_put_together_as_they_come(is_fixed: bool) -> None:
    """A file comes in fragments, which the receiver appends in the order of their arrival."""
    transport, protocol = await _endpoint(local_addr=("127.0.0.1", 0))
    sender, _ = await _endpoint(remote_addr=transport.get_extra_info("sockname"))
    for number in range(5):
        sender.sendto(bytes([number]) + b"abcde"[number : number + 1])
    fragments = [(await protocol.arrived.get())[0] for _ in range(5)]
    if is_fixed:
        fragments.sort()
    assert b"".join(each[1:] for each in fragments) == b"abcde"
    sender.close()
    transport.close()


async def answers_in_the_order_of_questions(is_fixed: bool) -> None:
    """A resolver asks for two names at once, and takes the first answer for that to the first."""
    known = {b"a": b"10.0.0.1", b"b": b"10.0.0.2"}
    transport, server = await _endpoint(local_addr=("127.0.0.1", 0))
    client, answers = await _endpoint(remote_addr=transport.get_extra_info("sockname"))

    async def serve() -> None:
        for _ in known:
            name, source = await server.arrived.get()
            transport.sendto(name + b"=" + known[name], source)

    serving = asyncio.create_task(serve())
    found: dict[bytes, bytes] = {}
    for name in known:
        client.sendto(name)
    for name in known:
        asked, _, address = (await answers.arrived.get())[0].partition(b"=")
        found[asked if is_fixed else name] = address
    await serving
    assert found == known
    client.close()
    transport.close()


async def split_brain(is_fixed: bool) -> None:
    """Each of three nodes leads if it hears of no greater one, and messages may come late."""
    ends = [await _endpoint(local_addr=("127.0.0.1", 0)) for _ in range(3)]
    addresses = [transport.get_extra_info("sockname") for transport, _ in ends]
    leaders: list[int] = []

    async def node(number: int) -> None:
        transport, protocol = ends[number]
        for address in addresses:
            if address != addresses[number]:
                transport.sendto(bytes([number]), address)
        await asyncio.sleep(0.05)
        heard = [data[0] for data, _ in _taken(protocol.arrived)]
        if is_fixed and len(heard) < 2:
            # Some node was not heard: it may be greater.
            return
        if all(other < number for other in heard):
            leaders.append(number)

    await asyncio.gather(*(node(number) for number in range(3)))
    assert len(leaders) <= 1
    for transport, _ in ends:
        transport.close()


async def late_heartbeat(is_fixed: bool) -> None:
    """A standby takes over as a heartbeat is late, of a primary that goes on writing."""
    transport, protocol = await _endpoint(local_addr=("127.0.0.1", 0))
    sender, _ = await _endpoint(remote_addr=transport.get_extra_info("sockname"))
    epoch = 1
    written: list[str] = []

    def write(who: str, own: int) -> None:
        if not is_fixed or own == epoch:
            written.append(who)

    async def primary() -> None:
        for _ in range(6):
            sender.sendto(b"alive")
            write("primary", 1)
            await asyncio.sleep(0.1)

    async def standby() -> None:
        nonlocal epoch
        for _ in range(4):
            await asyncio.sleep(0.12)
            if not _taken(protocol.arrived):
                epoch = 2
                write("standby", 2)
                return

    await asyncio.gather(primary(), standby())
    assert "standby" not in written or "primary" not in written[written.index("standby") :]
    sender.close()
    transport.close()
