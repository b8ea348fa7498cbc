"""`Replay`: the choices of a recorded schedule; `Leading`: the same, but tolerant of differences.

`Watched` wraps another strategy and records its choices.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from aldente._asyncio_compat.stepping import WAKE_SLEEPER
from aldente._schedules import Choice, Schedule
from aldente._simulation.choices import Options, Strategy
from aldente._strategies.context_switches import SwitchCounter
from aldente.errors import ReplayMismatch


class Watched:
    """Wraps another strategy and records what it chooses.

    Args:
        strategy: the other strategy.

    Attributes:
        choice: the last choice.
        keys: the key of each chosen option.
        switches: which of the choices are context switches away from stock order.
        faults: which of them are faults of the network that happen.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.choice: Choice | None = None
        self.keys: list[Hashable] = []
        self.switches: list[int] = []
        self.faults: list[int] = []
        self._strategy = strategy
        self._counter = SwitchCounter()
        self._callback = 0

    def start(self) -> bool:
        """Like the other one."""
        return self._strategy.start()

    def choose(self, count: int, options: Options) -> int:
        """Like the other one."""
        option = self._strategy.choose(count, options)
        is_switch = self._counter.note(option, options)
        number = len(self.keys)
        if is_switch:
            self.switches.append(number)
        if option and options.is_fault:
            self.faults.append(number)
        self.keys.append(options.key(option))
        # By identity, so that this keeps no task alive. The callback runs next.
        is_step = not options.is_of_values
        self._callback = id(options.callback(option) or WAKE_SLEEPER) if is_step else 0
        self.choice = Choice(number, option, options[0].who if option else "", is_switch)
        return option

    def end(self) -> None:
        """Like the other one."""
        self._strategy.end()

    def has_led_to(self, callback: object) -> bool:
        """Whether the last choice was to run this callback; true once for each choice."""
        if id(callback) != self._callback:
            return False
        self._callback = 0
        return True


# The default cause; `aldente._explore.nondeterminism` may find a better one.
CAUSE = "the program has changed since, or does not depend on its schedule alone"


class Replay:
    """Chooses as a schedule says, in one run.

    Args:
        schedule: the schedule. After its last choice option 0 is chosen.

    >>> strategy = Replay(Schedule(choices=(1,)))
    >>> strategy.start(), strategy.choose(2, []), strategy.choose(2, [])
    (True, 1, 0)
    """

    def __init__(self, schedule: Schedule) -> None:
        self._choices = schedule.choices
        self._counts = schedule.counts
        self._position = 0
        self._is_done = False

    def start(self) -> bool:
        """True for the first run only."""
        is_first, self._is_done = not self._is_done, True
        return is_first

    def choose(self, count: int, options: Sequence[object]) -> int:
        """The schedule's choice at this position.

        Raises:
            ReplayMismatch: there was another number of options.
        """
        position = self._position
        self._position = position + 1
        if self._counts:
            if position >= len(self._counts):
                raise ReplayMismatch(position, "no more choices", f"{count} options", CAUSE)
            if self._counts[position] != count:
                recorded = f"{self._counts[position]} options"
                raise ReplayMismatch(position, recorded, f"{count} options", CAUSE)
        choice = self._choices[position] if position < len(self._choices) else 0
        if choice >= count:
            recorded = f"at least {choice + 1} options"
            raise ReplayMismatch(position, recorded, f"{count} options", CAUSE)
        return choice

    def end(self) -> None:
        """Do nothing; `is_complete` shows whether the run came to the end."""

    @property
    def is_complete(self) -> bool:
        """Whether the run met all choices of the schedule."""
        return self._position >= max(len(self._counts), len(self._choices))


class Leading:
    """Chooses as a schedule says while there is such an option, and then in stock order.

    Args:
        choices: the options.
        keys: the keys to choose from some position on, no matter which number the option has then;
            empty to go by numbers alone.
        start: that position.
    """

    def __init__(
        self, choices: Sequence[int], keys: Sequence[Hashable] = (), start: int = 0
    ) -> None:
        self._choices = choices
        self._keys = keys
        self._start = start
        self._next = start
        self._position = 0

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Options) -> int:
        position = self._position
        self._position = position + 1
        if self._keys and position >= self._start:
            return self._wanted(options)
        choice = self._choices[position] if position < len(self._choices) else 0
        return choice if choice < count else 0

    def _wanted(self, options: Options) -> int:
        keys = options.keys()
        # The next key that is ready; one that is not ready went on before, or will later.
        for number in range(self._next, min(self._next + len(keys) + 1, len(self._keys))):
            if self._keys[number] in keys:
                self._next = number + 1
                return keys.index(self._keys[number])
        return 0

    def end(self) -> None:
        pass
