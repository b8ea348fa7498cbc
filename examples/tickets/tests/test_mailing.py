"""The queue of mails, and its workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aldente
import pytest

from conftest import AnyDouble
from tickets.errors import MailFailed
from tickets.mailing import Mail, MailWorkers, delay_after


class Outbox:
    """An outbox in memory, in place of the database."""

    def __init__(self, count: int) -> None:
        self.unsent = {key: Mail(key, "ann@example.org", "hello") for key in map(str, range(count))}
        self.given_up: list[str] = []

    async def unsent_mail(self, key: str) -> Mail | None:
        await asyncio.sleep(0.01)
        return self.unsent.get(key)

    async def end_mail(self, key: str, *, sent: bool) -> None:
        await asyncio.sleep(0.01)
        del self.unsent[key]
        if not sent:
            self.given_up.append(key)


@pytest.fixture
def outbox() -> Outbox:
    """Five mails."""
    return Outbox(5)


@pytest.fixture
def workers(mailer: AnyDouble, outbox: Outbox) -> MailWorkers:
    """Two workers, which try each mail three times."""
    return MailWorkers(mailer, outbox, workers=2, attempts=3)


@asynccontextmanager
async def at_work(workers: MailWorkers) -> AsyncIterator[None]:
    """Have the workers work, and stop them in the end, whatever they do."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(workers.run(), name="mails")
        yield
        task.cancel()


def sent(mailer: AnyDouble) -> list[str]:
    """The keys of the mails that the mailer has sent, in order."""
    return sorted(call.args[0].key for call in mailer.send.timeline if call.outcome == "returned")


@aldente.explore(runs=30)
async def test_all_are_sent_once(workers: MailWorkers, outbox: Outbox, mailer: AnyDouble) -> None:
    """Each mail is sent once, no more at once than there are workers, though it is put twice."""
    mailer.send.takes(1)
    async with at_work(workers):
        for key in [*outbox.unsent, *outbox.unsent]:
            workers.put(key)
        assert await workers.drain(60)

    assert sent(mailer) == ["0", "1", "2", "3", "4"]
    assert mailer.send.peak_concurrency == 2
    assert not outbox.unsent


async def test_a_failure_is_tried_again(
    workers: MailWorkers, outbox: Outbox, mailer: AnyDouble, clock: aldente.Clock
) -> None:
    """The waits in between grow."""
    mailer.send.returns_each(MailFailed(), MailFailed(), None)
    async with at_work(workers):
        workers.put("0")
        assert await workers.drain(60)

    assert clock.elapsed == pytest.approx(1 + 2, abs=0.05)
    assert outbox.given_up == []


async def test_it_is_given_up_in_the_end(
    workers: MailWorkers, outbox: Outbox, mailer: AnyDouble
) -> None:
    """What can't be sent is a dead letter, and holds up nothing."""
    mailer.send.calls(fail_for("0"))
    async with at_work(workers):
        for key in outbox.unsent:
            workers.put(key)
        assert await workers.drain(60)

    assert outbox.given_up == ["0"]
    assert not outbox.unsent


def fail_for(key: str):  # type: ignore[no-untyped-def]
    """Return a mailer that can't send one mail."""

    async def send(mail: Mail) -> None:
        if mail.key == key:
            raise MailFailed

    return send


async def test_the_wait_is_limited() -> None:
    """However often it has failed, it is a minute at most."""
    assert [delay_after(attempt) for attempt in (1, 2, 3, 7, 5000)] == [1, 2, 4, 60, 60]


async def test_draining_is_limited(
    workers: MailWorkers, outbox: Outbox, mailer: AnyDouble, clock: aldente.Clock
) -> None:
    """A mailer that does not answer holds up the end for its seconds."""
    mailer.send.never_returns()
    async with at_work(workers):
        workers.put("0")
        assert not await workers.drain(10)

    assert clock.elapsed == 10
    assert "0" in outbox.unsent


@aldente.explore(runs=15)
async def test_the_end_loses_no_mail(
    workers: MailWorkers, outbox: Outbox, mailer: AnyDouble
) -> None:
    """Whenever the workers are stopped, what was not sent is in the outbox."""
    mailer.send.takes(1)
    async with at_work(workers):
        for key in outbox.unsent:
            workers.put(key)
        await workers.drain(1.5)

    assert {*sent(mailer), *outbox.unsent} == {"0", "1", "2", "3", "4"}


@aldente.explore(runs=15)
async def test_the_next_start_sends_the_rest(
    workers: MailWorkers, outbox: Outbox, mailer: AnyDouble
) -> None:
    """What one start has not sent, the next one does."""
    mailer.send.takes(1)
    for _ in range(2):
        async with at_work(workers):
            for key in outbox.unsent:
                workers.put(key)
            await workers.drain(2.5)
        workers = MailWorkers(mailer, outbox, workers=2, attempts=3)
    async with at_work(workers):
        for key in outbox.unsent:
            workers.put(key)
        await workers.drain(20)

    assert set(sent(mailer)) == {"0", "1", "2", "3", "4"}
