"""What came of an explored test, and how that is told with the test's report."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass

import pytest

from aldente._explore.failures import Exploration, Failure
from aldente._plugin.exploring.explored import Budget

_TITLE = "aldente: what happened"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an explored test.

    Attributes:
        exploration: what its runs have shown; None when one schedule was run again.
        failure: the failure; None if there was none.
        budget: how it was explored.
        seconds: how long that took, in real seconds.
        runs: how many runs there were, all told.
        share: how many runs there were at most for each example of Hypothesis; None without.
        is_spared: whether runs have passed in which there is what a baseline takes for known.
    """

    exploration: Exploration | None
    failure: Failure | None
    budget: Budget
    seconds: float
    runs: int
    share: int | None = None
    is_spared: bool = False

    @property
    def is_fixed(self) -> bool:
        """Whether the schedule that had failed before passes, as all others do."""
        return (
            self.exploration is not None
            and self.failure is None
            and not self.is_spared
            and self.exploration.known == "passed"
        )


def add_to_report(item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
    """Tell in the report of a failed test what happened in the run that failed."""
    failure = outcome.failure
    if failure is None:
        return
    text = "\n\n".join(_paragraphs(item, outcome, failure))
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section(_TITLE, text)
    else:
        # A failure without a traceback is told in a text.
        report.longrepr = f"{report.longrepr}\n\n{text}"


def _paragraphs(item: pytest.Item, outcome: Outcome, failure: Failure) -> list[str]:
    found = [*failure.story(item.config.rootpath)]
    found.append("\n".join([_how(outcome, failure), *failure.remarks()]))
    found.append(f"Run it again: pytest {_argument(item)} --aldente-replay={failure.token}")
    return found


def _argument(item: pytest.Item) -> str:
    """A test as an argument of pytest, where it was started."""
    path, separator, name = item.nodeid.partition("::")
    folder = item.config.invocation_params.dir
    with contextlib.suppress(ValueError):
        # Another drive, on Windows.
        path = os.path.relpath(item.config.rootpath / path, folder)
    return shlex.quote(f"{path}{separator}{name}")


def _how(outcome: Outcome, failure: Failure) -> str:
    """Which run failed, and what was tried."""
    exploration, budget = outcome.exploration, outcome.budget
    if exploration is None:
        return "This is the schedule of --aldente-replay."
    used = f"strategy {strategy_name(budget)}, seed {failure.schedule.seed}"
    if exploration.known == "failed":
        return f"The schedule that failed last time fails still ({used})."
    limit = f" of at most {budget.runs:,}"
    if outcome.share is not None:
        limit = f" of at most {outcome.share:,} for each example"
    if budget.max_seconds is not None:
        limit += f" in {budget.max_seconds:g} s"
    return f"Run {failure.run:,}{limit} failed, after {outcome.seconds:.2g} s in all ({used})."


def strategy_name(budget: Budget) -> str:
    """What the strategy is called."""
    strategy = budget.strategy
    name: str = (
        strategy if isinstance(strategy, str) else getattr(strategy, "__qualname__", repr(strategy))
    )
    return name
