"""The worker processes of ``--aldente-workers``, which do the runs of one explored test together.

Each is a run of pytest of its own, as fixtures can't be sent to other processes: it collects the
same tests, and makes the fixtures that the test uses. They are started with the first explored test
and end with the last.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import IO

import pytest

from aldente._explore.batches import Batch, BatchResult, Bounds
from aldente._explore.executors import check_shareable
from aldente._explore.explorer import Explorer
from aldente._explore.result import Exploration
from aldente._explore.sharded_search import SearchPlan, ShardedSearch, Submit, conclude
from aldente._plugin.explore.output import ProgressLine
from aldente._plugin.explore.run import FoundInRuns
from aldente._plugin.explore.state import Budget, explored_test
from aldente._plugin.explore.worker import ENDS, PROGRAM, Channel, Closed, RaisedInWorker
from aldente._python_compat import HiddenThread
from aldente._records import Finding
from aldente._strategies.fifo import Fifo
from aldente._system import monotonic
from aldente.errors import WorkersFailed

# How long a worker may take to end its run, and to tear its fixtures down, in seconds.
_END_WITHIN = 10.0

# How much of what a worker has written its failure shows, in lines.
_LINES = 30

_FIXTURES = (
    "each worker sets up the fixtures of the test itself, as with pytest-xdist: several processes "
    "must be able to use what the fixtures take, such as a port, at the same time."
)
_COLLECTED = (
    "each worker collects the tests itself, as with pytest-xdist: the tests must have the same "
    "names in every process, so ids of parameters must not come from a set, random values or the "
    "time."
)
_CRASH = (
    "check whether the test ends its process, for example by os._exit() or by using too much "
    "memory; without --aldente-workers it runs in this process."
)

_Task = tuple["Future[BatchResult]", Batch, Bounds]
_Receive = Callable[[tuple[Finding, ...], bool], object]

_key = pytest.StashKey["WorkerProcesses"]()


def workers_of(config: pytest.Config, number: int) -> WorkerProcesses:
    """The worker processes of this run of pytest; they are started when they are needed.

    Args:
        config: pytest's configuration.
        number: how many.
    """
    if _key not in config.stash:
        workers = config.stash[_key] = WorkerProcesses(config, number)
        config.pluginmanager.register(workers, "aldente-workers")
    return config.stash[_key]


class WorkerProcesses:
    """The worker processes of a run of pytest.

    Args:
        config: pytest's configuration.
        number: how many.
    """

    def __init__(self, config: pytest.Config, number: int) -> None:
        self._workers = [_Worker(each + 1, number, config) for each in range(number)]

    @contextlib.contextmanager
    def exploring(self, item: pytest.Item, receive: _Receive) -> Iterator[Submit]:
        """While entered, the workers do batches of a test's runs; yields the function for it.

        Args:
            item: the test.
            receive: called with what rules have found in the runs, and whether a baseline has
                spared some; once for each batch, from other threads.
        """
        tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()

        def submit(batch: Batch, bounds: Bounds) -> Future[BatchResult]:
            future: Future[BatchResult] = Future()
            tasks.put((future, batch, bounds))
            return future

        names = item.nodeid, _next_explored(item)
        threads = [
            HiddenThread(lambda worker=worker: worker.serve(names, tasks, receive))  # type: ignore[misc]
            for worker in self._workers
        ]
        try:
            yield submit
        finally:
            for _ in threads:
                tasks.put(None)
            end = monotonic() + _END_WITHIN
            for thread, worker in zip(threads, self._workers, strict=True):
                thread.join(max(0.0, end - monotonic()))
                if worker.is_busy:
                    # A run that does not end.
                    worker.kill()
                    thread.join(_END_WITHIN)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        for worker in self._workers:
            worker.ask_to_end()
        for worker in self._workers:
            worker.end()


def _next_explored(item: pytest.Item) -> str:
    """The test for which workers keep wide fixtures; empty if there is none."""
    items = item.session.items
    following = items[items.index(item) + 1 :] if item in items else []
    return next((each.nodeid for each in following if explored_test(each) is not None), "")


class _Worker:
    """One worker process.

    Args:
        number: its number, from 1.
        of: how many there are.
        config: pytest's configuration.
    """

    def __init__(self, number: int, of: int, config: pytest.Config) -> None:
        self._name = f"worker {number} of {of}"
        self._number = number
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._output: IO[bytes] | None = None
        self.is_busy = False

    def serve(
        self, names: tuple[str, str], tasks: queue.SimpleQueue[_Task | None], receive: _Receive
    ) -> None:
        """Do batches of a test in the worker, until there are no more; in a thread of its own."""
        self.is_busy = True
        try:
            error = self._begin(names)
            while (task := tasks.get()) is not None:
                future, batch, bounds = task
                if not future.set_running_or_notify_cancel():
                    continue
                if error is None:
                    error = self._do(future, batch, bounds, names[0], receive)
                if error is not None:
                    future.set_exception(error)
            if error is None:
                self._finish()
        finally:
            self.is_busy = False

    def _begin(self, names: tuple[str, str]) -> BaseException | None:
        """Let the worker set the test up; return the error if it can't."""
        try:
            channel = self._channel or self._start()
            channel.send(names)
            reply = channel.receive()
        except Closed:
            return self._crashed(f"before it could search {names[0]}")
        except Exception as error:
            return self._lost(error)
        if reply is True:
            return None
        if not reply:
            return WorkersFailed(f"{self._name} has not collected {names[0]}.", _COLLECTED)
        what = f"{self._name} could not set up {names[0]}:\n{reply}"
        return WorkersFailed(what, _FIXTURES)

    def _do(
        self,
        future: Future[BatchResult],
        batch: Batch,
        bounds: Bounds,
        test: str,
        receive: _Receive,
    ) -> BaseException | None:
        """Let the worker do a batch; return the error if the worker is lost."""
        assert self._channel is not None
        try:
            self._channel.send((batch, bounds))
            result, findings, has_spared = self._channel.receive()
        except Closed:
            return self._crashed(f"while it searched {test}")
        except Exception as error:
            return self._lost(error)
        receive(findings, has_spared)
        if isinstance(result, RaisedInWorker):
            future.set_exception(result.exception())
        else:
            future.set_result(result)
        return None

    def _finish(self) -> None:
        """Let the worker tear the test down."""
        assert self._channel is not None
        try:
            self._channel.send(None)
            self._channel.receive()
        except Closed:
            self.end()
        except Exception:
            # Nothing is lost with it but the process: the results of all batches have come.
            self.kill()
            self.end()

    def _start(self) -> Channel:
        program = PROGRAM.format(
            path=list(sys.path), arguments=arguments_of_worker(self._config, self._number)
        )
        # pytest's capturing has no file of its own for a thread's processes.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        self._process = process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=self._config.invocation_params.dir,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._channel = Channel(process.stdout, process.stdin)
        return self._channel

    def _crashed(self, when: str) -> WorkersFailed:
        status = None if self._process is None else self._process.wait()
        text = self._written()
        self.end()
        what = f"{self._name} ended with exit status {status} {when}"
        return WorkersFailed(f"{what}:\n{text}" if text else f"{what}.", _CRASH)

    def _lost(self, error: Exception) -> WorkersFailed:
        """The error for a worker that can't be reached."""
        self.kill()
        self.end()
        what = f"{self._name} could not be started, or its answer could not be read: {error!r}"
        failed = WorkersFailed(what, "run the test without --aldente-workers.")
        failed.__cause__ = error
        return failed

    def _written(self) -> str:
        if self._output is None:
            return ""
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-_LINES:])

    def ask_to_end(self) -> None:
        """Let the worker tear its fixtures down and end."""
        if self._channel is not None:
            with contextlib.suppress(Closed):
                self._channel.send(None)

    def end(self) -> None:
        """End it, and wait for that."""
        process, channel, output = self._process, self._channel, self._output
        self._process = self._channel = self._output = None
        if process is not None:
            try:
                process.wait(_END_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if channel is not None:
            channel.close()
        if output is not None:
            output.close()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()


def arguments_of_worker(config: pytest.Config, number: int) -> list[str]:
    """The arguments of a worker, which has a number: those of this run.

    A worker of pytest-xdist has those of the run that has started it.
    """
    arguments = [str(each) for each in config.invocation_params.args]
    # By their options, as the names of plugins depend on how they were loaded.
    if hasattr(config.option, "numprocesses"):
        arguments.append("-n0")
    if hasattr(config.option, "no_cov"):
        # pytest-cov removes earlier data when it begins, and its report comes at the end of a run.
        arguments.append("--no-cov")
    folder = config.getoption("basetemp", None)
    if folder is not None:
        # pytest empties it when it begins.
        arguments.append(f"--basetemp={folder}-worker-{number}")
    return [*arguments, "--aldente-workers=1"]


# Into how many parts the runs of a test are split: the same for any number of workers, so that the
# result is the same too.
_SHARDS = 8


def explore_together(
    item: pytest.Item,
    explorer: Explorer,
    budget: Budget,
    found_in_runs: FoundInRuns,
    progress: ProgressLine,
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
    plan = SearchPlan(_SHARDS, budget.runs - 1, budget.strategy, seed, looks_for_races)
    workers = workers_of(item.config, number_of_workers)
    with workers.exploring(item, found_in_runs.receive) as submit:
        search = ShardedSearch(plan, submit, explorer.end, is_local=True)
        reported = 1

        def on_result() -> None:
            nonlocal reported
            runs = search.progress.runs
            progress.end_runs(max(0, runs - reported))
            reported = max(reported, runs)

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
