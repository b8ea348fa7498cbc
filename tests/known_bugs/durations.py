"""Bugs that need something to take longer than it usually does: past a time-out, or for long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable


async def closed_twice(is_fixed: bool) -> None:
    """A user closes a connection while its reader is closing it, which takes a goodbye."""
    is_open = True
    closed = 0

    async def close() -> None:
        nonlocal closed, is_open
        if not is_open:
            return
        if is_fixed:
            is_open = False
        await asyncio.sleep(0.05)
        is_open = False
        closed += 1

    async def reader() -> None:
        await asyncio.sleep(0.4)
        await close()

    async def user() -> None:
        await asyncio.sleep(0.6)
        await close()

    await asyncio.gather(reader(), user())
    assert closed == 1


class _Pool:
    """A pool with one connection; a waiter gets it by a future."""

    def __init__(self) -> None:
        self.free = 0
        self.waiters: list[asyncio.Future[None]] = []

    def put_back(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1

    async def take(self, is_fixed: bool) -> None:
        if self.free:
            self.free -= 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if is_fixed and waiter.done() and not waiter.cancelled():
                self.put_back()
            raise
        finally:
            self.waiters.remove(waiter)


async def lost_at_time_out(is_fixed: bool) -> None:
    """A pool hands a connection over in the moment in which the waiter's time is over."""
    pool = _Pool()

    async def holder() -> None:
        await asyncio.sleep(0.7)
        pool.put_back()

    async def waiter() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await pool.take(is_fixed)
            pool.put_back()

    await asyncio.gather(holder(), waiter())
    assert pool.free == 1


async def paid_again_after_time_out(is_fixed: bool) -> None:
    """A payment is sent again when its answer is late, though the first one has been made."""
    payments: dict[str, int] = {}

    async def pay(key: str) -> None:
        payments[key] = payments.get(key, 0) + 1
        await asyncio.sleep(0.7)

    for attempt in range(2):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await pay("order 1" if not is_fixed else f"order 1, attempt {attempt}")
            break
    assert max(payments.values()) == 1


async def flush_after_close(is_fixed: bool) -> None:
    """A log is closed when its last flush should be over, which takes longer once."""
    written: list[str] = []
    is_open = True

    async def flush(line: str) -> None:
        await asyncio.sleep(0.5)
        if is_open:
            written.append(line)

    async def close(flushes: list[asyncio.Task[None]]) -> None:
        nonlocal is_open
        if is_fixed:
            await asyncio.gather(*flushes)
        else:
            await asyncio.sleep(0.6)
        is_open = False

    async def program() -> None:
        flushes = []
        for number in range(4):
            flushes.append(asyncio.create_task(flush(f"line {number}")))
            await asyncio.sleep(0.2)
        await close(flushes)
        await asyncio.gather(*flushes)

    await asyncio.create_task(program())
    assert len(written) == 4


async def failed_over_too_early(is_fixed: bool) -> None:
    """A standby takes over when it has missed heartbeats of a primary that is only slow."""
    last_beat = 0.0
    is_fenced = False
    writers: set[str] = set()
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def primary() -> None:
        nonlocal last_beat
        for _ in range(5):
            await asyncio.sleep(1.0)
            if is_fixed and is_fenced:
                writers.discard("primary")
                return
            last_beat = loop.time() - begin
            writers.add("primary")
            assert len(writers) == 1, writers

    async def standby() -> None:
        nonlocal is_fenced
        for _ in range(5):
            await asyncio.sleep(1.05)
            if loop.time() - begin - last_beat > 1.5:
                is_fenced = True
                if is_fixed:
                    writers.clear()
                writers.add("standby")
                return

    await asyncio.gather(primary(), standby())


async def dispatched_out_of_order(is_fixed: bool) -> None:
    """Updates of one row go to three workers, and a slow one writes the older value last."""
    row = 0
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        nonlocal row
        while True:
            version = await queue.get()
            await asyncio.sleep(0.3)
            if not is_fixed or version > row:
                row = version
            queue.task_done()

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for version in range(1, 4):
        queue.put_nowait(version)
        await asyncio.sleep(0.05)
    await queue.join()
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert row == 3


async def lock_released_late(is_fixed: bool) -> None:
    """A lock expires while its owner still works, who then releases that of the next owner."""
    owner: str | None = None
    inside: list[str] = []

    async def expire(name: str) -> None:
        nonlocal owner
        await asyncio.sleep(5.0)
        if owner == name:
            owner = None

    async def client(name: str, pause: float) -> None:
        nonlocal owner
        await asyncio.sleep(pause)
        while owner is not None:
            await asyncio.sleep(0.5)
        owner = name
        expiry = asyncio.create_task(expire(name))
        await asyncio.sleep(3.0)
        if is_fixed and owner != name:
            return
        inside.append(name)
        assert owner == name, (owner, name)
        owner = None
        expiry.cancel()

    await asyncio.gather(client("a", 0.0), client("b", 1.0), client("c", 2.0))


