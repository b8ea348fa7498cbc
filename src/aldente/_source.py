"""Which code is the user's, the place of a frame or function in it, and the frame of a caller."""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from aldente._records import SourcePlace


@functools.cache
def _folders_of_others() -> tuple[str, ...]:
    """The folders of Python's own modules, installed packages and their commands, and aldente."""
    # Imported here, as it takes some milliseconds and most runs do not need it.
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    folders = {*map(sysconfig.get_path, names), os.path.dirname(__file__)}
    folders |= set(map(os.path.realpath, folders))
    return tuple(os.path.join(folder, "") for folder in folders)


@functools.lru_cache(maxsize=4096)
def is_users(path: str) -> bool:
    """Whether a source file is the user's: not Python's, not an installed package's, not aldente's.

    >>> is_users(linecache.__file__)
    False
    """
    # Cython modules have a path inside their package.
    if not os.path.isabs(path) or os.path.realpath(path).startswith(_folders_of_others()):
        return False
    # An installer may link each file of a package to its cache. A folder that is a link is a
    # package that the user develops.
    return not (path.startswith(_folders_of_others()) and os.path.islink(path))


def is_programs(path: str) -> bool:
    """Whether code belongs to a program: the user's, or code from a prompt or a string.

    >>> is_programs("<stdin>"), is_programs("<frozen os>")
    (True, False)
    """
    return is_users(path) or (path.startswith("<") and not path.startswith("<frozen"))


def is_own(path: str) -> bool:
    """Whether a source file is aldente's.

    >>> is_own(__file__)
    True
    """
    return path.startswith(_OWN_FOLDER)


_OWN_FOLDER = os.path.join(os.path.dirname(__file__), "")


def users_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of the user's code, from a frame outwards; None when there is none."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def place_of(frame: FrameType) -> SourcePlace:
    """The place of a frame, with its full path."""
    return SourcePlace(frame.f_code.co_filename, frame.f_lineno)


def users_place(frame: FrameType | None) -> SourcePlace | None:
    """The place of the innermost frame of the user's code, or else of the given frame."""
    found = users_frame(frame) or frame
    return None if found is None else place_of(found)


def place_of_caller(levels: int) -> SourcePlace | None:
    """The place of the innermost frame of the user's code that led to a call.

    Args:
        levels: how many callers to skip, the caller of this function being the first.
    """
    return users_place(caller(levels + 1))


def caller(levels: int = 1) -> FrameType | None:
    """The frame that called the caller of this function, or one further out.

    A variable with a function's own frame would keep the frame alive until the next garbage
    collection, and with it all variables of its callers.

    Args:
        levels: how many callers to skip, the caller of this function being the first.
    """
    frame = inspect.currentframe()
    for _ in range(levels + 1):
        frame = frame.f_back if frame is not None else None
    return frame


def source_line(place: SourcePlace) -> str:
    """The line of source code at a place, without its indentation; empty if it can't be read."""
    return linecache.getline(place.path, place.line).strip()


def place_of_function(function: Callable[..., Any], folder: Path) -> SourcePlace:
    """The file and line of a function; the path is relative to a folder if inside it."""
    code = _code_of(function)
    return SourcePlace.relative_to(code.co_filename, code.co_firstlineno, folder)


def warn_at(function: Callable[..., Any], warning: Warning) -> None:
    """Warn with the place of the user's function that a warning is about.

    Where warnings are errors, a note has the place, as the traceback has only aldente's lines.
    """
    __tracebackhide__ = True
    code = _code_of(function)
    try:
        warnings.warn_explicit(warning, None, code.co_filename, code.co_firstlineno)
    except Warning as error:
        error.add_note(f"It is about {code.co_name}() at {code.co_filename}:{code.co_firstlineno}.")
        raise


def _code_of(function: Callable[..., Any]) -> CodeType:
    code: CodeType = inspect.unwrap(getattr(function, "__func__", function)).__code__
    return code


def caller_finder() -> Callable[[], Any]:
    """What a function calls to get the frame that has called it, as by ``frame_at(1)``.

    ``frame_at`` raises an audit event, for which Python calls all hooks: that takes ten times as
    long as the rest. A generator knows its own frame, which is asked for once, and what is below it
    at each call. It can't be called by two threads at once, and gives nothing any more once an
    interrupt has ended it. Checked on CPython 3.11 to 3.15.

    >>> find = caller_finder()
    >>> def name_of_caller():
    ...     return find().f_code.co_name
    >>> (lambda: name_of_caller())()
    '<lambda>'
    """
    find: Callable[[], Any] = frames_of_callers(1).__next__
    return find


def frames_of_callers(above: int) -> Generator[Any, None, None]:
    """The same as a generator, which ends when an interrupt has ended it.

    Args:
        above: 1 for the caller of the function that asks, 2 for the caller of that one.
    """
    frames: Any = (_frames_of_callers, _frames_of_their_callers)[above - 1]()
    next(frames)
    frames.send(frames.gi_frame)
    found: Generator[Any, None, None] = frames
    return found


def _frames_of_callers() -> Generator[Any, Any, None]:
    own = yield
    yield
    while True:
        yield own.f_back.f_back


def _frames_of_their_callers() -> Generator[Any, Any, None]:
    own = yield
    yield
    while True:
        yield own.f_back.f_back.f_back
