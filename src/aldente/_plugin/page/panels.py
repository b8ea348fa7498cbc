"""What the still pictures of a failure show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aldente._explore.result import Failure
from aldente._plugin.explore.state import explored_test
from aldente._plugin.page.evidence import panel
from aldente._plugin.run.outcomes import behind
from aldente._plugin.session import state_of
from aldente._report import operations, waits
from aldente._report.panels import Panel
from aldente.errors import NotAtomic, NotLinearizable, NotSerializable


def panels_of(item: pytest.Item, error: BaseException) -> list[Panel]:
    """The pictures of a failed phase of a test.

    Args:
        item: the test.
        error: what the phase has raised.
    """
    failure = _failure_of_run(item, error)
    if failure is None:
        return [*_operations(error), *_evidence(item, error)]
    # pytest has another exception if the run has raised none of its own.
    raised = failure.exception
    return [*_waits(item, failure), *_operations(raised), *_evidence(item, raised, is_run=True)]


def _failure_of_run(item: pytest.Item, error: BaseException) -> Failure | None:
    """The failure of a run of an explored test, if it is what the phase has raised."""
    explored = explored_test(item)
    outcome = None if explored is None else explored.outcome
    failure = None if outcome is None else outcome.failure
    if failure is None:
        return None
    is_told = isinstance(error, pytest.fail.Exception) and str(failure.exception) in str(error)
    return failure if is_told or failure.exception in behind(error) else None


def _waits(item: pytest.Item, failure: Failure) -> Iterator[Panel]:
    """The await graph of the deadlock of an explored test; that of others is kept as evidence."""
    if failure.waiting is not None:
        shown = waits.collect(failure.waiting, main=item.name, folder=item.config.rootpath)
        yield panel("waits", shown)


def _operations(error: BaseException) -> Iterator[Panel]:
    for each in behind(error):
        if isinstance(each, (NotAtomic, NotLinearizable, NotSerializable)) and each.bars:
            yield panel("operations", operations.collect(each))


def _evidence(item: pytest.Item, error: BaseException, *, is_run: bool = False) -> list[Panel]:
    """What was kept when the exception was raised, or else the calls of doubles so far."""
    evidence = state_of(item.config).evidence
    if evidence is None:
        return []
    kept = evidence.of(error)
    if kept is None:
        # The last calls need not be those of the run that is reported.
        return [] if is_run else evidence.calls()
    return kept
