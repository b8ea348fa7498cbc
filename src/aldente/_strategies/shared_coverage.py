"""How searches of one program in several processes share which schedules covered what.

`Covered` gathers what all of them have covered. `SharedCoverage` is the side of one search: it
takes what others have covered as known, and keeps what is new.

What a run has covered is known by numbers that are the same in every process, unlike hashes.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

# How many schedules to pass on of those that reached further than others, and of the rest: as many
# as one search keeps, so that a search still has room for its own.
_MOST_RECORDS = 32
_MOST_OTHERS = 64


class Covering(NamedTuple):
    """A schedule that covered something new.

    Attributes:
        choices: its choices.
        is_record: whether it reached further than those before it.
        covered: what was new in it: numbers of lines and places, each with how often its run was
            there, as a level.
    """

    choices: Sequence[int]
    is_record: bool
    covered: Sequence[tuple[int, int]]


class Shared(NamedTuple):
    """What a search begins with.

    Attributes:
        schedules: the schedules that covered something new.
        levels: the levels of each line and place that were covered: the bits of a number.
    """

    schedules: Sequence[Covering] = ()
    levels: Mapping[int, int] = {}


class Covered:
    """Gathers what several searches have covered; what it has depends on the order of `add`."""

    def __init__(self, shared: Shared = Shared()) -> None:  # noqa: B008 - a constant
        self._levels = dict(shared.levels)
        self._records = [each for each in shared.schedules if each.is_record]
        self._others = [each for each in shared.schedules if not each.is_record]

    def add(self, coverings: Iterable[Covering]) -> None:
        """Add schedules that one search has found, except those that are news no more."""
        levels = self._levels
        for covering in coverings:
            new = [
                (what, level)
                for what, level in covering.covered
                if not levels.get(what, 0) >> level & 1
            ]
            if not new:
                continue
            is_record = any(levels.get(what, 0) >> level == 0 for what, level in new)
            for what, level in new:
                levels[what] = levels.get(what, 0) | 1 << level
            kept = Covering(_packed(covering.choices), is_record, ())
            (self._records if is_record else self._others).append(kept)
        del self._records[:-_MOST_RECORDS], self._others[:-_MOST_OTHERS]

    def shared(self) -> Shared:
        """What was gathered."""
        return Shared((*self._records, *self._others), dict(self._levels))


class SharedCoverage:
    """What one search knows of others, and what it has to report to them.

    Args:
        shared: what others have covered.
        names_of_functions: the names of functions with lines, by their identities in this process;
            filled by the counter of lines.

    Attributes:
        news: the schedules that covered something new.
    """

    def __init__(self, shared: Shared, names_of_functions: Mapping[int, str]) -> None:
        self.schedules = shared.schedules
        self.news: list[Covering] = []
        self._levels = shared.levels
        self._names = names_of_functions
        self._numbers: dict[Hashable, int] = {}

    def number_places(self, places: Iterable[Hashable]) -> None:
        """Number places, which are known by their hashes later on."""
        numbers = self._numbers
        for place in places:
            key = hash(place)
            if key not in numbers:
                numbers[key] = _number_of(place)

    def levels_of(self, what: Hashable) -> int:
        """The levels at which others have covered a line or place: the bits of a number."""
        return self._levels.get(self._number(what), 0)

    def _number(self, what: Hashable) -> int:
        number = self._numbers.get(what)
        if number is None:
            known = what
            if isinstance(what, tuple) and what[0] in self._names:
                known = (self._names[what[0]], *what[1:])
            number = self._numbers[what] = _number_of(known)
        return number

    def keep(
        self,
        choices: Sequence[int],
        covered: Iterable[tuple[Hashable, int]],
        *,
        is_record: bool,
    ) -> None:
        """Keep the schedule of a run that covered something new.

        Args:
            choices: the schedule.
            covered: what was new, and at which level.
            is_record: whether it reached further than others.
        """
        numbered = tuple((self._number(what), level) for what, level in covered)
        if numbered:
            self.news.append(Covering(_packed(choices), is_record, numbered))


def most_level(number: int) -> int:
    """The greatest level that a line or place may have, given by its number.

    A level is the number of a bit, so that a greater one from a file would take memory.
    """
    return _MOST_LINES if number == _LINES else _MOST_OF_OTHERS


def _number_of(what: Hashable) -> int:
    """A number for what has the same text in every process; 64 bits, so that few are alike."""
    data = repr(what).encode("utf-8", "backslashreplace")
    return zlib.crc32(data) << 32 | zlib.adler32(data)


# The level of "lines" is how many lines a run has reached; that of others a logarithm.
_LINES = _number_of("lines")
_MOST_LINES, _MOST_OF_OTHERS = 5_000_000, 200


def _packed(numbers: Sequence[int]) -> Sequence[int]:
    try:
        return bytes(numbers)
    except ValueError:
        return tuple(numbers)
