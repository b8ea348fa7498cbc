"""Checks users' values, from code or a configuration, and reports the allowed ones.

Every message has the name of the setting or argument, the value, its type, and what is allowed. It
imports nothing heavy, as every start of pytest imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from aldente.errors import InvalidSetting

Choice = TypeVar("Choice", bound=str)


def parse_flag(name: str, value: object) -> bool:
    """Parse a user's yes or no, from code.

    Raises:
        InvalidSetting: it is neither True nor False.

    >>> parse_flag("wall", True)
    True
    """
    if isinstance(value, bool):
        return value
    raise InvalidSetting(name, value, "It must be True or False.")


def parse_one_of(
    allowed: Sequence[Choice], value: object, name: str, given: object, introduction: str
) -> Choice:
    """Parse a user's choice of several words.

    Args:
        allowed: the words.
        value: the user's value, or the part of it that must be the word.
        name: the name of the setting or argument, for the message.
        given: the whole value, for the message.
        introduction: the message's text before the words.

    Raises:
        InvalidSetting: it is none of them.

    >>> parse_one_of(("warn", "off"), "off", "rule", "off", "Valid levels are: ")
    'off'
    """
    for word in allowed:
        if value == word:
            return word
    raise InvalidSetting(name, given, f"{introduction}{', '.join(allowed)}.")


def parse_lines(name: str, values: object) -> tuple[str, ...]:
    """Parse a user's lines or words, from a configuration file; empty ones are skipped.

    Raises:
        InvalidSetting: it is not a list, or one of them is not a string, as TOML allows.

    >>> parse_lines("aldente_known_tasks", [" watch* ", ""])
    ('watch*',)
    """
    if not isinstance(values, (list, tuple)):
        raise InvalidSetting(name, values, "It must be a list of strings.")
    for each in values:
        if not isinstance(each, str):
            raise InvalidSetting(name, each, "It must be a list of strings.")
    return tuple(each.strip() for each in values if each.strip())


def parse_names(name: str, values: object, allowed: Sequence[str]) -> tuple[str, ...]:
    """Parse a user's names, all of which must be allowed ones.

    Raises:
        InvalidSetting: one is not.

    >>> parse_names("groups", ["files"], ["files"])
    ('files',)
    """
    names = parse_lines(name, values)
    for given in names:
        if given not in allowed:
            raise InvalidSetting(name, given, f"Allowed are: {', '.join(allowed)}.")
    return names


def parse_seconds(name: str, value: object) -> float:
    """Parse a user's length of time, in seconds.

    Raises:
        InvalidSetting: it is not a positive number.

    >>> parse_seconds("aldente_timeout", "2.5")
    2.5
    """
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        # It is not a number, or an integer that no float can be.
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < float("inf"):
        raise InvalidSetting(name, value, "It must be a number of seconds greater than 0.")
    return seconds


def parse_limit(name: str, value: object) -> float | None:
    """Parse a user's time limit, in seconds; None for no limit.

    Raises:
        InvalidSetting: it is neither a positive number nor 0 or empty, which mean no limit.

    >>> parse_limit("aldente_timeout", "0") is None
    True
    """
    if value is None or (isinstance(value, str) and value.strip() in ("", "0")):
        return None
    try:
        return None if value == 0 else parse_seconds(name, value)
    except InvalidSetting as error:
        allowed = "It must be a number of seconds greater than 0, or 0 for no limit."
        raise InvalidSetting(error.name, error.value, allowed) from None


def parse_duration(name: str, value: object, *, or_else: str = "") -> float:
    """Parse a length of time or a moment from code, in seconds; it may be 0.

    Args:
        name: the name of the argument, for the message.
        value: what was given.
        or_else: what else the argument may be, for the message.

    Raises:
        InvalidSetting: it is not a number of at least 0.

    >>> parse_duration("within", 2)
    2.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e300:
        return float(value)
    raise InvalidSetting(name, value, f"It must be a number of seconds of at least 0{or_else}.")


def parse_whole(name: str, value: object, least: int, most: int) -> int:
    """Parse a user's integer within bounds.

    Raises:
        InvalidSetting: it is none, or not within these bounds.

    >>> parse_whole("max_steps", 10, 1, 1_000)
    10
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidSetting(name, value, f"It must be a whole number from {least} to {most:,}.")


def parse_runs(name: str, value: object) -> int:
    """Parse a user's number of runs.

    Raises:
        InvalidSetting: it is not a whole number of at least 1.

    >>> parse_runs("runs", 200)
    200
    """
    return parse_whole(name, value, 1, 10**12)


def parse_workers(name: str, value: object) -> int:
    """Parse a user's number of processes.

    Raises:
        InvalidSetting: it is not a whole number of at least 1, or too great.

    >>> parse_workers("--workers", 4)
    4
    """
    return parse_whole(name, value, 1, 1_000)


def parse_seed(name: str, value: object) -> int:
    """Parse a user's seed.

    Raises:
        InvalidSetting: it is not a whole number of at least 0.

    >>> parse_seed("seed", 7)
    7
    """
    return parse_whole(name, value, 0, 2**64 - 1)


# No setting has more digits. Python reads no integer of more than some thousand, and says so by an
# error that names no setting.
_MOST_DIGITS = 100


def whole_if_written(text: object) -> object:
    """The integer in a string, or else the value itself.

    >>> whole_if_written("12"), whole_if_written("many")
    (12, 'many')
    """
    if isinstance(text, str):
        digits = text.strip().replace("_", "")
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            return int(digits)
    return text


def parse_count(name: str, value: object, *, or_else: str = "") -> int:
    """A whole number of at least 1 that is given in code.

    Args:
        name: the name of the argument, for the message.
        value: what was given.
        or_else: what else the argument may be, for the message.

    Raises:
        InvalidSetting: it is none.

    >>> parse_count("number", 3)
    3
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise InvalidSetting(name, value, f"It must be a whole number of at least 1{or_else}.")


def parse_exception(name: str, value: Any) -> BaseException | type[BaseException]:
    """An exception, or a class of exceptions, that is given in code.

    Raises:
        InvalidSetting: it is neither.

    >>> parse_exception("raises", ValueError)
    <class 'ValueError'>
    """
    if not is_exception(value):
        raise InvalidSetting(name, value, "It must be an exception, or a class of exceptions.")
    exception: BaseException | type[BaseException] = value
    return exception


def is_exception(value: object) -> bool:
    """Whether a value is an exception, or a class of them."""
    return isinstance(value, BaseException) or (
        isinstance(value, type) and issubclass(value, BaseException)
    )


def parse_function(name: str, value: Any) -> Any:
    """A function or coroutine function that is given in code.

    Raises:
        InvalidSetting: it can't be called.

    >>> parse_function("calls", len)
    <built-in function len>
    """
    if not callable(value):
        raise InvalidSetting(name, value, "It must be a function or coroutine function.")
    return value
