"""Concerts, reservations and unsent mails in a database."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tickets.errors import NotHeld, SoldOut, UnknownConcert, UnknownReservation
from tickets.mailing import Mail

HELD = "held"
PAYING = "being paid"
PAID = "paid"
EXPIRED = "expired"


class Base(DeclarativeBase):
    """What all tables have in common."""


class ConcertRow(Base):
    """A concert."""

    __tablename__ = "concerts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    seats: Mapped[int]
    left: Mapped[int]


class ReservationRow(Base):
    """A reservation of one seat."""

    __tablename__ = "reservations"

    key: Mapped[str] = mapped_column(primary_key=True)
    concert: Mapped[int] = mapped_column(index=True)
    email: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    expires_at: Mapped[float]
    cents: Mapped[int | None]


class MailRow(Base):
    """A mail that is still to be sent, or a dead letter."""

    __tablename__ = "mails"

    key: Mapped[str] = mapped_column(primary_key=True)
    to: Mapped[str]
    text: Mapped[str]
    given_up: Mapped[bool] = mapped_column(default=False)


@dataclass(frozen=True)
class Concert:
    """A concert: its number, its title, how many seats it has, and how many are left."""

    id: int
    title: str
    seats: int
    left: int


@dataclass(frozen=True)
class Reservation:
    """A reservation of one seat.

    Attributes:
        key: what tells it from all others.
        concert: the number of the concert.
        email: who has reserved it.
        state: one of `HELD`, `PAYING`, `PAID` and `EXPIRED`.
        expires_at: until when it is held, in seconds since 1970.
        cents: what is paid for it, once that has begun.
    """

    key: str
    concert: int
    email: str
    state: str
    expires_at: float
    cents: int | None


class Store:
    """The database.

    Args:
        address: where it is, for SQLAlchemy.
    """

    def __init__(self, address: str) -> None:
        self._engine: AsyncEngine = create_async_engine(address)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def open(self) -> None:
        """Make the tables that are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def add_concert(self, title: str, seats: int) -> Concert:
        """Add a concert, unless there is one of this title; return it."""
        async with self._sessions.begin() as session:
            row = await session.scalar(select(ConcertRow).where(ConcertRow.title == title))
            if row is None:
                row = ConcertRow(title=title, seats=seats, left=seats)
                session.add(row)
                await session.flush()
            return _concert(row)

    async def concerts(self) -> list[Concert]:
        """Return all concerts."""
        async with self._sessions() as session:
            rows = await session.scalars(select(ConcertRow).order_by(ConcertRow.id))
            return [_concert(row) for row in rows]

    async def concert(self, number: int) -> Concert:
        """Return a concert.

        Raises:
            UnknownConcert: there is none of this number.
        """
        async with self._sessions() as session:
            row = await session.get(ConcertRow, number)
        if row is None:
            raise UnknownConcert(number)
        return _concert(row)

    async def reservation(self, key: str) -> Reservation:
        """Return a reservation.

        Raises:
            UnknownReservation: there is none of this key.
        """
        async with self._sessions() as session:
            row = await session.get(ReservationRow, key)
        if row is None:
            raise UnknownReservation(key)
        return _reservation(row)

    async def reserve(self, concert: int, email: str, seconds: float) -> Reservation:
        """Hold a seat for so many seconds.

        Raises:
            UnknownConcert: there is none of this number.
            SoldOut: no seat is left.
        """
        row = ReservationRow(
            key=str(uuid.uuid4()),
            concert=concert,
            email=email,
            state=HELD,
            expires_at=time.time() + seconds,
        )
        async with self._sessions.begin() as session:
            # One statement looks and takes: nobody comes in between.
            taken = await session.scalar(
                update(ConcertRow)
                .where(ConcertRow.id == concert, ConcertRow.left > 0)
                .values(left=ConcertRow.left - 1)
                .returning(ConcertRow.id)
            )
            if taken is None:
                if await session.get(ConcertRow, concert) is None:
                    raise UnknownConcert(concert)
                raise SoldOut(concert)
            session.add(row)
        return _reservation(row)

    async def begin_payment(self, key: str, cents: int) -> Reservation:
        """Mark a reservation as being paid, so that it does not expire, and is not paid twice.

        Raises:
            UnknownReservation: there is none of this key.
            NotHeld: it has expired, is being paid, or was paid.
        """
        async with self._sessions.begin() as session:
            row = await session.scalar(
                update(ReservationRow)
                .where(
                    ReservationRow.key == key,
                    ReservationRow.state == HELD,
                    ReservationRow.expires_at > time.time(),
                )
                .values(state=PAYING, cents=cents)
                .returning(ReservationRow)
            )
        if row is not None:
            return _reservation(row)
        found = await self.reservation(key)
        raise NotHeld(key, EXPIRED if found.state == HELD else found.state)

    async def end_payment(self, key: str, confirmation: Mail | None) -> bool:
        """Say how the payment of a reservation has ended, and return whether we are the first.

        Args:
            key: the reservation.
            confirmation: the mail to put into the outbox, if it was paid; if not, it is held again.
        """
        async with self._sessions.begin() as session:
            ended = await session.scalar(
                update(ReservationRow)
                .where(ReservationRow.key == key, ReservationRow.state == PAYING)
                .values(state=HELD if confirmation is None else PAID)
                .returning(ReservationRow.key)
            )
            # In one transaction: there is no ticket without a mail, whatever happens.
            if ended is not None and confirmation is not None:
                session.add(
                    MailRow(key=confirmation.key, to=confirmation.to, text=confirmation.text)
                )
        return ended is not None

    async def being_paid(self) -> list[Reservation]:
        """Return the reservations that are being paid."""
        async with self._sessions() as session:
            rows = await session.scalars(
                select(ReservationRow).where(ReservationRow.state == PAYING)
            )
            return [_reservation(row) for row in rows]

    async def expire(self) -> set[int]:
        """Give back the seats that are held for too long; return the concerts that got some."""
        async with self._sessions.begin() as session:
            expired = await session.scalars(
                update(ReservationRow)
                .where(ReservationRow.state == HELD, ReservationRow.expires_at <= time.time())
                .values(state=EXPIRED)
                .returning(ReservationRow.concert)
            )
            seats = Counter(expired)
            for concert, count in seats.items():
                await session.execute(
                    update(ConcertRow)
                    .where(ConcertRow.id == concert)
                    .values(left=ConcertRow.left + count)
                )
        return set(seats)

    async def unsent_mails(self) -> list[str]:
        """Return the keys of the mails that are still to be sent."""
        async with self._sessions() as session:
            return list(await session.scalars(select(MailRow.key).where(~MailRow.given_up)))

    async def dead_letters(self) -> list[Mail]:
        """Return the mails that were given up."""
        async with self._sessions() as session:
            rows = await session.scalars(select(MailRow).where(MailRow.given_up))
            return [_mail(row) for row in rows]

    async def unsent_mail(self, key: str) -> Mail | None:
        """Return a mail, or None if it was sent or given up."""
        async with self._sessions() as session:
            row = await session.get(MailRow, key)
        return None if row is None or row.given_up else _mail(row)

    async def end_mail(self, key: str, *, sent: bool) -> None:
        """Say of a mail that it was sent, or given up."""
        async with self._sessions.begin() as session:
            if sent:
                await session.execute(delete(MailRow).where(MailRow.key == key))
            else:
                await session.execute(
                    update(MailRow).where(MailRow.key == key).values(given_up=True)
                )


def _mail(row: MailRow) -> Mail:
    return Mail(row.key, row.to, row.text)


def _concert(row: ConcertRow) -> Concert:
    return Concert(row.id, row.title, row.seats, row.left)


def _reservation(row: ReservationRow) -> Reservation:
    return Reservation(row.key, row.concert, row.email, row.state, row.expires_at, row.cents)
