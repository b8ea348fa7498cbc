"""Which tests are explored, and the state of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from aldente._plugin import pytest_compat
from aldente._plugin.marks import MARK
from aldente._plugin.options import settings_of
from aldente._plugin.ownership import is_own_async_test
from aldente._settings import Shard

if TYPE_CHECKING:
    from aldente._explore.explorer import Explorer, FoundFailure
    from aldente._explore.result import Exploration, Failure
    from aldente._plugin.explore.fixtures import FixturesOfRuns
    from aldente._schedules import Schedule
    from aldente._simulation.loop import SimulatedLoop
    from aldente._virtual_time.clock import Clock


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an explored test.

    Attributes:
        exploration: the result of its runs; None when one schedule was run again.
        failure: the failure; None if there was none.
        budget: how it was explored.
        seconds: how long that took, in real seconds.
        runs: the number of all runs.
        share: the most runs for each Hypothesis example; None without Hypothesis.
        is_spared: whether runs passed although they had findings that a baseline lists.
        kind: identifies how it failed, if its schedule was shrunk; else empty.
    """

    exploration: Exploration | None
    failure: Failure | None
    budget: Budget
    seconds: float
    runs: int
    share: int | None = None
    is_spared: bool = False
    kind: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether the schedule that failed before passes now, like all others."""
        return (
            self.exploration is not None
            and self.failure is None
            and not self.is_spared
            and self.exploration.known == "passed"
        )


class Budget(NamedTuple):
    """How a test is explored.

    Attributes:
        runs: the most runs.
        strategy: the strategy that chooses the schedules: a name, or a function that makes one from
            a seed.
        seed: the seed of the schedules and of the randomness of the test.
        max_seconds: the time limit for all runs, in real seconds; None for no limit.
        rules: the other options of the marks: ``order``, ``slack``, ``max_steps``.
        replay: the one schedule to run instead; None to explore.
        shard: which part of all runs these are.
    """

    runs: int
    strategy: Any
    seed: int
    max_seconds: float | None
    rules: dict[str, Any]
    replay: Schedule | None
    shard: Shard = Shard()

    @property
    def seed_of_schedules(self) -> int:
        """The seed of the schedules, a different one for each shard."""
        from aldente._explore.batches import seed_of

        return seed_of(self.seed, self.shard.number)


class ExploredTest:
    """The state of a test that is run under many schedules.

    Args:
        budget: how it is explored.
        anew: the fixtures wider than the test that are made again for every run too.

    Attributes:
        budget, anew: as the arguments.
        is_marked: whether the user has marked it, rather than asked to explore all tests.
        outcome: its outcome; None until it is known.
        instance: the instance of its class that it belonged to before it was run; None if it is no
            method.
        loop: the loop of its run.
        clock: the clock that its run requested; None if it did not.
    """

    is_marked = True

    def __init__(
        self, budget: Budget, anew: Collection[pytest.FixtureDef[Any]] = frozenset()
    ) -> None:
        self.budget = budget
        self.anew = anew
        self._fixtures: FixturesOfRuns | None = None
        self.outcome: Outcome | None = None
        self.instance: object = None
        self.loop: SimulatedLoop | None = None
        self.clock: Clock | None = None

    def make_clock(self) -> Clock:
        """Return the clock of the current run, for its fixture."""
        from aldente._virtual_time.clock import Clock

        loop = self.loop
        assert loop is not None
        self.clock = Clock(lambda: loop)
        return self.clock

    def makes_anew(self, definition: pytest.FixtureDef[Any]) -> bool:
        """Whether a fixture that is wider than the test is made again for every run."""
        return definition in self.anew

    def conclude(self, explorer: Explorer, found: FoundFailure) -> Failure | None:
        """The failure of a run that failed; None if it counts for none."""
        return explorer.conclude(found)

    def stand_in(
        self, definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Callable[[], object]:
        """Let every run make its own value of a function-scoped fixture that pytest sets up."""
        return self.fixtures_of(pytest_compat.item_of(request)).stand_in(definition, request)

    def fixtures_of(self, item: pytest.Item) -> FixturesOfRuns:
        """The function-scoped fixtures of the test, made again where a plugin runs it again."""
        if self._fixtures is None:
            from aldente._plugin.explore.fixtures import FixturesOfRuns

            self._fixtures = FixturesOfRuns(item)
            item.addfinalizer(functools.partial(setattr, self, "_fixtures", None))
        return self._fixtures


_key = pytest.StashKey[ExploredTest]()


def explored_test(item: pytest.Item) -> ExploredTest | None:
    """The state of an explored test; None for all others."""
    return item.stash.get(_key, None)


def make_explored(item: pytest.Item, explored: ExploredTest) -> None:
    """Make a test an explored one, until `forget_explored`."""
    item.stash[_key] = explored


def forget_explored(item: pytest.Item) -> None:
    """Undo `make_explored`."""
    del item.stash[_key]


def refuse_if_explored(fixture: str, item: pytest.Item) -> None:
    """Fail an explored test that requests by name an async fixture which outlives the test."""
    if explored_test(item) is not None:
        pytest.fail(
            f"{item.name!r} can't be explored with the async fixture {fixture!r}: it outlives the "
            "test, and every run has an event loop of its own.\n"
            f"Fix: make {fixture!r} function-scoped.",
            pytrace=False,
        )


def note_if_explored(item: pytest.Item) -> None:
    """Make an async test an explored one if it has the mark."""
    marked = _marked(item)
    if marked is not None and is_own_async_test(item):
        item.stash[_key] = ExploredTest(_budget_of(item, marked))


def is_marked_itself(item: pytest.Item) -> bool:
    """Whether a test has the mark, not only its class or module."""
    return any(mark.name == MARK and "explore" in mark.kwargs for mark in item.own_markers)


def _marked(item: pytest.Item) -> dict[str, Any] | None:
    """The options of a test's marks, key by key from the closest; None without marks."""
    found: dict[str, Any] | None = None
    for mark in item.iter_markers(MARK):
        options = mark.kwargs.get("explore")
        if options is not None:
            found = {**options, **(found or {})}
    return found


