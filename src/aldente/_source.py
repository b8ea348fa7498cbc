"""Which code is the user's, and where a frame of it stands."""

from __future__ import annotations

import functools
import inspect
import linecache
import os
from types import FrameType

from aldente._records import SourcePlace


@functools.cache
def _folders_of_others() -> tuple[str, ...]:
    """Where Python's own modules, installed packages and aldente lie."""
    # Not above: it takes some milliseconds, and most runs never ask.
    import sysconfig

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {*map(sysconfig.get_path, names), os.path.dirname(__file__)}
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)


@functools.lru_cache(maxsize=4096)
def is_users(path: str) -> bool:
    """Whether a source file is the user's: not Python's, not an installed package's, not aldente's.

    >>> is_users(linecache.__file__)
    False
    """
    # Modules of Cython give a path inside their package.
    return os.path.isabs(path) and not os.path.realpath(path).startswith(_folders_of_others())


def is_programs(path: str) -> bool:
    """Whether code is of a program: the user's, or what was typed in or made from a text.

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
    """Where a frame stands, with its full path."""
    return SourcePlace(frame.f_code.co_filename, frame.f_lineno)


def users_place(frame: FrameType | None) -> SourcePlace | None:
    """Where the innermost frame of the user's code stands, or else the given frame."""
    found = users_frame(frame) or frame
    return None if found is None else place_of(found)


def place_of_caller(levels: int) -> SourcePlace | None:
    """Where the innermost frame of the user's code stands that has led to a call.

    Args:
        levels: how many callers are passed over, the caller of this function being the first.
    """
    return users_place(caller(levels + 1))


def caller(levels: int = 1) -> FrameType | None:
    """The frame that has called the caller of this function, or one further out.

    A function that has its own frame in a variable keeps itself alive after its end, until the
    garbage collector comes, and with it all that its callers had in theirs.

    Args:
        levels: how many callers are passed over, the caller of this function being the first.
    """
    frame = inspect.currentframe()
    for _ in range(levels + 1):
        frame = frame.f_back if frame is not None else None
    return frame


def source_line(place: SourcePlace) -> str:
    """The line of source code at a place, without its indentation; empty when it can't be read."""
    return linecache.getline(place.path, place.line).strip()
