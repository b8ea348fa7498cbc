"""Tokens: schedules in a printable form.

A token is the version and, in URL-safe base 64 without padding: flags; slack, seed, digest and the
version of Python if present; each choice that is not 0, with the number of zeros before it; a
checksum of all that. It does not depend on the machine, and decoding it only computes numbers.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import math
import string
import struct
import zlib
from collections.abc import Iterable, Iterator

from aldente._schedules import Order, Schedule
from aldente.errors import InvalidToken

_VERSION = "3"
_LETTERS = frozenset(f"{string.ascii_letters}{string.digits}-_")
# The schedules of 1 let time pass while tasks were held, and chose no durations; those of 2 chose
# none for jobs, and ended by each sleep of the test itself what was late.
_OLDER = ("1", "2")
_IS_IO, _HAS_SLACK, _HAS_SEED, _HAS_DIGEST, _HAS_PYTHON = 1, 2, 4, 8, 16
_FLAGS = _IS_IO | _HAS_SLACK | _HAS_SEED | _HAS_DIGEST | _HAS_PYTHON

# Runs that are replayed have fewer choices. The limit keeps a forged token, of a dozen characters,
# from taking more than some 250 MB in a replay.
_MOST_CHOICES = 10_000_000
_MOST_SEED = 2**64 - 1


def digest_of(counts: Iterable[int]) -> int:
    """A 16-bit checksum of how many options each choice of a run had.

    >>> digest_of([2, 3]), digest_of([3, 2])
    (8647, 8208)
    """
    return zlib.crc32(b"".join(_number(count) for count in counts)) & 0xFFFF


def encode(schedule: Schedule) -> str:
    """The token of a schedule.

    >>> encode(Schedule(choices=(0, 0, 1)))
    '3AKERpQ'
    """
    flags = _IS_IO if schedule.order == "io" else 0
    parts = []
    if schedule.slack != 1.0:
        flags |= _HAS_SLACK
        parts.append(struct.pack(">d", schedule.slack))
    if schedule.seed:
        flags |= _HAS_SEED
        parts.append(_number(schedule.seed))
    digest = digest_of(schedule.counts) if schedule.counts else schedule.digest
    if digest is not None:
        flags |= _HAS_DIGEST
        parts.append(struct.pack(">H", digest))
    if schedule.python is not None:
        flags |= _HAS_PYTHON
        parts += map(_number, schedule.python)
    zeros = 0
    for choice in schedule.choices:
        if choice == 0:
            zeros += 1
            continue
        if zeros < 8 and choice < 16:
            parts.append(bytes([0x80 | zeros << 4 | choice]))
        else:
            parts.append(b"\0" + _number(zeros) + _number(choice))
        zeros = 0
    payload = bytes([flags]) + b"".join(parts)
    return _VERSION + base64.urlsafe_b64encode(payload + _checksum(payload)).decode().rstrip("=")


_FIX_OF_NEWER = "copy the token as it was printed; if a newer aldente printed it, use that version."


def decode(token: str) -> Schedule:
    """The schedule that a token stands for.

    Raises:
        InvalidToken: the token is malformed.

    >>> decode("3AKERpQ").choices
    (0, 0, 1)
    """
    payload = _payload_of(token)
    flags = payload[0]
    if flags & ~_FLAGS:
        reason = "It has parts that this version of aldente does not know."
        raise InvalidToken(token, reason, _FIX_OF_NEWER)
    rest = iter(payload[1:])
    try:
        slack = struct.unpack(">d", _take(rest, 8))[0] if flags & _HAS_SLACK else 1.0
        seed = _read_number(rest) if flags & _HAS_SEED else 0
        digest = struct.unpack(">H", _take(rest, 2))[0] if flags & _HAS_DIGEST else None
        has_python = flags & _HAS_PYTHON
        python = (_read_number(rest), _read_number(rest)) if has_python else None
        choices = _read_choices(rest)
    except (StopIteration, OverflowError):
        raise InvalidToken(token, "It ends in the middle, or its numbers are too large.") from None
    if not (math.isfinite(slack) and slack >= 0):
        raise InvalidToken(token, "Its slack is not a number of at least 0.")
    if seed > _MOST_SEED:
        raise InvalidToken(token, f"Its seed is greater than {_MOST_SEED}.")
    order: Order = "io" if flags & _IS_IO else "any"
    return Schedule(choices, (), order, slack, seed, digest, python)


def _payload_of(token: object) -> bytes:
    if not isinstance(token, str):
        raise InvalidToken(token, f"It must be a string, not {type(token).__name__}.")
    if len(token) < 5:
        raise InvalidToken(token, "It is too short.")
    if token[0] in _OLDER:
        reason = "An older aldente made it, whose schedules chose durations in another way."
        raise InvalidToken(token, reason, "search anew, or use the version that printed it.")
    if token[0] != _VERSION:
        reason = f"Its version, {token[0]!r}, is not known to this aldente."
        raise InvalidToken(token, reason, _FIX_OF_NEWER)
    if not _LETTERS.issuperset(token):
        raise InvalidToken(token, "It has characters that no token has.")
    text = token[1:].encode()
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        # No text has one character more than a multiple of four.
        data = b""
    payload, checksum = data[:-2], data[-2:]
    # The unused bits of the last character must be 0.
    is_whole = base64.urlsafe_b64encode(data).rstrip(b"=") == text
    if not is_whole or len(payload) < 1 or _checksum(payload) != checksum:
        raise InvalidToken(token, "Its checksum is wrong: a part of it is missing or has changed.")
    return payload


def _checksum(payload: bytes) -> bytes:
    return struct.pack(">H", zlib.crc32(_VERSION.encode() + payload) & 0xFFFF)


def _read_choices(rest: Iterator[int]) -> tuple[int, ...]:
    choices: list[int] = []
    for byte in rest:
        if byte & 0x80:
            zeros, choice = byte >> 4 & 7, byte & 15
        elif byte == 0:
            zeros, choice = _read_number(rest), _read_number(rest)
        else:
            raise StopIteration
        if zeros + len(choices) > _MOST_CHOICES:
            raise OverflowError
        choices.extend([0] * zeros)
        choices.append(choice)
    return tuple(choices)


def _number(number: int) -> bytes:
    """A number of at least 0, seven bits in each byte, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _read_number(rest: Iterator[int]) -> int:
    number = shift = 0
    while True:
        byte = next(rest)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7
        if shift > 70:
            raise OverflowError


def _take(rest: Iterator[int], count: int) -> bytes:
    taken = bytes(itertools.islice(rest, count))
    if len(taken) < count:
        raise StopIteration
    return taken
