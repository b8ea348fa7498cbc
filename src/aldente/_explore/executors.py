"""Searches in the processes of an executor: what is sent to them, and what may go wrong there."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from typing import Any, NamedTuple

from aldente._explore.batches import Batch, BatchResult, Bounds, run_batch, this_machine
from aldente._explore.explorer import Explorer
from aldente._explore.interrupting import noting_interrupts
from aldente._explore.result import Exploration
from aldente._explore.rules_in_runs import RuleWatch, texts_of
from aldente._explore.runs import RunSettings
from aldente._explore.sharded_search import SearchPlan, ShardedSearch, conclude
from aldente._explore.simulate import Main, Program
from aldente._records import Level
from aldente._simulation.choices import Strategy
from aldente._simulation.determinism import kept_randomness
from aldente._strategies.registry import is_strategy
from aldente.errors import AldenteError, InvalidSetting, WorkersFailed

_THREADS = (
    "Its workers are threads of this process, and simulated runs patch things that belong to the "
    "whole process, such as the order of sets. Use a concurrent.futures.ProcessPoolExecutor, or "
    "the executor of a cluster whose workers are processes."
)
_NOT_SENT = (
    "It can't be sent to other processes ({}). Use a function of a module, or a functools.partial "
    "of one with picklable arguments."
)
_NOT_LOADED = (
    "A worker process can't load it ({}). Put it into a module that workers can import: they can't "
    "load functions of a console or notebook, and on other machines the module has to be installed."
)
_DIED = (
    "check whether the program ends its process, for example by os._exit() or by using too much "
    "memory; a search without an executor or workers shows it in this process. A script that "
    "starts processes has to do so under \"if __name__ == '__main__':\", because each of them "
    "imports the script."
)
_OBJECT = (
    "Each shard needs a strategy of its own: pass a name, or a function of a module that makes a "
    "strategy from a seed."
)


class _SentBatch(NamedTuple):
    """A batch as it is sent to a process.

    Attributes:
        main: the program, pickled.
        rules: the settings of its runs.
        levels: the level of each rule.
        batch: the batch.
        bounds: when to end it early.
        sender: the machine and process that sends it.
    """

    main: bytes
    rules: RunSettings
    levels: Mapping[str, Level]
    batch: Batch
    bounds: Bounds
    sender: tuple[str, int]


class _NotLoaded(Exception):
    """The program can't be loaded in this process."""


class _SameProcess(Exception):
    """The batch has come back to the process that has sent it."""


# A worker of dask has several threads by default, and runs of a process exclude one another.
_one_at_a_time = threading.Lock()


def _run_task(task: _SentBatch) -> BatchResult:
    """Do a batch in this process."""
    if task.sender == (this_machine(), os.getpid()):
        raise _SameProcess
    try:
        main = pickle.loads(task.main)
    except Exception as error:
        raise _NotLoaded(f"{type(error).__name__}: {error}") from error
    with _one_at_a_time, kept_randomness(), noting_interrupts() as is_interrupted:
        watch = RuleWatch(task.levels)
        program = Program(main, task.rules, is_interrupted, watch=watch)
        result = run_batch(program, task.batch, task.bounds)
        return replace(result, findings=tuple(watch.warnings))


class ExecutorProcesses:
    """Does batches in the processes of an executor.

    Args:
        executor: the executor.
        main: the program.
        rules: the settings of its runs.
        levels: the level of each rule.

    Attributes:
        are_local: whether they are known to be on this machine.

    Raises:
        InvalidSetting: the executor has threads only, or the program can't be sent.
    """

    def __init__(
        self, executor: Executor, main: Main, rules: RunSettings, levels: Mapping[str, Level]
    ) -> None:
        self.are_local = isinstance(executor, ProcessPoolExecutor)
        self._executor = executor
        self._main = main
        try:
            self._pickled = pickle.dumps(main)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise InvalidSetting("main", main, _NOT_SENT.format(why)) from error
        self._rules = rules
        self._levels = dict(levels)
        self._sender = this_machine(), os.getpid()

    def submit(self, batch: Batch, bounds: Bounds) -> Future[BatchResult]:
        """Submit a batch.

        Raises:
            WorkersFailed: the executor takes no more work.
        """
        task = _SentBatch(self._pickled, self._rules, self._levels, batch, bounds, self._sender)
        return self._executor.submit(_run_task, task)

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """While entered, errors of the executor and its workers say what to do."""
        try:
            yield
        except (AldenteError, KeyboardInterrupt):
            raise
        except _SameProcess:
            raise InvalidSetting("executor", self._executor, _THREADS) from None
        except _NotLoaded as error:
            raise InvalidSetting("main", self._main, _NOT_LOADED.format(error)) from None
        except BrokenExecutor as error:
            what = f"a worker process died: {error}"
            raise WorkersFailed(what, _DIED) from error
        except (CancelledError, RuntimeError) as error:
            what = f"the executor accepts no more work: {str(error) or type(error).__name__}"
            fix = "keep the executor open until the search has returned."
            raise WorkersFailed(what, fix) from error
        except Exception as error:
            what = f"a worker raised {type(error).__name__}: {error}"
            fix = "see the cause above; workers need the same aldente and the same program."
            raise WorkersFailed(what, fix) from error


def search_in(
    workers: ExecutorProcesses, plan: SearchPlan, explorer: Explorer, watch: RuleWatch
) -> Exploration:
    """Search in worker processes, and analyse a failure in this one.

    Args:
        workers: the processes.
        plan: how the runs are split.
        explorer: analyses the failure.
        watch: the rules of runs in this process.
    """
    search = ShardedSearch(
        plan,
        workers.submit,
        explorer.end,
        is_local=workers.are_local,
        explaining=workers.explaining,
    )
    exploration, failed, number = search.run()
    if failed is not None:
        exploration = conclude(explorer, exploration, failed, number)
    found = {(each.rule, each.place): each for each in (*watch.warnings, *search.progress.findings)}
    return replace(exploration, findings=tuple(texts_of(found.values())))


def parse_executor(value: Any) -> Executor:
    """The executor that a user gives.

    Raises:
        InvalidSetting: it is none, or has threads only.
    """
    if isinstance(value, ThreadPoolExecutor):
        raise InvalidSetting("executor", value, _THREADS)
    if not isinstance(value, Executor):
        allowed = "It must be a concurrent.futures.Executor whose workers are processes."
        raise InvalidSetting("executor", value, allowed)
    return value


def check_shareable(strategy: str | Strategy) -> None:
    """Check that a strategy can be sent to other processes.

    Raises:
        InvalidSetting: it is an object, or a function that can't be pickled.
    """
    if isinstance(strategy, str):
        return
    if is_strategy(strategy):
        raise InvalidSetting("strategy", strategy, _OBJECT)
    try:
        pickle.dumps(strategy)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise InvalidSetting("strategy", strategy, _NOT_SENT.format(why)) from error
