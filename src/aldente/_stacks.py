"""The stack of a thread at one moment.

A frame in a variable keeps alive all variables of its function and its callers. If a thread
inspects the frames of another one and loses the GIL meanwhile, the other one meets objects that
should be gone. So a `Stack` walks them by `atomic_list`, and returns only numbers and names.

A thread can lose the GIL between two instructions of Python code, and so in functions that the
garbage collector calls. On CPython 3.11 the collector may run whenever an object is made; on later
versions it runs between two instructions, and in ``repr()``. So with the collector disabled, one
call of a C function that uses only iterators written in C is atomic: no other thread runs.

This matters most for frames of other threads. CPython 3.11 creates a frame object on each access.
If the collector runs for that, and the other thread returns from the function meanwhile, the
interpreter writes to memory that is used for something else by then. (CPython issue 106883 is about
the same in ``sys._current_frames``.)

The functions that return frames do the same one step at a time, for threads that have stopped,
whose frames may be kept for a moment.
"""

from __future__ import annotations

import functools
import gc
import inspect
import itertools
import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, islice, repeat, takewhile, tee
from types import FrameType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple, TypeVar

from aldente import _python_compat
from aldente._records import SourcePlace

Value = TypeVar("Value")


def atomic_list(make: Callable[[], Iterator[Value]]) -> list[Value]:
    """Return all values of an iterator, while no other thread runs.

    >>> atomic_list(lambda: map(abs, (1, -2)))
    [1, 2]

    Args:
        make: returns an iterator that is written in C throughout, with all that it calls. No
            variable should refer to that iterator: most keep their last value alive.
    """
    # Read within that one call too, as another thread may change it before.
    was_enabled, is_to_be_enabled = tee(map(operator.call, (_is_enabled,)))
    try:
        return list(
            chain(
                _called((_collect_if_due,)),
                _called(compress((_disable,), was_enabled)),
                # A collection that is due already would still run.
                _called((_collect_if_due,)),
                make(),
                _called(compress((_enable,), is_to_be_enabled)),
            )
        )
    except BaseException:
        if any(is_to_be_enabled):
            _enable()
        raise


def _called(functions: Iterable[Callable[[], object]]) -> Iterator[Any]:
    """An iterator that calls functions and has no values."""
    return compress(map(operator.call, functions), repeat(False))


# The originals: a test's replacements may not be written in C.
_is_enabled, _disable, _enable = gc.isenabled, gc.disable, gc.enable
_collect_if_due = functools.partial(repr, "")


# Returns the frame that each thread is running, by the thread's identifier.
GetFrames = Callable[[], dict[int, FrameType]]


def frames_of_threads(
    get_frames: GetFrames = _python_compat.get_frames_of_threads, without: Sequence[int] = ()
) -> dict[int, FrameType]:
    """The frame that each thread is running now, by the thread's identifier.

    Args:
        get_frames: returns the frames of all threads; a C function, except in tests.
        without: identifiers of threads to leave out, whose variables it does not keep alive.
    """
    [frames] = atomic_list(lambda: _leaving_out(without, map(operator.call, (get_frames,))))
    return frames


def _leaving_out(
    threads: Sequence[int], frames: Iterator[dict[int, FrameType]]
) -> Iterator[dict[int, FrameType]]:
    frames, changed = tee(frames)
    each = chain.from_iterable(map(repeat, changed, (len(threads),)))
    left_out: Iterator[Any] = map(dict.pop, each, threads, repeat(None))
    return chain(compress(left_out, repeat(False)), frames)


def with_callers(frame: FrameType | None) -> list[FrameType]:
    """A frame and its callers, from it outwards; any thread may be running them."""
    return [] if frame is None else atomic_list(lambda: _frames_from(iter((frame,))))


def frame_of(awaitable: object, attribute: str = "cr_frame") -> FrameType | None:
    """The frame of a coroutine or a generator, which any thread may be running.

    Skips attributes that are written in Python, as reading them would run the user's code.

    Args:
        awaitable: anything; the result is None if it has no frame.
        attribute: the name of the attribute with the frame.
    """
    mro = _mro_of(type(awaitable))
    found = next((vars(kind)[attribute] for kind in mro if attribute in vars(kind)), None)
    if not isinstance(found, (GetSetDescriptorType, MemberDescriptorType)):
        return None
    [frame] = atomic_list(lambda: map(getattr, (awaitable,), (attribute,), (None,)))
    return frame if isinstance(frame, FrameType) else None


# The MRO of a class, without its metaclass's code.
_mro_of: Callable[[type], tuple[type, ...]] = vars(type)["__mro__"].__get__


def variables_of(frame: FrameType) -> dict[str, Any]:
    """The variables of an active function; empty if they can't be read.

    Before Python 3.13 reading them leaves a copy in the frame, which would keep the values alive
    for as long as the function runs; this clears the copy, unless the function uses it itself.
    """
    try:
        [shown] = atomic_list(lambda: map(_variables_of, (frame,)))
        variables = dict(shown)
        is_a_copy = sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED
        if is_a_copy and sys.getrefcount(shown) == _REFERENCES_TO_COPY:
            shown.clear()
    except Exception:  # a variable with a broken hash or a frame that another thread clears
        return {}
    return variables


# From the frame, the variable, and the argument of `sys.getrefcount`.
_REFERENCES_TO_COPY = 3


