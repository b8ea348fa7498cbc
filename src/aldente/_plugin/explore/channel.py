"""`Channel`: messages between a run of pytest and its worker processes, over two pipes."""

from __future__ import annotations

import os
import pickle
import select
import struct
import traceback
import zlib
from typing import IO, Any, NamedTuple

import pytest

from aldente.errors import WorkersFailed

# The environment variable by which a process knows that it is a worker: the numbers of two open
# files, to read from and to write to.
VARIABLE = "ALDENTE_WORKER"

# What precedes each message: how many bytes it has, and its checksum. A pickle may do anything, so
# none is read that the other process has not sent as a whole.
_HEAD = struct.Struct(">QI")

# No message has more bytes.
_MOST = 2**32

# What a worker executes. Its own output goes where its errors go; standard input and output become
# the pipes, before anything else can use them.
PROGRAM = f"""
import os, sys
sys.path[:] = {{path!r}}
numbers = os.dup(0), os.dup(1)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)
os.environ[{VARIABLE!r}] = "%d %d" % numbers
import pytest
sys.exit(pytest.main({{arguments!r}}))
"""


class Closed(Exception):
    """The other process has ended."""


class Garbled(Exception):
    """What came is no message: something else has written to the pipe."""


# The outcomes of a test that are no failure, which can't be pickled.
_OUTCOMES: dict[str, type[BaseException]] = {
    "skip": pytest.skip.Exception,
    "xfail": pytest.xfail.Exception,
    "exit": pytest.exit.Exception,
}
# What an exception of a worker becomes.
ENDS: tuple[type[BaseException], ...] = (*_OUTCOMES.values(), WorkersFailed)


class Raised(NamedTuple):
    """An exception that ends all runs of a test.

    Attributes:
        kind: which outcome it is; empty for another exception.
        text: its text.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """An exception, as it can be sent."""
        for kind, type_ in _OUTCOMES.items():
            if isinstance(error, type_):
                return cls(kind, str(error))
        return cls("", "".join(traceback.format_exception(error)).rstrip())

    def exception(self) -> BaseException:
        """The exception that it stands for."""
        if self.kind:
            return _OUTCOMES[self.kind](self.text)
        what = f"a worker raised an exception:\n{self.text}"
        return WorkersFailed(what, "run the test without --aldente-workers.")


class Channel:
    """Sends and receives objects.

    Args:
        reading: a file to read from.
        writing: a file to write to.
    """

    def __init__(self, reading: IO[bytes], writing: IO[bytes]) -> None:
        self._reading = reading
        self._writing = writing

    def send(self, message: Any) -> None:
        """Send an object.

        Raises:
            Closed: the other process has ended.
        """
        data = pickle.dumps(message)
        try:
            self._writing.write(_HEAD.pack(len(data), zlib.crc32(data)) + data)
            self._writing.flush()
        except (OSError, ValueError) as error:
            raise Closed from error

    def receive(self) -> Any:
        """The next object of the other process.

        Raises:
            Closed: it has ended.
            Garbled: what came is no message.
        """
        length, checksum = _HEAD.unpack(self._read(_HEAD.size))
        if not 0 < length <= _MOST:
            raise Garbled(f"a message of {length:,} bytes")
        data = self._read(length)
        if zlib.crc32(data) != checksum:
            raise Garbled("a message with a wrong checksum")
        return pickle.loads(data)

    @property
    def is_closed(self) -> bool:
        """Whether the other process has ended; on Windows never, as its pipes can't be asked."""
        if not hasattr(select, "poll"):
            return False
        asked = select.poll()
        asked.register(self._reading.fileno(), 0)
        return any(event & select.POLLHUP for _, event in asked.poll(0))

    def _read(self, length: int) -> bytes:
        try:
            data = self._reading.read(length)
        except (OSError, ValueError) as error:
            raise Closed from error
        if len(data) < length:
            raise Closed
        return data

    def close(self) -> None:
        """Close both files."""
        for file in (self._writing, self._reading):
            try:
                file.close()
            except OSError:
                # What could not be written to a process that has ended.
                continue


def take_channel() -> Channel:
    """The channel of this worker, which processes that it starts do not inherit.

    Raises:
        pytest.UsageError: the variable is not one that aldente has set.
    """
    told = os.environ.pop(VARIABLE)
    try:
        reading, writing = (int(number) for number in told.split())
        return Channel(os.fdopen(reading, "rb"), os.fdopen(writing, "wb"))
    except (ValueError, OverflowError, OSError):
        raise pytest.UsageError(
            f"the environment variable {VARIABLE} is {told!r}. aldente sets it for the processes "
            "that it starts, and them alone.\nFix: unset it."
        ) from None
