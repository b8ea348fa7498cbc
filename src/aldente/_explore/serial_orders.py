"""`SerialOrders`: what the operations of a program give one at a time, in all orders."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from aldente._checked_pythons import is_checked
from aldente._explore.observations import TOO_LARGE, ObservedOperations
from aldente._simulation.choices import Options, Strategy
from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.operations import Ended, OperationTurn
from aldente._strategies.dfs import Dfs
from aldente.errors import NotAtomic

# How many serial runs of a program are tried at most: first some that soon show most of what there
# is, then all, for a plain program and for others.
_QUICK_RUNS, _MOST_PLAIN_RUNS, _MOST_RUNS = 200, 1_000, 2_000

_CHANGING = "operations give something else each time"

# How many of what they give the report shows.
_SHOWN = 3


class _SerialSearch:
    """Serial runs under the schedules of one strategy, so far.

    Attributes:
        strategy: the strategy.
        is_complete: whether it has tried all of its schedules.
    """

    def __init__(self, strategy: Strategy, limit: int) -> None:
        self.strategy = strategy
        self.is_complete = False
        self._left = limit

    def start(self) -> bool:
        """Whether there is another run; it is prepared then."""
        if self.is_complete or not self._left:
            return False
        self._left -= 1
        self.is_complete = not self.strategy.start()
        return not self.is_complete


class Orders:
    """Tries the orders of operations, and all that may happen in each while one runs.

    What happens between operations goes in asyncio's order, and the operations begin when nothing
    else can happen. So these are all orders only if a program does nothing else than to call them.
    """

    def __init__(self) -> None:
        self._prefix: list[int] | None = []
        self._taken: list[tuple[int, int]] = []
        self._loop: SimulatedLoop | None = None

    def attach(self, loop: SimulatedLoop) -> None:
        """Follow the operations of the next run."""
        self._loop = loop

    def start(self) -> bool:
        """Whether there is an order left to try."""
        self._taken = []
        return self._prefix is not None

    def choose(self, count: int, options: Options) -> int:
        """The next one of the order; as in asyncio for all between operations."""
        operations = self._loop.operations if self._loop is not None else None
        if operations is None or not (operations.running or operations.have_left_work):
            for index in range(count):
                if not _is_turn(options.callback(index)):
                    return index
        assert self._prefix is not None
        place = len(self._taken)
        index = self._prefix[place] if place < len(self._prefix) else 0
        self._taken.append((min(index, count - 1), count))
        return self._taken[-1][0]

    def end(self) -> None:
        """Find the next order: the last choice that has another option takes it."""
        self._loop = None
        taken = self._taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        self._prefix = [*(index for index, _ in taken[:-1]), taken[-1][0] + 1] if taken else None


def _is_turn(callback: object) -> bool:
    """Whether an option lets an operation begin, or lets time pass."""
    return callback is None or isinstance(getattr(callback, "__self__", None), OperationTurn)


class Verdict(NamedTuple):
    """What is known of a run.

    Attributes:
        error: the error if its operations gave what no serial run gives; else None.
        unjudged: why it could not be judged; empty if it was.
    """

    error: NotAtomic | None = None
    unjudged: str = ""


class SerialOrders:
    """The serial runs of a program, tried as far as they are needed."""

    def __init__(self) -> None:
        self._found: dict[Hashable, list[ObservedOperations]] = {}
        self._first: ObservedOperations | None = None
        self._is_reproducible: bool | None = None
        # Why the serial runs, however many, may not show all that is right.
        self._doubt = ""
        # First what is found soon, then all there is.
        self._quick = _SerialSearch(Orders(), _QUICK_RUNS)
        self._all = _SerialSearch(Dfs(skips_equivalent=False), _MOST_RUNS)
        self._plain = _SerialSearch(Orders(), _MOST_PLAIN_RUNS)

    def judge(
        self,
        observation: ObservedOperations,
        run: Callable[[Strategy], ObservedOperations | None],
        run_again: Callable[[], ObservedOperations | None],
    ) -> Verdict:
        """Whether a run's operations gave what no serial run gives.

        Args:
            observation: what they gave.
            run: runs the program once, serially; returns what its operations gave, or None if it
                has failed.
            run_again: runs it again as it ran, and watches what else it does.
        """
        if observation.begun < 2:
            return Verdict()
        searches = [self._plain] if observation.is_plain else [self._quick, self._all]
        if observation.doubt:
            # All serial runs would only tell whether it is right, and never that it is wrong.
            searches = searches[:1]
        for search in searches:
            while not self._explains(observation) and not self._doubt and search.start():
                self._note(run(search.strategy))
        if self._explains(observation):
            return Verdict()
        reason = self._reason(observation, searches[-1], run)
        if not reason:
            again = run_again()
            is_same = again is not None and again.key == observation.key
            reason = again.doubt if again is not None and is_same else _CHANGING
        return Verdict(unjudged=reason) if reason else Verdict(self._error(observation))

    def _note(self, found: ObservedOperations | None) -> None:
        if found is None:
            self._doubt = "operations fail, or wait for ever, one at a time"
        elif found.doubt == TOO_LARGE:
            self._doubt = TOO_LARGE
        elif found.has_timed_out:
            self._doubt = "time-outs end operations one at a time"
        else:
            self._first = self._first or found
            self._found.setdefault(found.key, []).append(found)

    def _reason(
        self,
        observation: ObservedOperations,
        search: _SerialSearch,
        run: Callable[[Strategy], ObservedOperations | None],
    ) -> str:
        """Why a run that no serial run explains is not judged; empty if it is."""
        if observation.doubt or self._doubt:
            return observation.doubt or self._doubt
        if not search.is_complete:
            return "operations have more orders one at a time than could be tried"
        if not is_checked():
            return "this version of Python is not among those checked"
        calls = [found.calls for several in self._found.values() for found in several]
        if observation.has_time_passed and observation.calls not in calls:
            return "other operations are called one at a time, which may be for the time they take"
        if self._is_reproducible is None:
            again = Orders()
            again.start()
            found = run(again)
            self._is_reproducible = found is not None and found.key == self._key_of_first
        return "" if self._is_reproducible else _CHANGING

    @property
    def _key_of_first(self) -> Hashable:
        return None if self._first is None else self._first.key

    def _explains(self, observation: ObservedOperations) -> bool:
        found = self._found.get(observation.key, ())
        if not observation.is_ordered:
            return bool(found)
        return any(each.keeps_order_of(observation) for each in found)

    def _error(self, observation: ObservedOperations) -> NotAtomic:
        # Imported here: a program without such operations needs nothing of histories.
        from aldente._histories.timeline import Bar

        serial = [found[0] for found in self._found.values()]
        lines = [line for each in serial[:_SHOWN] for line in _lines(each, indent="    ")]
        if len(serial) > _SHOWN:
            lines.append(f"    and {len(serial) - _SHOWN} more")
        return NotAtomic(
            observation.things,
            len(observation.operations),
            _lines(observation, indent="    "),
            len(serial),
            lines,
            is_ordered=observation.key in self._found,
            bars=[
                Bar(each.call.task, each.began, each.ended, _end_told(each))
                for each in observation.operations
            ],
        )


def _lines(observation: ObservedOperations, indent: str) -> list[str]:
    calls = [_told(each) for each in observation.operations]
    return [f"{indent}{'; '.join(calls)}; in the end {observation.shown_state}"]


def _told(each: Ended) -> str:
    return f"{each.call.task}: {_end_told(each)}"


def _end_told(each: Ended) -> str:
    call, result, error, *_ = each
    given = [repr(argument) for argument in call.arguments]
    given += [f"{name}={value!r}" for name, value in call.keywords.items()]
    end = f"returned {result!r}" if error is None else f"raised {error!r}"
    return f"{call.name}({', '.join(given)}) {end}"
