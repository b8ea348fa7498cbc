"""What a story tells of a task that has acted by what another has changed."""

from __future__ import annotations

import aldente


def assert_told_in_order(failure: aldente.Failure) -> None:
    """Nothing is told, or a read, a change by another task and an act, in this order."""
    told = [
        (number, step.task, use)
        for number, step in enumerate(failure.steps)
        for use in step.shared
        if use.role
    ]
    assert len(told) in (0, 3)
    if told:
        (first, reader, read), (second, other, change), (third, actor, act) = told
        assert reader == actor != other
        assert first <= second < third
        assert [read.role, change.role, act.role] == ["read", "change", "act"]
        assert change.is_change
        assert not read.is_change
