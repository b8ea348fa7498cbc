"""What objects are called in a program, as its reader would: ``shop``, not ``self``."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Hashable, Iterator, Mapping
from types import FrameType
from typing import Any

from aldente._diagnosis.inspection import is_running, links_of
from aldente._source import is_programs
from aldente._stacks import variables_of

# How often to look for the name of one object: it may get one only after its first uses.
_MOST_LOOKS = 20


class ObjectNames:
    """Numbers and names of the objects of a run.

    It keeps no object alive, as the run has to free them when it would.

    Args:
        main: the task of the program, in whose outermost function names are looked for.
    """

    def __init__(self, main: asyncio.Task[Any] | None) -> None:
        self._main = None if main is None else weakref.ref(main)
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._numbers = 0
        self._names: dict[Hashable, str] = {}
        self._looks: dict[Hashable, int] = {}

    def number_of(self, thing: object) -> Hashable:
        """A number that no other object of the run has; its identity where that can't be known."""
        known = self._known.get(id(thing))
        if known is not None and known[0]() is thing:
            return known[1]
        try:
            reference = weakref.ref(thing)
        except TypeError:
            return "identity", id(thing)
        self._numbers += 1
        self._known[id(thing)] = reference, self._numbers
        return self._numbers

    def look_for(self, thing: object, frame: FrameType) -> None:
        """Look for the name of an object, unless it is known.

        Args:
            thing: the object.
            frame: a function that uses it, and runs.
        """
        number = self.number_of(thing)
        looks = self._looks.get(number, 0)
        if not isinstance(number, int) or number in self._names or looks >= _MOST_LOOKS:
            return
        self._looks[number] = looks + 1
        for variables in self._scopes(frame):
            for name, value in variables.items():
                if value is thing and name != "self" and not name.startswith("_"):
                    self._names[number] = name
                    return

    def name_of(self, number: Hashable, default: str) -> str:
        """The name of an object by its number; the default if it has none of its own."""
        name = self._names.get(number, default)
        # A variable may have been set to several objects.
        return name if list(self._names.values()).count(name) == 1 else default

    def _scopes(self, frame: FrameType) -> Iterator[Mapping[str, Any]]:
        """Where a reader looks for it: the variables of the program and its module, then here."""
        main = None if self._main is None else self._main()
        links = [] if main is None or is_running(main.get_coro()) else links_of(main.get_coro())
        frames = [link.frame for link in links if is_programs(link.frame.f_code.co_filename)]
        if frames:
            yield variables_of(frames[0])
            yield frames[0].f_globals
        yield frame.f_globals

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._names.clear()
        self._looks.clear()
