"""Explores a test by several processes together, under ``--aldente-workers``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aldente._explore.executors import check_shareable
from aldente._explore.explorer import Explorer
from aldente._explore.result import Exploration
from aldente._explore.sharded_search import Plan, ShardedSearch, conclude
from aldente._plugin.explore.channel import ENDS
from aldente._plugin.explore.output import Progress
from aldente._plugin.explore.run import FoundInRuns
from aldente._plugin.explore.state import Budget
from aldente._plugin.explore.workers import workers_of
from aldente._strategies.fifo import Fifo

# Into how many parts the runs of a test are split: the same for any number of workers, so that the
# result is the same too.
_SHARDS = 8


def explore_together(
    item: pytest.Item,
    explorer: Explorer,
    budget: Budget,
    found_in_runs: FoundInRuns,
    progress: Progress,
    number_of_workers: int,
) -> Exploration:
    """Run a test under many schedules, in worker processes.

    This process tries the schedule that failed last, or else the order of stock asyncio; so it is
    here that a test skips itself, and that its output comes from.

    Args:
        item: the test.
        explorer: its first runs, and the analysis of a failure.
        budget: how it is explored.
        found_in_runs: collects the findings.
        progress: shows how many runs there were.
        number_of_workers: how many processes do the runs.

    Raises:
        WorkersFailed: a worker has died, or could not set the test up.
    """
    check_shareable(budget.strategy)
    first, found = explorer.search(Fifo(), 1)
    if found is not None:
        failure = explorer.conclude(found)
        return replace(first, failure=failure, escaped=failure.inexact)
    if budget.runs == 1:
        return first
    watch = explorer.program.watch
    looks_for_races = watch is not None and watch.looks_for_races and budget.strategy != "fifo"
    seed = budget.seed_of_schedules
    plan = Plan(_SHARDS, budget.runs - 1, budget.strategy, seed, looks_for_races)
    workers = workers_of(item.config, number_of_workers)
    with workers.exploring(item, found_in_runs.receive) as submit:
        search = ShardedSearch(plan, submit, explorer.end, is_local=True)
        told = 1

        def on_result() -> None:
            nonlocal told
            runs = search.progress.runs
            progress.end_runs(max(0, runs - told))
            told = max(told, runs)

        search.on_result = on_result
        try:
            exploration, failed, number = search.run()
        except ENDS as error:
            # Without the frames of futures, which say nothing.
            raise error.with_traceback(None) from None
    exploration = replace(exploration, runs=exploration.runs + 1, known=first.known)
    if failed is not None:
        return conclude(explorer, exploration, failed, number + 1)
    return exploration
