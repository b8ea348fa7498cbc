"""Checks of arguments, which fail as those of Python's own sockets do."""

from __future__ import annotations

import os
import socket
from typing import Any

# The longest path that an address has room for.
_LONGEST_PATH = 108

Address = Any


def checked_address(method: str, family: int, address: Address) -> Address:
    """An address of a family, as its own socket gives it.

    Args:
        method: the name of the socket's method that was called.
        family: the family.
        address: what was given.

    Raises:
        TypeError, OverflowError, OSError: as Python's socket does.
    """
    if family == socket.AF_UNIX:
        return _checked_path(address)
    name = socket.AddressFamily(family).name
    if not isinstance(address, tuple):
        raise TypeError(f"{method}(): {name} address must be tuple, not {type(address).__name__}")
    lengths = range(2, 5) if family == socket.AF_INET6 else range(2, 3)
    if len(address) not in lengths:
        wanted = "a tuple (host, port[, flowinfo[, scopeid]])" if len(lengths) > 1 else "a pair"
        raise TypeError(f"{method}(): {name} address must be {wanted} (host, port)")
    host, port = address[0], address[1]
    if not isinstance(host, (str, bytes, bytearray)):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if not hasattr(port, "__index__"):
        raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
    if not 0 <= int(port) <= 0xFFFF:
        raise OverflowError(f"{method}(): port must be 0-65535.")
    return (host if isinstance(host, str) else os.fsdecode(bytes(host)), int(port), *address[2:])


def _checked_path(path: Any) -> str | bytes:
    if isinstance(path, str):
        data = os.fsencode(path)
    else:
        with memoryview(path) as view:
            data = bytes(view)
    is_name = data.startswith(b"\0")
    if len(data) > _LONGEST_PATH or (len(data) == _LONGEST_PATH and not is_name):
        raise OSError("AF_UNIX path too long")
    return data if is_name else os.fsdecode(data)


def split_sendto(arguments: tuple[Any, ...]) -> tuple[int, Address]:
    """The flags and the address of a call of ``sendto``, behind its data."""
    if len(arguments) not in (1, 2):
        raise TypeError(f"sendto() takes 2 or 3 arguments ({len(arguments) + 1} given)")
    *before, address = arguments
    flags = before[0] if before else 0
    if not isinstance(flags, int):
        raise TypeError(f"{type(flags).__name__!r} object cannot be interpreted as an integer")
    return flags, address


def room_for(method: str, wanted: int, length: int) -> int:
    """How many bytes a call is to read into a buffer.

    Args:
        method: the name of the socket's method that was called.
        wanted: how many it is asked for; 0 for as many as the buffer takes.
        length: the length of the buffer.
    """
    if wanted < 0:
        raise ValueError(f"negative buffersize in {method}")
    if wanted > length:
        raise ValueError("buffer too small for requested bytes")
    return wanted or length
