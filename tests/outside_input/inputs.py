"""Malformed inputs, made of valid ones or at random; the same for the same `random.Random`."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import struct
import zlib
from random import Random
from typing import Any

# Filled by a pickle among the inputs when something executes it.
executed: list[str] = []


class Forged:
    """Its pickle executes code, as any may."""

    def __reduce__(self) -> Any:
        code = f"import {__name__} as inputs; inputs.executed.append('executed')"
        return exec, (code,)


# Files of other formats, and what disturbs readers of any.
ODD_BYTES: tuple[bytes, ...] = (
    b"",
    b"\0",
    b"\n",
    b"\xff\xfe\xfa",
    b"\xef\xbb\xbf{}",
    b"PK\x03\x04",
    b"\x7fELF\x02\x01\x01",
    b"SQLite format 3\0",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>",
    b"!!python/object/apply:os.getcwd []",
    b"__import__('os').getcwd()",
    b"null",
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b"9" * 10_000,
    b"1e999",
    b"0x41",
    pickle.dumps(Forged()),
    pickle.dumps(Forged(), 0),
    zlib.compress(b"\0" * 100_000, 9),
)

ODD_TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\0",
    "\n",
    "\x1b[31m",
    "\ud800",
    "\udcff\udcfe",
    "\u202e\u0661\u0662",
    "١٢",
    "½",
    "²",
    "true",
    "None",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-0",
    "-1",
    "0.0",
    "1_0",
    "1__0",
    "0x10",
    "9" * 30,
    "9" * 5_000,
    "1/0",
    "0/0",
    "2/1",
    "9" * 5_000 + "/" + "9" * 5_001,
    "=",
    "a=b=c",
    "slow-step=",
    "=error",
    "../../etc/passwd",
    "/dev/null/x",
    "a" * 5_000,
    "(" * 500,
    "[[" * 500,
    "%s%n{0.__class__}",
    "$(touch x)`touch x`",
    "0001-01-01T00:00+23:59",
    "0001-01-01",
    "9999-12-31T23:59-23:59",
    "9999-12-31T23:59:59.999999",
    "1969-12-31T23:59Z",
    "2030-02-30",
    "2030-W01-1T00",
    "os.system",
    ".a",
    "a.",
    "a..b",
    "'unbalanced",
    '"unbalanced',
    "\\",
)

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    -(10**400),
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "\ud800",
    "\0",
    "a" * 10_000,
    "9" * 5_000,
    "f" * 10_000,
    "-f",
    [],
    [[]],
    [1, 2],
    {},
    {"a": 1},
    {"__class__": "os.system"},
)


def odd_text(random: Random) -> str:
    """A text that is no input of anything, or of another thing."""
    if random.random() < 0.5:
        return random.choice(ODD_TEXTS)
    letters = "019.:/=-_+ \t\n\0'\"\\[]{}eEaZtrue\u0661\u00e9\ud800\U0001f600"
    return "".join(random.choices(letters, k=random.randrange(30)))


def odd_bytes(random: Random) -> bytes:
    """Bytes that are no input of anything, or of another thing."""
    if random.random() < 0.5:
        return random.choice(ODD_BYTES)
    return random.randbytes(random.randrange(200))


def changed_bytes(valid: bytes, random: Random) -> bytes:
    """Valid bytes, damaged: cut, bytes changed, left out, put in or repeated."""
    data = bytearray(valid)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        place = random.randrange(len(data) + 1)
        end = min(len(data), place + random.choice((1, 1, 4, 50)))
        match random.randrange(6):
            case 0:
                del data[place:]
            case 1:
                del data[place:end]
            case 2:
                data[place:end] = random.randbytes(end - place)
            case 3:
                data[place:place] = data[place:end] * random.choice((1, 2, 100))
            case 4:
                data[place:place] = odd_bytes(random)[:1_000]
            case _:
                data[place:end] = bytes(byte ^ 1 << random.randrange(8) for byte in data[place:end])
    return bytes(data)


def changed_text(valid: str, random: Random) -> str:
    """A valid text, damaged: cut, characters changed, left out, put in or repeated."""
    place = random.randrange(len(valid) + 1)
    end = min(len(valid), place + random.choice((1, 1, 3)))
    middle = random.choice(
        ("", valid[place:end] * 2, valid[place:end].swapcase(), odd_text(random))
    )
    rest = random.choice((valid[end:], valid[end:], valid[end:], ""))
    return valid[:place] + middle + rest


def changed_json(valid: Any, random: Random) -> Any:
    """A valid value with one or several parts of another type or value, missing or repeated."""
    changed = json.loads(json.dumps(valid))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        places = list(_places_in(changed))
        if not places:
            return odd_value(random)
        container, key = random.choice(places)
        match random.randrange(6):
            case 0:
                del container[key]
            case 1 if isinstance(container, list):
                container.insert(key, container[key])
            case 2 if isinstance(container, dict):
                container[random.choice(ODD_TEXTS)] = container.pop(key)
            case 3 if isinstance(container[key], str):
                container[key] = changed_text(container[key], random)
            case 4 if type(container[key]) is int:
                container[key] += random.choice((-1, 1, 2**16, 2**62))
            case _:
                container[key] = odd_value(random)
    return changed


def odd_value(random: Random) -> Any:
    """A value of any type of JSON, or one that JSON does not have."""
    value = copy.deepcopy(random.choice(ODD_VALUES))
    for _ in range(random.choice((0, 0, 0, 1, 30))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value


def _places_in(value: Any) -> Any:
    """The places of all parts of a value: what contains each, and its key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(pairs):
        yield value, key
        if isinstance(part, (dict, list)):
            yield from _places_in(part)


def json_bytes(valid: Any, random: Random) -> bytes:
    """A file that is nearly one of JSON."""
    chance = random.random()
    if chance < 0.1:
        return odd_bytes(random)
    whole = json.dumps(valid).encode()
    if chance < 0.3:
        return changed_bytes(whole, random)
    changed = json.dumps(changed_json(valid, random)).encode()
    return changed if chance < 0.9 else changed_bytes(changed, random)


def with_checksum(payload: bytes) -> str:
    """The token with a payload, whatever that is, as `aldente._simulation.tokens` writes it."""
    checksum = struct.pack(">H", zlib.crc32(b"3" + payload) & 0xFFFF)
    return "3" + base64.urlsafe_b64encode(payload + checksum).decode().rstrip("=")


def payload_of(token: str) -> bytes:
    """The payload of a valid token."""
    text = token[1:]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-2]


# Numbers as tokens have them: a million zeros, more than any run has, and those that are no numbers.
_GREAT = (b"\xff\xff\x3f", b"\xff\xff\xff\xff\xff\x7f", b"\xff" * 12, b"\x80" * 9 + b"\x01")


def nearly_token(token: str, random: Random) -> str:
    """A text that is nearly a token; more often than not its checksum is right."""
    chance = random.random()
    if chance < 0.15:
        return odd_text(random)
    if chance < 0.4:
        return changed_text(token, random)
    payload = bytearray(payload_of(token))
    if chance < 0.6:
        return with_checksum(changed_bytes(bytes(payload), random))
    if chance < 0.7:
        return with_checksum(odd_bytes(random)[:500])
    payload[0] = random.randrange(32)
    place = random.randrange(1, len(payload) + 1)
    payload[place:place] = random.choice((b"", b"\0")) + random.choice(_GREAT)
    return with_checksum(bytes(payload))
