"""What can be done with tickets: reserve, pay, expire."""

import asyncio
import contextlib

from tickets.errors import CircuitOpen, NotHeld, PaymentDeclined, PaymentUnclear
from tickets.feed import SeatsFeed
from tickets.mailing import Mail, MailWorkers
from tickets.payments import Payments
from tickets.prices import Prices
from tickets.store import PAYING, Reservation, Store


class BoxOffice:
    """Sells tickets.

    Args:
        store: where concerts and reservations are kept.
        prices: what tickets cost.
        payments: who charges for them.
        mails: who confirms what was bought.
        feed: who is told how many seats are left.
        hold_seconds: how long a reservation holds its seat.
    """

    def __init__(
        self,
        store: Store,
        prices: Prices,
        payments: Payments,
        mails: MailWorkers,
        feed: SeatsFeed,
        hold_seconds: float,
    ) -> None:
        self._store = store
        self._prices = prices
        self._payments = payments
        self._mails = mails
        self._feed = feed
        self._hold_seconds = hold_seconds
        # Whose payment is under way here.
        self._in_hand: set[str] = set()
        self._telling = asyncio.Lock()

    async def reserve(self, concert: int, email: str) -> Reservation:
        """Hold a seat.

        Raises:
            UnknownConcert: there is none of this number.
            SoldOut: no seat is left.
        """
        reservation = await self._store.reserve(concert, email, self._hold_seconds)
        await self.tell(concert)
        return reservation

    async def pay(self, key: str) -> Reservation:
        """Charge for a reservation, and have the confirmation sent.

        Raises:
            UnknownReservation: there is none of this key.
            NotHeld: it has expired, is being paid, or was paid.
            PriceUnavailable: nobody knows what it costs; the seat is still held.
            PaymentDeclined: nothing was charged; the seat is still held.
            CircuitOpen: the provider was not asked; the seat is still held.
            PaymentUnclear: nobody knows whether it is paid; `settle` will find out.
        """
        reservation = await self._store.reservation(key)
        cents = await self._prices.price(reservation.concert)
        if key in self._in_hand:
            raise NotHeld(key, PAYING)
        self._in_hand.add(key)
        try:
            reservation = await self._store.begin_payment(key, cents)
            await self._charge(reservation)
        except CircuitOpen:
            await self._store.end_payment(key, None)
            raise
        finally:
            self._in_hand.remove(key)
        return await self._store.reservation(key)

    async def expire(self) -> None:
        """Give back the seats that are held for too long."""
        for concert in await self._store.expire():
            await self.tell(concert)

    async def settle(self) -> None:
        """Find out about the payments that nobody waits for, such as those that are unclear."""
        for reservation in await self._store.being_paid():
            if reservation.key not in self._in_hand:
                with contextlib.suppress(PaymentDeclined, PaymentUnclear, CircuitOpen):
                    await self._charge(reservation)

    async def send_mails(self) -> None:
        """Have all mails sent that are still to be sent."""
        for key in await self._store.unsent_mails():
            self._mails.put(key)

    async def tell(self, concert: int) -> None:
        """Tell all listeners how many seats of a concert are left.

        Raises:
            UnknownConcert: there is none of this number.
        """
        # What is told last is what was read last.
        async with self._telling:
            self._feed.publish(concert, (await self._store.concert(concert)).left)

    async def _charge(self, reservation: Reservation) -> None:
        key = reservation.key
        assert reservation.cents is not None, "its payment has begun"
        try:
            await self._payments.charge(key, reservation.cents)
        except PaymentDeclined:
            await self._store.end_payment(key, None)
            raise
        confirmation = Mail(key, reservation.email, f"Your ticket: {key}")
        if await self._store.end_payment(key, confirmation):
            self._mails.put(key)
