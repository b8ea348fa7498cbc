"""`Climbing`: mutates schedules that reached something new, to reach further.

`LineCounter` counts how often a run reached each line, `Novelty` finds what it did that no run
before it did, and `Unseen` records which schedules were tried, so that none is tried twice.
"""

from __future__ import annotations

import contextlib
import gc
import random
import sys
from collections.abc import Hashable, Mapping, Sequence
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, NamedTuple

from aldente._simulation.choices import Options, Place
from aldente._simulation.executors import loop_of_this_thread
from aldente._source import is_programs
from aldente._strategies.durations import DrawnValues

# A line: the identity of its function, and its number.
Line = tuple[int, int]

# The other numbers belong, by convention, to debuggers, coverage tools and profilers.
_TOOL_NUMBERS = (3, 4)


class LineCounter:
    """Counts the lines that a run reaches between `start` and `stop`.

    Those are the lines of its thread, and of jobs that threads of executors do for it. Other
    threads of the program run at their own speed, so what they reach is no progress of a schedule.

    It uses `sys.monitoring`, with one event for each line outside of the program. On Python 3.11 it
    uses `sys.settrace`, unless another tool does. Then, and if other tools have taken all numbers,
    it counts nothing. What the garbage collector runs does not count either: when it comes depends
    on all that the process has done.
    """

    def __init__(self) -> None:
        self.counts: dict[Line, int] = {}
        self._number: int | None = None
        self._is_tracing = False
        self._is_collecting = False
        self._thread = get_ident()

    def start(self) -> None:
        """Count from 0, what the current thread does."""
        self.counts = {}
        self._thread = get_ident()
        self._is_collecting = False
        # Around the callbacks of the program.
        gc.callbacks.insert(0, self._begin_collection)
        gc.callbacks.append(self._end_collection)
        if sys.version_info >= (3, 12):
            self._number = free_tool_number()
            if self._number is not None:
                event = sys.monitoring.events.LINE
                sys.monitoring.register_callback(self._number, event, self._note)
                sys.monitoring.set_events(self._number, event)
        elif sys.gettrace() is None:
            self._is_tracing = True
            sys.settrace(self._trace)

    def stop(self) -> None:
        """Stop counting."""
        for callback in (self._begin_collection, self._end_collection):
            # The program may have cleared the list.
            with contextlib.suppress(ValueError):
                gc.callbacks.remove(callback)
        if sys.version_info >= (3, 12):
            if self._number is not None:
                sys.monitoring.set_events(self._number, 0)
                sys.monitoring.register_callback(self._number, sys.monitoring.events.LINE, None)
                sys.monitoring.free_tool_id(self._number)
                self._number = None
        elif self._is_tracing:
            self._is_tracing = False
            sys.settrace(None)

    def _begin_collection(self, phase: str, information: Mapping[str, int]) -> None:
        if phase == "start" and self._is_of_run():
            self._is_collecting = True

    def _end_collection(self, phase: str, information: Mapping[str, int]) -> None:
        if phase == "stop" and self._is_of_run():
            self._is_collecting = False

    def _is_of_run(self) -> bool:
        """Whether the current thread is that of the run, or does a job while that waits for it."""
        return get_ident() == self._thread or loop_of_this_thread() is not None

    def _note(self, code: CodeType, line: int) -> Any:
        # As `_is_of_run`, without a call for each line.
        if self._is_collecting or (get_ident() != self._thread and loop_of_this_thread() is None):
            return None
        counts = self.counts
        key = (id(code), line)
        if key in counts:
            counts[key] += 1
        elif is_programs(code.co_filename):
            counts[key] = 1
        elif sys.version_info >= (3, 12):
            return sys.monitoring.DISABLE
        return None

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._note(frame.f_code, frame.f_lineno)
        elif event == "call" and not is_programs(frame.f_code.co_filename):
            return None
        return self._trace


def free_tool_number() -> int | None:
    if sys.version_info >= (3, 12):
        for number in _TOOL_NUMBERS:
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "aldente")
                return number
    return None


# Up to this count, each higher number of visits to a line is new; above it, each doubling.
_EXACT = 32

# How many pairs of steps to remember, which bounds the memory.
_MOST_PAIRS = 50_000


