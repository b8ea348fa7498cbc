"""Clients that were left open, for which a server waits that is being closed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._guards import open_resources
from aldente._guards.leaked_resource import made_on
from aldente._guards.resource_watching import makings
from aldente._records import SourcePlace
from aldente._source import source_line


class WaitedClient(NamedTuple):
    """A connection that was left open, for whose end a server waits that is being closed.

    Attributes:
        what: what it is and why it matters, in words.
        place: where the end was made that is not the server's; None if that isn't known.
    """

    what: str
    place: SourcePlace | None

    def told(self, folder: Path) -> str:
        """A paragraph for a report, with paths in a folder given from it."""
        if self.place is None:
            return self.what
        line = source_line(self.place)
        place = SourcePlace.relative_to(self.place.path, self.place.line, folder)
        return f"{self.what}\n    {place}: {line}\n    {open_resources.MEND_OF_CONNECTION}"


def clients_waited_for(loop: asyncio.AbstractEventLoop) -> list[WaitedClient]:
    """The connections for which ``Server.wait_closed()`` waits now; it does from Python 3.12.1 on.

    Args:
        loop: the loop.
    """
    made = [made for made in made_on(loop) if not isinstance(made, asyncio.Server)]
    clients = {
        open_resources.address(client, "sockname"): client
        for client in made
        if not open_resources.is_accepted(client)
    }
    return [
        WaitedClient(
            "Server.wait_closed() waits until all clients of the server are gone, and the "
            f"connection{open_resources.of_addresses(accepted)} is open at both ends.",
            making.place if making is not None else None,
        )
        for accepted in made
        if open_resources.is_accepted(accepted)
        and open_resources.is_open(accepted)
        and _asyncio_compat.is_waited_for(_asyncio_compat.acceptor_of(accepted))
        for making in [makings.of(clients.get(open_resources.address(accepted, "peername"), loop))]
    ]
