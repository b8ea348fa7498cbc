"""The rule ``race``: a value that one task has set is lost, as another acts by what it read before.

Only runs of explored programs are looked into, by `aldente._explore.race_search`.
"""

from __future__ import annotations

from aldente._records import Rule

RULE = Rule(
    "race",
    catches="an update that is lost in a run of an explored test, as two tasks overlap in it",
    why=(
        "What one task has set is gone as if it had never happened, without an error, and only if "
        "both come at the same time."
    ),
    explanation=(
        "Looked for in explored tests that pass: one task reads a value, another changes it, and "
        "the first then changes it by what it has read, or goes on under a condition that was true "
        "before. A run is led into that order, and both tasks are also run one after the other. It "
        "is a finding only if what comes out is nothing that either of these orders gives.\n\n"
        "Not a finding: two tasks that set equal values; one that reads the value again after its "
        "await; a check that still holds; additions to a container in another order; a counter "
        "that is changed without an await in between.\n\n"
        "Fix it by holding an asyncio.Lock from the read to the change, by reading again after the "
        "await, or by having all tasks wait for one that does the work."
    ),
    shows_details=True,
)
