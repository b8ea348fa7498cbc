"""Makes the finding for a deadlock, and finds the open connections that a server waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._diagnosis import deadlock as diagnosis
from aldente._diagnosis.waits import AwaitGraph
from aldente._records import Finding, SourcePlace
from aldente._rules import deadlock, leaked_resource, open_resources, resource_origins
from aldente._source import source_line


def deadlock_finding(graph: AwaitGraph, main: str, clients: Sequence[WaitedClient] = ()) -> Finding:
    """Return the finding for tasks that wait for what can never happen.

    Args:
        graph: what they wait for.
        main: the name of the test's own task.
        clients: the open connections that a server which is being closed waits for.
    """
    for client in clients:
        if client.place is not None:
            return Finding(
                deadlock.RULE.name,
                f"{diagnosis.summary(graph, main=main)} {client.what}",
                open_resources.FIX_OF_CONNECTION,
                client.place,
            )
    return Finding(
        deadlock.RULE.name,
        diagnosis.summary(graph, main=main),
        "Make sure that other code always sets, releases, notifies or feeds it; a time-out "
        "(asyncio.timeout) around the wait turns a hang into an error.",
        diagnosis.culprit_place(graph, main=main),
        subject=diagnosis.summary(graph, main=main, is_brief=True),
    )


class WaitedClient(NamedTuple):
    """A connection that was left open, and that a server which is being closed waits for.

    Attributes:
        what: what it is and why it matters, in words.
        place: where the client's end was made; None if that isn't known.
    """

    what: str
    place: SourcePlace | None

    def describe(self, folder: Path) -> str:
        """A paragraph for a report, with paths relative to a folder."""
        if self.place is None:
            return self.what
        line = source_line(self.place)
        place = SourcePlace.relative_to(self.place.path, self.place.line, folder)
        return f"{self.what}\n    {place}: {line}\n    {open_resources.FIX_OF_CONNECTION}"


def clients_waited_for(loop: asyncio.AbstractEventLoop) -> list[WaitedClient]:
    """The connections for which ``Server.wait_closed()`` waits now; it does from Python 3.12.1 on.

    Args:
        loop: the loop.
    """
    made = [made for made in leaked_resource.made_on(loop) if not isinstance(made, asyncio.Server)]
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
        for making in [
            resource_origins.makings.of(
                clients.get(open_resources.address(accepted, "peername"), loop)
            )
        ]
    ]
