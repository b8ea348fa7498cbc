"""`SerialOrders`: what the operations of a program give one at a time, in all orders."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from aldente._checked_pythons import is_checked
from aldente._explore.observations import Observation
from aldente._simulation.choices import Options, Strategy
from aldente._simulation.operations import ARRIVAL, DEPARTURE, IDLE, Ended
from aldente._strategies.dfs import Dfs
from aldente.errors import NotAtomic

# How many serial runs of a program are tried at most, with each strategy.
_MOST_RUNS = 1_000

# How many of what they give the report shows.
_SHOWN = 3


class _Search:
    """Serial runs under the schedules of one strategy, so far.

    Attributes:
        strategy: the strategy.
        is_complete: whether it has tried all of its schedules.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.is_complete = False
        self._runs = 0

    def start(self) -> bool:
        """Whether there is another run; it is prepared then."""
        if self.is_complete or self._runs >= _MOST_RUNS:
            return False
        self._runs += 1
        self.is_complete = not self.strategy.start()
        return not self.is_complete


class Orders:
    """Tries the orders of operations; all else goes in asyncio's order, and as early as it can.

    So these are all orders only if a program does nothing between its operations that they notice.
    """

    def __init__(self) -> None:
        self._prefix: list[int] | None = []
        self._taken: list[tuple[int, int]] = []

    def start(self) -> bool:
        """Whether there is an order left to try."""
        self._taken = []
        return self._prefix is not None

    def choose(self, count: int, options: Options) -> int:
        """The next one of the order; as in asyncio for all else."""
        name = options[0].who
        if name in (ARRIVAL, DEPARTURE):
            # Wait until nothing else can happen.
            return count - 1
        if name != IDLE:
            return 0
        assert self._prefix is not None
        place = len(self._taken)
        index = self._prefix[place] if place < len(self._prefix) else 0
        self._taken.append((min(index, count - 1), count))
        return self._taken[-1][0]

    def end(self) -> None:
        """Find the next order: the last choice that has another option takes it."""
        taken = self._taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        self._prefix = [*(index for index, _ in taken[:-1]), taken[-1][0] + 1] if taken else None


class SerialOrders:
    """The serial runs of a program, tried as far as they are needed.

    Attributes:
        unjudged: how many runs could not be judged, as the serial runs were too many.
    """

    def __init__(self) -> None:
        self.unjudged = 0
        self._found: dict[Hashable, list[Observation]] = {}
        # First what is found soon, then all there is.
        self._orders = _Search(Orders())
        self._all = _Search(Dfs())

    def judge(
        self, observation: Observation, run: Callable[[Strategy], Observation | None]
    ) -> NotAtomic | None:
        """The error of a run whose operations gave what no serial run gives; None without one.

        Args:
            observation: what they gave.
            run: runs the program once, serially; returns what its operations gave, or None if it
                has failed.
        """
        if len(observation.operations) < 2:
            return None
        searches = [self._orders] if observation.is_plain else [self._orders, self._all]
        for search in searches:
            while not self._explains(observation) and search.start():
                found = run(search.strategy)
                if found is not None:
                    self._found.setdefault(found.key, []).append(found)
        if self._explains(observation):
            return None
        # Where no order comes to an end, they wait for what overlaps.
        if not searches[-1].is_complete or not self._found or not is_checked():
            self.unjudged += 1
            return None
        return self._error(observation)

    def _explains(self, observation: Observation) -> bool:
        found = self._found.get(observation.key, ())
        if not observation.is_ordered:
            return bool(found)
        return any(each.keeps_order_of(observation) for each in found)

    def _error(self, observation: Observation) -> NotAtomic:
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
        )


def _lines(observation: Observation, indent: str) -> list[str]:
    calls = [_told(each) for each in observation.operations]
    return [f"{indent}{'; '.join(calls)}; in the end {observation.shown_state}"]


def _told(each: Ended) -> str:
    call, result, error, *_ = each
    given = [repr(argument) for argument in call.arguments]
    given += [f"{name}={value!r}" for name, value in call.keywords.items()]
    end = f"returned {result!r}" if error is None else f"raised {error!r}"
    return f"{call.name}({', '.join(given)}) {end}"
