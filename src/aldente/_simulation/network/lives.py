"""`Life`: on which host code runs, as a part of its context."""

from __future__ import annotations

from contextvars import Context, ContextVar
from typing import NamedTuple


class Life(NamedTuple):
    """That code runs on a host.

    Attributes:
        host: the name of the host.
        number: how often the host had crashed before.
        outer: where the code ran that has entered the host.
    """

    host: str
    number: int
    outer: Life | None


# Of the host on which the running code runs; None for the host of the test.
LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


def host_in(context: Context | None) -> str | None:
    """The name of the host on which code runs in a context; None for that of the test."""
    life = None if context is None else context.get(LIFE)
    return None if life is None else life.host