async def debounced_twice(is_fixed: bool) -> None:
    """Key strokes within 0.3 s are sent together, though one stroke may come late."""
    sent: list[str] = []
    typed: list[str] = []
    timer: asyncio.TimerHandle | None = None
    loop = asyncio.get_running_loop()

    def send() -> None:
        sent.append("".join(typed))
        if is_fixed:
            typed.clear()

    async def keyboard() -> None:
        nonlocal timer
        for key in "abc":
            typed.append(key)
            if timer is not None:
                timer.cancel()
            timer = loop.call_later(0.3, send)
            await asyncio.sleep(0.2)

    await asyncio.create_task(keyboard())
    await asyncio.sleep(1)
    assert "".join(sent) == "abc"


async def stale_refresh(is_fixed: bool) -> None:
    """A slow refresh writes what it read before the value was changed."""
    stored, cached = "old", ""
    version = 0

    async def refresh() -> None:
        nonlocal cached
        read, seen = stored, version
        await asyncio.sleep(0.8)
        if not is_fixed or seen == version:
            cached = read

    async def change() -> None:
        nonlocal stored, cached, version
        await asyncio.sleep(1.2)
        stored = "new"
        version += 1
        cached = stored

    await asyncio.gather(refresh(), change())
    assert cached == "new"


async def stopped_half_way(is_fixed: bool) -> None:
    """A server gives requests five seconds before it cancels them, and one is between two writes."""
    accounts = {"a": 10, "b": 0}

    async def transfer() -> None:
        if is_fixed:
            await asyncio.sleep(4.0)
            accounts["a"] -= 5
            accounts["b"] += 5
        else:
            accounts["a"] -= 5
            await asyncio.sleep(4.0)
            accounts["b"] += 5

    request = asyncio.create_task(transfer())
    _, late = await asyncio.wait([request], timeout=5.0)
    for task in late:
        task.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert sum(accounts.values()) == 10


async def reconnected_twice(is_fixed: bool) -> None:
    """A monitor reconnects when a pong is late, and so does the reader that gets it."""
    connections = 1
    pong = asyncio.Event()

    async def reconnect() -> None:
        nonlocal connections
        connections += 1

    async def server() -> None:
        await asyncio.sleep(0.6)
        pong.set()

    async def monitor() -> None:
        nonlocal connections
        try:
            async with asyncio.timeout(1.0):
                await pong.wait()
        except TimeoutError:
            if is_fixed:
                connections -= 1
            await reconnect()

    await asyncio.gather(server(), monitor())
    assert connections == 1


async def charged_by_both(is_fixed: bool) -> None:
    """A second request is made when the first has taken 0.5 s, and both have an effect."""
    charges: list[str] = []

    async def charge(server: str) -> str:
        await asyncio.sleep(0.4)
        if not (is_fixed and charges):
            charges.append(server)
        return server

    async def hedged() -> str:
        first = asyncio.create_task(charge("a"))
        done, _ = await asyncio.wait([first], timeout=0.5)
        if done:
            return first.result()
        second = asyncio.create_task(charge("b"))
        done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(first, second)
        return next(iter(done)).result()

    await hedged()
    assert len(charges) == 1


async def taken_in_the_last_moment(is_fixed: bool) -> None:
    """A consumer's own time-out drops the item that came in the same moment."""
    items: list[int] = []
    waiter: asyncio.Future[int] | None = None
    taken: list[int] = []
    loop = asyncio.get_running_loop()

    def put(item: int) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(item)
        else:
            items.append(item)

    async def take(seconds: float) -> None:
        nonlocal waiter
        waiter = own = loop.create_future()
        is_late = False

        def expire() -> None:
            nonlocal is_late
            is_late = True
            if not own.done():
                own.cancel()

        timer = loop.call_later(seconds, expire)
        with contextlib.suppress(asyncio.CancelledError):
            item = await own
            if is_fixed or not is_late:
                taken.append(item)
        timer.cancel()

    async def producer() -> None:
        await asyncio.sleep(1.5)
        put(1)

    await asyncio.gather(producer(), take(2.0))
    assert len(items) + len(taken) == 1


async def probed_by_all(is_fixed: bool) -> None:
    """A circuit breaker lets one probe through, and forgets that it does while the probe is slow."""
    state = "open"
    is_probing = False
    probes = 0
    at_once = 0

    async def call(pause: float) -> None:
        nonlocal state, probes, at_once, is_probing
        await asyncio.sleep(pause)
        if state == "closed" or (is_fixed and is_probing):
            return
        is_probing = True
        probes += 1
        assert probes == 1, "two probes at once"
        await asyncio.sleep(0.4)
        probes -= 1
        state = "closed"

    await asyncio.gather(*(call(pause) for pause in (1.0, 1.5, 2.0)))


async def retried_while_running(is_fixed: bool) -> None:
    """A job that has not reported after a second is given to another worker."""
    results: list[str] = []
    is_done: asyncio.Event = asyncio.Event()

    async def work(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
        if is_fixed and is_done.is_set():
            return
        results.append(name)
        is_done.set()

    async def supervise(start: Callable[[str], Awaitable[None]]) -> None:
        jobs = [asyncio.ensure_future(start("first"))]
        try:
            await asyncio.wait_for(is_done.wait(), 1.0)
        except TimeoutError:
            jobs.append(asyncio.ensure_future(start("second")))
        await asyncio.gather(*jobs)

    await supervise(work)
    assert len(results) == 1
