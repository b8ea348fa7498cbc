"""A deadlock as a finding, of a loop on which nothing can happen any more."""

from __future__ import annotations

from collections.abc import Sequence

from aldente._diagnosis import deadlock as diagnosis
from aldente._diagnosis.waits import AwaitGraph
from aldente._records import Finding
from aldente._rules import deadlock, leaked_resource, open_resources


def deadlock_finding(
    graph: AwaitGraph, main: str, clients: Sequence[leaked_resource.WaitedClient] = ()
) -> Finding:
    """The finding for tasks that wait for what can never happen.

    Args:
        graph: what they wait for.
        main: the name of the test's own task.
        clients: the connections for whose end a server waits that is being closed.
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
        "Have somebody set, release, notify or feed what is waited for, in every case; a time-out "
        "(asyncio.timeout) around the wait turns a hang into an error.",
        diagnosis.culprit_place(graph, main=main),
    )
