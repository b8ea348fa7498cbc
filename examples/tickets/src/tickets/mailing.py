"""A queue of mails, and workers that send them."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from tickets.errors import MailFailed

_log = logging.getLogger("tickets.mail")

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0


@dataclass(frozen=True)
class Mail:
    """A mail to be sent.

    Attributes:
        key: what tells it from all others; the same one for the same mail.
        to: the address of the reader.
        text: what it says.
    """

    key: str
    to: str
    text: str


class Mailer(Protocol):
    """Who sends mails."""

    async def send(self, mail: Mail) -> None:
        """Send a mail.

        Raises:
            MailFailed: it was not sent; it may be tried again.
        """


class LoggingMailer:
    """Writes mails to the log, in place of a mail server."""

    async def send(self, mail: Mail) -> None:
        """Write a mail to the log."""
        _log.info("to %s: %s", mail.to, mail.text)


class Outbox(Protocol):
    """Who keeps the mails until they are sent."""

    async def unsent_mail(self, key: str) -> Mail | None:
        """Return a mail, or None if it was sent or given up."""

    async def end_mail(self, key: str, *, sent: bool) -> None:
        """Say of a mail that it was sent, or given up."""


class MailWorkers:
    """Send the mails of a queue, several at once; those that fail are tried again later.

    A mail is in the outbox until it is sent, so none is lost when the service ends; one that was
    under way then may be sent twice.

    Args:
        mailer: who sends them.
        outbox: who keeps them.
        workers: how many are sent at once.
        attempts: how often each is tried before it is given up.
    """

    def __init__(self, mailer: Mailer, outbox: Outbox, workers: int, attempts: int) -> None:
        self._mailer = mailer
        self._outbox = outbox
        self._workers = workers
        self._attempts = attempts
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        # Those in the queue, or in a worker's hand.
        self._waiting: set[str] = set()

    def put(self, key: str) -> None:
        """Have a mail of the outbox sent; one that waits already is sent once."""
        if key not in self._waiting:
            self._waiting.add(key)
            self._queue.put_nowait(key)

    async def run(self) -> None:
        """Send mails until we are cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"mail worker {number}")

    async def drain(self, seconds: float) -> bool:
        """Wait until all mails are sent or given up, so long at most; return whether they are."""
        try:
            async with asyncio.timeout(seconds):
                await self._queue.join()
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            mail = await self._outbox.unsent_mail(key)
            if mail is not None:
                sent = await self._deliver(mail)
                await self._outbox.end_mail(key, sent=sent)
            self._waiting.remove(key)
            self._queue.task_done()

    async def _deliver(self, mail: Mail) -> bool:
        for attempt in range(1, self._attempts + 1):
            try:
                await self._mailer.send(mail)
            except MailFailed as error:
                _log.warning("mail %s, attempt %d: %s", mail.key, attempt, error)
            else:
                return True
            if attempt < self._attempts:
                await asyncio.sleep(delay_after(attempt))
        _log.error("mail %s to %s was given up", mail.key, mail.to)
        return False


def delay_after(attempt: int) -> float:
    """Return how many seconds to wait after a failed attempt, counted from 1: 1, 2, 4, ... 60."""
    return min(FIRST_DELAY * 2.0 ** min(attempt - 1, 10), LONGEST_DELAY)