class News(NamedTuple):
    """What was new in a run.

    Attributes:
        records: how many lines or places the run reached more often than any before, or first.
        others: how many it reached a number of times that no run has before.
        pairs: how many pairs of steps followed each other for the first time.
    """

    records: int
    others: int
    pairs: int

    @property
    def value(self) -> int:
        """The weight of it, from 0: a new path counts more than a new order of steps."""
        return 3 * (self.records > 0) + 2 * (self.others > 0) + (self.pairs > 0)


class Novelty:
    """Compares each run with all before it."""

    def __init__(self) -> None:
        self._records: dict[Hashable, int] = {}
        self._levels: set[tuple[Hashable, int]] = set()
        self._pairs: set[int] = set()
        self._new_pairs = 0
        self._counts: dict[Place, int] = {}
        self._last: tuple[Hashable, Place] = ("", ())

    def start(self) -> None:
        """A run begins."""
        self._counts = {}
        self._new_pairs = 0
        self._last = ("", ())

    def note(self, choice: int, options: Options) -> None:
        """Note a chosen step."""
        place = options.place(choice)
        step = (options.key(choice), place)
        pair = hash((self._last, step))
        if pair not in self._pairs and len(self._pairs) < _MOST_PAIRS:
            self._pairs.add(pair)
            self._new_pairs += 1
        self._counts[place] = self._counts.get(place, 0) + 1
        self._last = step

    def end(self, lines: Mapping[Line, int]) -> News:
        """End the run, and return what was new; `lines` has how often it reached each line."""
        records = others = 0
        # More different lines than ever is progress too, even if each was reached before.
        found = [*self._counts.items(), *lines.items(), *([("lines", len(lines))] if lines else [])]
        for what, count in found:
            level = count if count <= _EXACT or what == "lines" else _EXACT + count.bit_length()
            if level > self._records.get(what, 0):
                self._records[what] = level
                self._levels.add((what, level))
                records += 1
            elif (what, level) not in self._levels:
                self._levels.add((what, level))
                others += 1
        return News(records, others, self._new_pairs)


# How many bytes of schedules to remember, which bounds the memory; later ones may repeat.
_MOST_REMEMBERED = 8_000_000

# The memory of a run besides its choices.
_BYTES_OF_RUN = 250

_NOT_TRIED = None


class _Tail:
    """The rest of a run that no other run shares: its choices and counts from a place on."""

    __slots__ = ("choices", "counts", "start")

    def __init__(self, choices: Sequence[int], counts: Sequence[int], start: int) -> None:
        self.choices = choices
        self.counts = counts
        self.start = start


class _Node:
    """A choice that several runs have met: what was tried after each option."""

    __slots__ = ("left", "options")

    def __init__(self, count: int) -> None:
        # Each is `_NOT_TRIED`, a tail, a node, or True if nothing is left to try after it.
        self.options: list[_Tail | _Node | bool | None] = [_NOT_TRIED] * count
        self.left = count


