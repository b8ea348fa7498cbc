"""Checks the numbers that users give for runs of whole programs; imports nothing heavy."""

from __future__ import annotations

from aldente.errors import InvalidSetting


def parse_whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number that a user has given.

    Raises:
        InvalidSetting: it is none, or not within these bounds.

    >>> parse_whole("max_steps", 10, 1, 1_000)
    10
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidSetting(name, value, f"It must be a whole number from {least} to {most:,}.")


def parse_runs(name: str, value: object) -> int:
    """How many runs a user wants.

    Raises:
        InvalidSetting: it is no whole number of at least 1.

    >>> parse_runs("runs", 200)
    200
    """
    return parse_whole(name, value, 1, 10**12)


def parse_seed(name: str, value: object) -> int:
    """What a user has schedules and randomness follow from.

    Raises:
        InvalidSetting: it is no whole number of at least 0.

    >>> parse_seed("seed", 7)
    7
    """
    return parse_whole(name, value, 0, 2**64 - 1)


def whole_if_written(text: object) -> object:
    """The whole number that a text is, or else what was given.

    >>> whole_if_written("12"), whole_if_written("many")
    (12, 'many')
    """
    if isinstance(text, str):
        digits = text.strip().replace("_", "")
        if digits.isascii() and digits.isdigit():
            return int(digits)
    return text
