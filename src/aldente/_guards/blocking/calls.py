"""A blocking call, as a fact."""

from __future__ import annotations

import enum
import reprlib
from typing import NamedTuple


class Topic(enum.Enum):
    """What a call waits for, which decides what is done about it."""

    SLEEP = enum.auto()
    NETWORK = enum.auto()
    NAMES = enum.auto()
    SUBPROCESS = enum.auto()
    INPUT = enum.auto()
    DATABASE = enum.auto()
    FILE_LOCK = enum.auto()
    THREADS = enum.auto()
    DESCRIPTORS = enum.auto()
    FILES = enum.auto()
    CONFIGURED = enum.auto()


class BlockingCall(NamedTuple):
    """A call that blocks its thread.

    Attributes:
        name: the function, as users know it.
        topic: what it waits for.
        arguments: the arguments that help to recognise the call, as they are written.
    """

    name: str
    topic: Topic
    arguments: str = ""


def written(value: object) -> str:
    """A value as it is written in code, shortened.

    >>> written(0.5)
    '0.5'
    """
    return _SHORTENED.repr(value)


_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = 60
