"""What is done every few seconds."""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from tickets.box_office import BoxOffice

_log = logging.getLogger("tickets.scheduler")


async def tick_for_ever(box_office: BoxOffice, seconds: float) -> None:
    """Expire reservations, settle payments and send mails, every so many seconds."""
    while True:
        try:
            await box_office.expire()
            await box_office.settle()
            await box_office.send_mails()
        except SQLAlchemyError:
            _log.exception("the database has failed; the next tick tries again")
        await asyncio.sleep(seconds)