class Entry(NamedTuple):
    """A frame in a stack.

    Attributes:
        path: the file of the function that it runs.
        line: the line that it is at.
        function: the name of the function.
        module: the name of the function's module; empty if it has none.
    """

    path: str
    line: int
    function: str
    module: str

    @property
    def place(self) -> SourcePlace:
        """Its place in the source."""
        return SourcePlace(self.path, self.line)


class Stack:
    """The frames of a thread, read again on each call.

    Args:
        thread: its identifier.
        get_frames: returns the frames of all threads; a C function, except in tests.
    """

    def __init__(
        self, thread: int, get_frames: GetFrames = _python_compat.get_frames_of_threads
    ) -> None:
        self._thread = thread
        self._get_frames = get_frames

    def innermost(self) -> Entry | None:
        """The frame that the thread runs; None if there is no such thread."""
        for shown, module in atomic_list(lambda: _shown(islice(self._frames(), 1))):
            return _entry(shown, module)
        return None

    def entries(self) -> list[Entry]:
        """Its frames, innermost first, those of the current step of its loop."""
        found = atomic_list(lambda: _shown(self._frames()))
        return list(takewhile(_is_in_step, itertools.starmap(_entry, found)))

    def step(self) -> int | None:
        """The number of its loop's current step; None outside of a step.

        A step that is seen for the first time gets the next number, which is stored among the
        variables of asyncio's function that runs it, and so disappears with it.
        """
        number = operator.methodcaller("setdefault", _NUMBER_OF_STEP, next(_numbers))
        for shown, value in atomic_list(lambda: _numbered(_asyncios(self._frames()), number)):
            if shown.endswith(_STEP):
                return value
        return None

    def has_in(self, index: int, variable: str, attribute: str) -> bool:
        """Whether the object in a frame's variable has an attribute that is not empty.

        Args:
            index: the index of the frame, the innermost being 0.
            variable: the name of the variable.
            attribute: the name of the attribute.
        """
        get = operator.methodcaller("get", variable)
        return any(
            atomic_list(
                lambda: map(
                    bool, _attributes(islice(self._frames(), index, index + 1), get, attribute)
                )
            )
        )

    def _frames(self) -> Iterator[FrameType]:
        """A lazy iterator over its frames, innermost first."""
        return _frames_from(map(dict.get, map(operator.call, (self._get_frames,)), (self._thread,)))


def _frames_from(innermost: Iterator[FrameType | None]) -> Iterator[FrameType]:
    values: Iterator[Any] = chain(innermost, repeat("f_back"))
    return takewhile(_is_there, accumulate(values, getattr))


def _asyncios(frames: Iterator[FrameType]) -> Iterator[FrameType]:
    """The frames of asyncio's module that runs steps."""
    # A run without async tests does not import it.
    module = sys.modules.get(_STEPPING)
    frames, looked_at = tee(frames)
    are_there = map(
        operator.is_, map(_globals_of, looked_at), repeat(getattr(module, "__dict__", None))
    )
    return compress(frames, are_there)


def _shown(frames: Iterator[FrameType]) -> Iterator[tuple[str, object]]:
    """The repr of each frame, and the name of its module."""
    frames, others = tee(frames)
    modules = map(dict.get, map(_globals_of, others), repeat("__name__"))
    return zip(map(repr, frames), modules, strict=True)


def _numbered(
    frames: Iterator[FrameType], number: Callable[[object], int]
) -> Iterator[tuple[str, int]]:
    """The repr of each frame, and a function's result for its variables."""
    frames, others = tee(frames)
    return zip(map(repr, frames), map(number, map(_variables_of, others)), strict=True)


def _attributes(
    frames: Iterator[FrameType], get: Callable[[object], object], attribute: str
) -> Iterator[object]:
    return map(getattr, map(get, map(_variables_of, frames)), repeat(attribute), repeat(None))


def _entry(shown: str, module: object) -> Entry:
    """Make an entry from the repr of a frame and the name of its module."""
    found = _SHOWN.fullmatch(shown)
    assert found is not None, shown
    path, line, function = found.groups()
    return Entry(_unquoted(path), int(line), function, module if isinstance(module, str) else "")


def _is_in_step(entry: Entry) -> bool:
    return entry.function != "_run" or entry.module != _STEPPING


@functools.lru_cache(maxsize=4096)
def _unquoted(text: str) -> str:
    """The string in a literal.

    Not by `ast`: on CPython 3.11 the parser fails if another thread uses it meanwhile.
    """
    return text[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")


def import_codecs() -> None:
    """Import the codec that names in stacks need, which opens its file, before anything is read."""
    # Of something: Python looks up no codec for what is empty.
    _unquoted("'a'")


# Frames have their code in ``f_code``. But reading that, like `id`, raises an audit event, and
# audit hooks run Python code. The repr of a frame was checked on CPython 3.11 to 3.15.
_SHOWN = re.compile(r"<frame at \w+, file (.+), line (-?\d+), code (.+)>", re.DOTALL)
_STEP = ", code _run>"
_STEPPING = "asyncio.events"

_globals_of = operator.attrgetter("f_globals")
_variables_of = operator.attrgetter("f_locals")
_is_there = functools.partial(operator.is_not, None)

_NUMBER_OF_STEP = "number of the step, for aldente"
_numbers = itertools.count(1)
