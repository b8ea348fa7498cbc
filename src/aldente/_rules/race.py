"""The rule ``race``: a value that one task has set is lost, as another acts by what it read before.

Only runs of explored programs are looked into, by `aldente._explore.race_search`.
"""

from __future__ import annotations

from aldente._records import Rule

RULE = Rule(
    "race",
    catches="an update that is lost in a run of an explored test because two tasks overlap",
    why=(
        "The change of one task is lost without an error, and only when both tasks run at the same "
        "time."
    ),
    explanation=(
        "aldente looks in explored tests that pass for this order: one task reads a value, another "
        "changes it, and the first then sets it from the value that it read, or goes on under a "
        "condition that is no longer true. aldente makes a run take that order, and also runs both "
        "tasks one after the other. It is a finding only if the result is none that these two "
        "orders give.\n\n"
        "Not a finding: two tasks that set equal values; one that reads the value again after its "
        "await; a check that still holds; additions to a container in another order; a counter "
        "that is changed without an await in between.\n\n"
        "Fix it by holding an asyncio.Lock from the read to the change, by reading again after the "
        "await, or by having all tasks wait for one that does the work."
    ),
    shows_details=True,
)
