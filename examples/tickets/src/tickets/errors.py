"""Every exception of the service, each built from facts it keeps."""


class TicketsError(Exception):
    """Something that the service says no to, or that went wrong outside of it."""


class UnknownConcert(TicketsError):
    """There is no concert of this number."""

    def __init__(self, concert: int) -> None:
        super().__init__(f"there is no concert {concert}")
        self.concert = concert


class UnknownReservation(TicketsError):
    """There is no reservation of this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no reservation {key}")
        self.key = key


class SoldOut(TicketsError):
    """All seats of a concert are reserved or sold."""

    def __init__(self, concert: int) -> None:
        super().__init__(f"concert {concert} is sold out")
        self.concert = concert


class NotHeld(TicketsError):
    """A reservation can't be paid: it has expired, is being paid, or was paid."""

    def __init__(self, key: str, state: str) -> None:
        super().__init__(f"reservation {key} can't be paid: it is {state}")
        self.key = key
        self.state = state


class PriceUnavailable(TicketsError):
    """The server of prices has not told a price."""

    def __init__(self, concert: int, reason: str) -> None:
        super().__init__(f"the price of concert {concert} is not known: {reason}")
        self.concert = concert
        self.reason = reason


class PaymentDeclined(TicketsError):
    """The payment provider has refused a payment; nothing was charged."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the payment of reservation {key} was declined")
        self.key = key


class PaymentUnclear(TicketsError):
    """The payment provider has not answered: nobody knows whether it has charged anything."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"the payment of reservation {key} is not confirmed yet: {reason}")
        self.key = key
        self.reason = reason


class CircuitOpen(TicketsError):
    """A call was not made, because those before it have failed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"out of order, try again in {seconds:.0f} s")
        self.seconds = seconds


class MailFailed(TicketsError):
    """A mail could not be handed over to the mail server."""