class Unseen:
    """Remembers the schedules of runs, and leads a run away from them.

    Args:
        draw: the generator for the choice among untried options.
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        # Stands before the first choice.
        self._root = _Node(1)
        self._remembered = 0
        self._is_known = True
        self._path: list[tuple[_Node, int]] = []
        self._choices: list[int] = []
        self._counts: list[int] = []

    @property
    def is_exhausted(self) -> bool:
        """Whether every schedule was tried."""
        return not self._root.left

    def start(self) -> None:
        """A run begins."""
        self._path = [(self._root, 0)]
        self._choices, self._counts = [], []
        self._is_known = True

    def lead(self, count: int, wanted: int) -> int:
        """The wanted option, or another one if nothing is left to try after it."""
        choice = wanted
        if self._is_known:
            node = self._next(count)
            if node is None:
                self._is_known = False
            else:
                if node.options[wanted] is True:
                    left = [index for index in range(count) if node.options[index] is not True]
                    if left:
                        choice = left[int(self._draw.random() * len(left))]
                self._path.append((node, choice))
        self._choices.append(choice)
        self._counts.append(count)
        return choice

    def _next(self, count: int) -> _Node | None:
        """The node of the next choice, if runs have met it; splits the tail of a run."""
        node, option = self._path[-1]
        after = node.options[option]
        if isinstance(after, _Tail):
            # One run came this way before; now there are two.
            found = _Node(after.counts[after.start])
            rest = after.start + 1
            is_last = rest == len(after.choices)
            chosen = after.choices[after.start]
            found.options[chosen] = is_last or _Tail(after.choices, after.counts, rest)
            found.left -= is_last
            node.options[option] = after = found
        # A program that depends on more than its schedule may meet other options.
        is_same = isinstance(after, _Node) and len(after.options) == count
        return after if is_same and isinstance(after, _Node) else None

    def end(self) -> None:
        """Remember the run, which has ended."""
        position = len(self._path) - 1
        node, option = self._path.pop()
        after = node.options[option]
        length = len(self._choices)
        if position < length:
            if after is _NOT_TRIED and self._remembered < _MOST_REMEMBERED:
                # Only the rest: the tree has the choices before it.
                choices = _packed(self._choices[position:])
                counts = _packed(self._counts[position:])
                per_choice = 1 if isinstance(counts, bytes) else 8
                self._remembered += _BYTES_OF_RUN + 2 * per_choice * (length - position)
                node.options[option] = _Tail(choices, counts, 0)
            return
        while True:
            if node.options[option] is not True:
                node.options[option] = True
                node.left -= 1
            if node.left or not self._path:
                return
            node, option = self._path.pop()


def _packed(numbers: Sequence[int]) -> Sequence[int]:
    return bytes(numbers) if max(numbers) < 256 else tuple(numbers)


# How many schedules to keep of those that hold a record, and of the others.
_MOST_RECORDS = 32
_MOST_OTHERS = 128


class Climbing:
    """Follows a kept schedule, and leaves it somewhere.

    Args:
        seed: what all runs depend on.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._records: list[Sequence[int]] = []
        self._others: list[Sequence[int]] = []
        self._model: Sequence[int] = ()
        self._position = 0
        # Where it leaves the schedule; what it does after that; how probable each change is.
        self._leaving = 0
        self._tail = "random"
        self._rate = 0.0
        self._values = DrawnValues(seed)

    def keep(self, choices: Sequence[int], *, is_record: bool) -> None:
        """Keep the schedule of a run that did something new.

        Args:
            choices: the schedule.
            is_record: whether it reached further than others.
        """
        kept, most = (self._records, _MOST_RECORDS) if is_record else (self._others, _MOST_OTHERS)
        kept.append(tuple(choices))
        if len(kept) > most:
            # The oldest records have been surpassed.
            del kept[0 if is_record else self._random.randrange(most)]

    def start(self) -> bool:
        """True: there is always another run."""
        draw = self._random.random
        self._values.start()
        self._position = 0
        self._model = self._pick()
        length = len(self._model)
        if length == 0 or draw() < 0.3:
            # A few changes anywhere.
            self._leaving, self._tail = -1, "model"
            self._rate = self._random.choice((1.0, 2.0, 4.0)) / max(length, 1)
        else:
            # One change: half of the time anywhere, else in the last quarter.
            nearest = 0 if draw() < 0.5 else length - max(1, length // 4)
            self._leaving = self._random.randrange(nearest, length)
            self._tail = self._random.choice(("random", "random", "model", "stock"))
            self._rate = 0.0
        return True

    def _pick(self) -> Sequence[int]:
        records, others = self._records, self._others
        if records and (not others or self._random.random() < 0.7):
            # The newest one half of the time, the one before it a quarter, and so on.
            age = 0
            while age < len(records) - 1 and self._random.random() < 0.5:
                age += 1
            return records[-1 - age]
        return self._random.choice(others) if others else ()

    def choose(self, count: int, options: Options) -> int:
        """The choice of the kept schedule, or a change of it."""
        drawn = self._values.choose(count, options) if options.is_of_values else None
        position = self._position
        self._position = position + 1
        draw = self._random.random
        if position >= len(self._model):
            return self._beyond(count, drawn)
        old = min(self._model[position], count - 1)
        if position == self._leaving or (self._rate and draw() < self._rate):
            other = int(draw() * (count - 1))
            return other + (other >= old)
        if position < self._leaving or self._tail == "model":
            return old
        return self._beyond(count, drawn)

    def _beyond(self, count: int, drawn: int | None) -> int:
        """The choice where it no longer follows the kept schedule."""
        if self._tail == "stock":
            return 0
        return int(self._random.random() * count) if drawn is None else drawn

    def end(self) -> None:
        """Learn how many such choices there were; `Auto` calls `keep` if the run was new."""
        self._values.end()
