"""What can be set, with the defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the service behaves; all times are in seconds.

    Attributes:
        database: the address of the database, for SQLAlchemy.
        hold_seconds: how long a reservation holds its seat.
        tick_seconds: how often the scheduler looks for what has expired.
        price_seconds: how long a price is kept.
        requests_per_second: how fast the bucket of a client fills up.
        burst: how many requests a client may make at once.
        breaker_failures: how many failures in a row open the circuit of payments.
        breaker_seconds: how long it stays open.
        mail_workers: how many mails are sent at once.
        mail_attempts: how often a mail is tried.
        drain_seconds: how long the end of the service waits for mails.
    """

    database: str
    hold_seconds: float = 600.0
    tick_seconds: float = 5.0
    price_seconds: float = 60.0
    requests_per_second: float = 5.0
    burst: int = 20
    breaker_failures: int = 3
    breaker_seconds: float = 30.0
    mail_workers: int = 2
    mail_attempts: int = 4
    drain_seconds: float = 10.0
