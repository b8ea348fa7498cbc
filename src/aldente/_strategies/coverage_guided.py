"""`Climbing`: mutates schedules that reached something new, to reach further.

`LineCounter` counts how often a run reached each line, `Novelty` finds what it did that no run
before it did, and `Unseen` records which schedules were tried, so that none is tried twice.
"""

from __future__ import annotations

import contextlib
import gc
import random
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice, pairwise
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, NamedTuple

from aldente._simulation.choices import Options
from aldente._simulation.executors import loop_of_this_thread
from aldente._source import is_programs
from aldente._strategies.durations import DrawnValues

# A line: the identity of its function, and its number.
Line = tuple[int, int]

# The other numbers belong, by convention, to debuggers, coverage tools and profilers.
_TOOL_NUMBERS = (3, 4)


class LineCounter:
    """Counts the lines that a run reaches between `start` and `pause`, or `stop`.

    Those are the lines of its thread, and of jobs that threads of executors do for it. Other
    threads of the program run at their own speed, so what they reach is no progress of a schedule.

    It uses `sys.monitoring`, with one event for each line outside of the program. On Python 3.11 it
    uses `sys.settrace`, unless another tool does. Then, and if other tools have taken all numbers,
    it counts nothing. What the garbage collector runs does not count either: when it comes depends
    on all that the process has done.
    """

    def __init__(self) -> None:
        self.counts: dict[Line, int] = {}
        self._counting: _Counting | None = None
        # Ends the events; None while there are none.
        self._ending: weakref.finalize[[int], LineCounter] | None = None
        self._number: int | None = None
        self._is_tracing = False

    def start(self) -> None:
        """Count from 0, what the current thread does."""
        self.pause()
        self._counting = counting = _Counting(get_ident())
        self.counts = counting.counts
        # Around the callbacks of the program.
        gc.callbacks.insert(0, counting.begin_collection)
        gc.callbacks.append(counting.end_collection)
        if sys.version_info >= (3, 12):
            self._begin_events()
            if self._number is not None:
                event = sys.monitoring.events.LINE
                sys.monitoring.register_callback(self._number, event, counting.note)
        elif sys.gettrace() is None:
            self._is_tracing = True
            sys.settrace(counting.trace)

    def pause(self) -> None:
        """Stop counting, but be ready to start again.

        To set and end the events takes as long as a short run, as Python changes the code of every
        function for it. Without a callback they cost next to nothing. They end by `stop`, when the
        counter is freed, when another tool of aldente asks for a number, and beside other tools.
        """
        if (counting := self._counting) is None:
            return
        self._counting = None
        for callback in (counting.begin_collection, counting.end_collection):
            # The program may have cleared the list.
            with contextlib.suppress(ValueError):
                gc.callbacks.remove(callback)
        if sys.version_info >= (3, 12):
            if self._number is not None:
                sys.monitoring.register_callback(self._number, sys.monitoring.events.LINE, None)
                if self._number == _TOOL_NUMBERS[0]:
                    _paused.add(self)
                else:
                    # Another tool, such as Hypothesis, may look at the same lines.
                    self.end_events()
        elif self._is_tracing:
            self._is_tracing = False
            sys.settrace(None)

    def stop(self) -> None:
        """Stop counting, and leave no trace."""
        self.pause()
        with _lock:
            _paused.discard(self)
            self.end_events()

    def _begin_events(self) -> None:
        with _lock:
            if self in _paused:
                _paused.remove(self)
                return
        self._number = free_tool_number()
        if self._number is not None and sys.version_info >= (3, 12):
            sys.monitoring.set_events(self._number, sys.monitoring.events.LINE)
            self._ending = weakref.finalize(self, _end_events, self._number)

    def end_events(self) -> None:
        """End the events, if there are any; `stop` and `free_tool_number` call this."""
        if self._ending is not None:
            self._ending()
            self._ending = self._number = None


# The counters that are paused and still have events; and what guards it.
_paused: weakref.WeakSet[LineCounter] = weakref.WeakSet()
_lock = threading.Lock()


def _end_events(number: int) -> None:
    if sys.version_info >= (3, 12):
        sys.monitoring.set_events(number, 0)
        sys.monitoring.register_callback(number, sys.monitoring.events.LINE, None)
        sys.monitoring.free_tool_id(number)
        if number == _TOOL_NUMBERS[0]:
            # Else lines stay disabled for the next tool with this number.
            sys.monitoring.restart_events()


