"""Makes the finding for a deadlock."""

from __future__ import annotations

from collections.abc import Sequence

from aldente._diagnosis import deadlock as diagnosis
from aldente._diagnosis.waits import AwaitGraph
from aldente._records import Finding
from aldente._rules import deadlock, leaked_resource, open_resources


def deadlock_finding(
    graph: AwaitGraph, main: str, clients: Sequence[leaked_resource.WaitedClient] = ()
) -> Finding:
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
    )
