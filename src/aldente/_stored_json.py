"""Reads JSON from files that anyone may have changed: each value must be of the type asked for.

For any text, the result is a plain value, or it raises `Malformed`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn


class Malformed(ValueError):
    """Stored JSON is not what it must be; the text says what is wrong."""


def parsed(text: str) -> Any:
    """The value of a text.

    Raises:
        Malformed: it is no JSON, or nested too deeply.

    >>> parsed("[1, 2]")
    [1, 2]
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"it is not JSON: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    # As JSON does; json.dumps writes them all the same.
    raise Malformed(f"it is not JSON: {name} is no number")


def record(value: object, *names: str) -> Mapping[str, Any]:
    """A value that must be an object, with certain keys among others.

    >>> record({"test": "a"}, "test")
    {'test': 'a'}
    """
    if not isinstance(value, dict):
        raise _wrong(value, "an object")
    for name in names:
        if name not in value:
            raise Malformed(f"it has no {name!r}")
    return value


def array(value: object, length: int | None = None) -> list[Any]:
    """A value that must be an array, of a certain length if one is given.

    >>> array([1, 2], 2)
    [1, 2]
    """
    if not isinstance(value, list):
        raise _wrong(value, "an array")
    if length is not None and len(value) != length:
        raise Malformed(f"an array of {length} has a length of {len(value)}")
    return value


def string(value: object) -> str:
    """A value that must be a string.

    >>> string("a")
    'a'
    """
    if not isinstance(value, str):
        raise _wrong(value, "a string")
    return value


def flag(value: object) -> bool:
    """A value that must be true or false.

    >>> flag(True)
    True
    """
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def whole(value: object, least: int = 0, most: int = 2**63 - 1) -> int:
    """A value that must be an integer within bounds.

    >>> whole(3, most=7)
    3
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(value, f"a whole number from {least} to {most}")
    return value


def number(value: object) -> float:
    """A value that must be a number of at least 0.

    >>> number(2)
    2.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if 0 <= found < math.inf:
            return found
    raise _wrong(value, "a number of at least 0")


def shown(value: object) -> str:
    """A value for a message, which may be as long as the file.

    >>> shown("a" * 1_000)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = str(value)
    if not text.isprintable():
        text = ascii(text)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


_WIDTH = 60


def _wrong(value: object, wanted: str) -> Malformed:
    given = f"{value!r:.200}" if isinstance(value, str) else value
    return Malformed(f"{shown(given)} stands where {wanted} must be")