class _Counting:
    """The callbacks of one run, and what they have counted.

    Functions and no methods, as they are called for each line.

    Attributes:
        counts: how often each line was reached.
        note: called with each line.
        trace: called for each line and each new frame, on Python 3.11.
        begin_collection, end_collection: called by the garbage collector.
    """

    def __init__(self, thread: int) -> None:
        counts: dict[Line, int] = {}
        is_collecting = False
        disable: Any = None
        if sys.version_info >= (3, 12):
            disable = sys.monitoring.DISABLE

        def note(code: CodeType, line: int) -> Any:
            # As `_is_of_run`, without a call for each line.
            if is_collecting or (get_ident() != thread and loop_of_this_thread() is None):
                return None
            key = (id(code), line)
            try:
                counts[key] += 1
            except KeyError:
                if not is_programs(code.co_filename):
                    return disable
                counts[key] = 1
            return None

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            if event == "line":
                note(frame.f_code, frame.f_lineno)
            elif event == "call" and not is_programs(frame.f_code.co_filename):
                return None
            return trace

        def begin_collection(phase: str, information: Mapping[str, int]) -> None:
            nonlocal is_collecting
            if phase == "start" and _is_of_run(thread):
                is_collecting = True

        def end_collection(phase: str, information: Mapping[str, int]) -> None:
            nonlocal is_collecting
            if phase == "stop" and _is_of_run(thread):
                is_collecting = False

        self.counts = counts
        self.note, self.trace = note, trace
        self.begin_collection, self.end_collection = begin_collection, end_collection


def _is_of_run(thread: int) -> bool:
    """Whether the current thread is that of the run, or does a job while that waits for it."""
    return get_ident() == thread or loop_of_this_thread() is not None


def free_tool_number() -> int | None:
    """A number of `sys.monitoring`, taken for aldente; None if other tools have them all."""
    with _lock:
        while _paused:
            _paused.pop().end_events()
    if sys.version_info >= (3, 12):
        for number in _TOOL_NUMBERS:
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "aldente")
                return number
    return None


# Up to this count, each higher number of visits to a line is new; above it, each doubling.
_EXACT = 32

# How many pairs of steps to remember, which bounds the memory; about, as runs end.
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
        # The keys and the places of the steps of this run; places as hashes, which need less space.
        self._keys: list[Hashable] = []
        self._places: list[int] = []

    def start(self) -> None:
        """A run begins."""
        self._keys, self._places = [""], [0]

    def note(self, choice: int, options: Options) -> None:
        """Note a chosen step."""
        self._keys.append(options.key(choice))
        self._places.append(hash(options.place(choice)))

    def end(self, lines: Mapping[Line, int]) -> News:
        """End the run, and return what was new; `lines` has how often it reached each line."""
        records = others = 0
        places = Counter(islice(self._places, 1, None))
        # More different lines than ever is progress too, even if each was reached before.
        found = [*places.items(), *lines.items(), *([("lines", len(lines))] if lines else [])]
        for what, count in found:
            level = count if count <= _EXACT or what == "lines" else _EXACT + count.bit_length()
            if level > self._records.get(what, 0):
                self._records[what] = level
                self._levels.add((what, level))
                records += 1
            elif (what, level) not in self._levels:
                self._levels.add((what, level))
                others += 1
        return News(records, others, self._new_pairs())

    def _new_pairs(self) -> int:
        if len(self._pairs) >= _MOST_PAIRS:
            return 0
        steps = zip(self._keys, self._places, strict=True)
        new = set(map(hash, pairwise(steps))) - self._pairs
        self._pairs |= new
        return len(new)


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

    Attributes:
        choices: the choices of the current run so far.
        counts: how many options each of them had.
    """

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        # Stands before the first choice.
        self._root = _Node(1)
        self._remembered = 0
        self._is_known = True
        self._path: list[tuple[_Node, int]] = []
        self.choices: list[int] = []
        self.counts: list[int] = []

    @property
    def is_exhausted(self) -> bool:
        """Whether every schedule was tried."""
        return not self._root.left

    def start(self) -> None:
        """A run begins."""
        self._path = [(self._root, 0)]
        self.choices, self.counts = [], []
        self._is_known = True

    def lead(self, count: int, wanted: int) -> int:
        """The wanted option, or another one if nothing is left to try after it."""
        choice = self._lead(count, wanted) if self._is_known else wanted
        self.choices.append(choice)
        self.counts.append(count)
        return choice

    def _lead(self, count: int, wanted: int) -> int:
        node = self._next(count)
        if node is None:
            self._is_known = False
            return wanted
        choice = wanted
        if node.options[wanted] is True:
            left = [index for index in range(count) if node.options[index] is not True]
            if left:
                choice = left[int(self._draw.random() * len(left))]
        self._path.append((node, choice))
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
        length = len(self.choices)
        if position < length:
            if after is _NOT_TRIED and self._remembered < _MOST_REMEMBERED:
                # Only the rest: the tree has the choices before it.
                choices = _packed(self.choices[position:])
                counts = _packed(self.counts[position:])
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
