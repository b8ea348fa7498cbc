"""What a thread does right now, seen without keeping anything of it alive.

A frame in a variable keeps alive all that its function has in its own, and that of its callers.
Whoever looks at the frames of another thread and loses the GIL meanwhile, as anybody may who runs
Python code, has that thread meet objects that should be gone. So frames are walked by functions
written in C, which are put together and called once. Nothing else runs before that call ends, and
what it gives are code objects, numbers and names.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import itertools
import operator
import re
from collections.abc import Callable, Iterator
from itertools import accumulate, chain, compress, islice, repeat, takewhile, tee
from types import FrameType
from typing import Any, NamedTuple

from aldente import _python_compat
from aldente._records import SourcePlace

# Gives the frame that each thread is running, by the thread's identifier.
GetFrames = Callable[[], dict[int, FrameType]]


class Entry(NamedTuple):
    """What is seen of a frame.

    Attributes:
        path: the file of the function that it runs.
        line: the line that it has come to.
        function: the name of the function.
        module: the name of the function's module; empty when it has none.
    """

    path: str
    line: int
    function: str
    module: str

    @property
    def place(self) -> SourcePlace:
        """Where it stands."""
        return SourcePlace(self.path, self.line)


class Stack:
    """The frames of a thread, as they are whenever they are asked for.

    Args:
        thread: its identifier.
        get_frames: what gives the frames of all threads; a function written in C, apart from tests.
    """

    def __init__(
        self, thread: int, get_frames: GetFrames = _python_compat.frames_of_threads
    ) -> None:
        self._thread = thread
        self._get_frames = get_frames

    def innermost(self) -> Entry | None:
        """What the thread runs; None when there is no such thread."""
        walks = self._walks(2)
        shown = list(islice(zip(map(repr, walks.pop()), _modules(walks.pop()), strict=False), 1))
        return _entry(*shown[0]) if shown else None

    def entries(self) -> list[Entry]:
        """Its frames, innermost first, as far as they belong to the present step of its loop."""
        walks = self._walks(2)
        shown = list(zip(map(repr, walks.pop()), _modules(walks.pop()), strict=True))
        return list(itertools.takewhile(_is_in_step, itertools.starmap(_entry, shown)))

    def step(self) -> int | None:
        """The number of the step that its loop is in; None when it is in none.

        A step that is seen for the first time gets the next number, which is kept among the
        variables of the function of asyncio's that runs it, and so goes with it.
        """
        number = operator.methodcaller("setdefault", _NUMBER_OF_STEP, next(_numbers))
        walks = self._walks(4)
        shown = map(repr, _asyncios(walks))
        numbers = map(number, map(_variables_of, _asyncios(walks)))
        pairs = [zip(shown, numbers, strict=True)]
        del shown, numbers
        for text, value in list(pairs.pop()):
            if text.endswith(_STEP):
                found: int = value
                return found
        return None

    def has_in(self, index: int, variable: str, attribute: str) -> bool:
        """Whether an attribute of what a variable of a frame refers to is there and not empty.

        Args:
            index: that of the frame, the innermost being 0.
            variable: the name of the variable.
            attribute: the name of the attribute.
        """
        get = operator.methodcaller("get", variable)
        walks = self._walks(1)
        return any(
            list(map(bool, _attributes(islice(walks.pop(), index, index + 1), get, attribute)))
        )

    def _walks(self, number: int) -> list[Iterator[FrameType]]:
        """Iterators that give its frames, innermost first, which they find when first asked.

        To leave nothing behind they are popped, and given to the call that goes through them.
        """
        innermost = map(dict.get, map(operator.call, (self._get_frames,)), (self._thread,))
        return list(map(_frames_from, tee(innermost, number)))


def _frames_from(innermost: Iterator[FrameType | None]) -> Iterator[FrameType]:
    values: Iterator[Any] = chain(innermost, repeat("f_back"))
    callers = accumulate(values, getattr)
    return takewhile(_is_there, callers)


def _asyncios(walks: list[Iterator[FrameType]]) -> Iterator[FrameType]:
    """The frames of the module of asyncio in which a step is taken."""
    are_there = map(operator.is_, map(_globals_of, walks.pop()), repeat(vars(asyncio.events)))
    return compress(walks.pop(), are_there)


def _modules(frames: Iterator[FrameType]) -> Iterator[object]:
    return map(dict.get, map(_globals_of, frames), repeat("__name__"))


def _attributes(
    frames: Iterator[FrameType], get: Callable[[object], object], attribute: str
) -> Iterator[object]:
    return map(getattr, map(get, map(_variables_of, frames)), repeat(attribute), repeat(None))


def _entry(shown: str, module: object) -> Entry:
    """What is told of a frame by how it shows itself, and its module's name."""
    found = _SHOWN.fullmatch(shown)
    assert found is not None, shown
    path, line, function = found.groups()
    return Entry(_unquoted(path), int(line), function, module if isinstance(module, str) else "")


def _is_in_step(entry: Entry) -> bool:
    return entry.function != "_run" or entry.module != asyncio.events.__name__


@functools.lru_cache(maxsize=4096)
def _unquoted(path: str) -> str:
    unquoted: str = ast.literal_eval(path)
    return unquoted


# Frames have their code in ``f_code``. But that, as `id`, tells audit hooks of each use, and these
# run Python code. What a frame shows of itself was checked on CPython 3.11 to 3.15.
_SHOWN = re.compile(r"<frame at \w+, file (.+), line (-?\d+), code (.+)>", re.DOTALL)
_STEP = ", code _run>"

_globals_of = operator.attrgetter("f_globals")
_variables_of = operator.attrgetter("f_locals")
_is_there = functools.partial(operator.is_not, None)

_NUMBER_OF_STEP = "number of the step, for aldente"
_numbers = itertools.count(1)