def _budget_of(item: pytest.Item, marked: dict[str, Any]) -> Budget:
    settings = settings_of(item.config)
    seed = marked.get("seed") if settings.forced_seed is None else settings.forced_seed
    strategy = marked.get("strategy", "auto")
    runs = settings.forced_runs or marked.get("runs", settings.runs)
    return Budget(
        runs=_part_of(runs, strategy, settings.shard),
        strategy=strategy,
        seed=seed or 0,
        max_seconds=marked.get("max_seconds"),
        rules={name: marked[name] for name in ("order", "slack", "max_steps") if name in marked},
        replay=settings.replay,
        shard=settings.shard,
    )


# These do not depend on the seed, so that all shards would do the same.
_SEEDLESS = ("dfs", "fifo")


def _part_of(runs: int, strategy: object, shard: Shard) -> int:
    """How many runs a shard has, at least one."""
    if strategy in _SEEDLESS and shard.of > 1:
        return 1 if shard.number else runs
    return max(1, shard.part_of(runs))


# The plugin that makes a run of pytest a worker process of another one.
WORKER = "aldente-worker"

# From how many runs on a search is long enough to start processes for it by default.
_LONG = 2_000


def number_of_workers(item: pytest.Item, runs: int) -> int:
    """How many processes do the runs of an explored test.

    Workers of pytest-xdist that have no test, as there are fewer tests than workers, have a long
    search done by as many processes instead.

    Args:
        item: the test.
        runs: how many runs it has at most.
    """
    given = settings_of(item.config).workers
    worker = getattr(item.config, "workerinput", None)
    if given > 1 or worker is None or runs < _LONG:
        return given
    count: int = worker["workercount"]
    return max(1, count // len(item.session.items))
