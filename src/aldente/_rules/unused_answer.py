"""The rule ``unused-answer``: an answer of a double that no call used. The doubles report it."""

from __future__ import annotations

from aldente._records import Rule

RULE = Rule(
    "unused-answer",
    catches="an answer that was given to a double and never used",
    why=(
        "The test prepares for a call that never comes: the code no longer makes it, or makes it "
        "with other arguments, and the test does not notice."
    ),
    explanation=(
        "Found at the end of aldente.patch() and of the fixture 'doubles': answers of "
        "returns_each() that are left, and answers of when() that no call used.\n\n"
        "Not a finding: answers of doubles that are neither patched in nor made by the fixture; "
        "answers that a later one has replaced; any of a test that has failed already; with "
        "strict=False, any."
    ),
    is_seen_at_once=True,
)
