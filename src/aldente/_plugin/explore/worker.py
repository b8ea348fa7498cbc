"""What a worker process of ``--aldente-workers`` does: a run of pytest that another one controls.

It collects the same tests, sets up the explored test that the main process names, and does batches
of its runs. It ends without a report of its own, so that no file of the other run is written twice.
The two send each other messages through a `Channel`, over two pipes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import struct
import sys
import traceback
import zlib
from typing import IO, Any, NamedTuple

import pytest

from aldente._explore.batches import Batch, Bounds, run_batch
from aldente._explore.simulate import Program
from aldente._plugin.explore.run import FoundInRuns
from aldente._plugin.explore.state import WORKER
from aldente._plugin.run.outcomes import unwrapped
from aldente._system import monotonic
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
    """What arrived is not a message: something else has written to the pipe."""


# The outcomes of a test that are no failure, which can't be pickled.
_OUTCOMES: dict[str, type[BaseException]] = {
    "skip": pytest.skip.Exception,
    "xfail": pytest.xfail.Exception,
    "exit": pytest.exit.Exception,
}
# What an exception of a worker becomes.
ENDS: tuple[type[BaseException], ...] = (*_OUTCOMES.values(), WorkersFailed)


class RaisedInWorker(NamedTuple):
    """An exception that ends all runs of a test.

    Attributes:
        kind: which outcome it is; empty for another exception.
        text: its text.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> RaisedInWorker:
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
            Garbled: what arrived is not a message.
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
    value = os.environ.pop(VARIABLE)
    try:
        reading, writing = (int(number) for number in value.split())
        return Channel(os.fdopen(reading, "rb"), os.fdopen(writing, "wb"))
    except (ValueError, OverflowError, OSError):
        raise pytest.UsageError(
            f"the environment variable {VARIABLE} is {value!r}. aldente sets it only for the "
            "processes that it starts.\n"
            "Fix: unset it."
        ) from None


# How long the runs under way may go on when the controlling run is gone, in seconds.
_END_WITHIN = 5.0


def register(config: pytest.Config) -> None:
    """Make this run of pytest a worker."""
    channel = take_channel()
    # Ctrl-C is for the run that controls it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config.pluginmanager.register(WorkerLoop(channel), WORKER)


class WorkerLoop:
    """Runs the tests that the main process names, instead of all that were collected.

    Args:
        channel: the channel to the controlling run.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._is_ready = False
        self._trouble = ""
        # Since when the controlling run has been gone; None while it is there.
        self._alone_since: float | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        # pytest's own plugin of this name, which tears fixtures down.
        runner: Any = session.config.pluginmanager.get_plugin("runner")
        if not session.testsfailed:
            # Else modules could not be collected.
            with contextlib.suppress(Closed):
                self._obey(items, runner)
        runner.pytest_sessionfinish(session=session)
        sys.stdout.flush()
        sys.stderr.flush()
        # Without the end of the session, which would write reports and caches.
        os._exit(1 if session.testsfailed else 0)

    def _obey(self, items: dict[str, pytest.Item], runner: Any) -> None:
        before: pytest.Item | None = None
        while (message := self._channel.receive()) is not None:
            name, next_name = message
            item = items.get(name)
            self._is_ready, self._trouble = False, ""
            if item is not None:
                following = items.get(next_name)
                if before is not None:
                    # It may not be the one for which wide fixtures were kept.
                    runner.pytest_runtest_teardown(item=before, nextitem=item)
                before = item
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            # Why it could not be set up, empty if it was not collected; or that the test is over.
            self._channel.send(None if self._is_ready else self._trouble)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._is_ready and not report.passed:
            self._trouble = report.longreprtext or f"Its set-up was {report.outcome}."

    def end_if_alone(self) -> None:
        """End this process if the run that controls it is gone, and a run of the test goes on.

        Called from another thread while the test runs.
        """
        if not self._channel.is_closed:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = monotonic()
        elif monotonic() >= self._alone_since + _END_WITHIN:
            # It would go on for ever, and no run of pytest would take its result.
            os._exit(1)

    def serve(self, program: Program, found: FoundInRuns) -> None:
        """Do batches of the runs of a test that is set up, until there are no more.

        Args:
            program: the test.
            found: what rules have found in its runs.
        """
        self._is_ready = True
        self._channel.send(True)
        while (message := self._channel.receive()) is not None:
            self._channel.send(_reply(message, program, found))


def _reply(
    message: tuple[Batch, Bounds], program: Program, found: FoundInRuns
) -> tuple[Any, Any, bool]:
    """The result of a batch, what rules have found so far, and whether a baseline spared some."""
    try:
        result: Any = run_batch(program, *message)
    except BaseException as error:
        result = RaisedInWorker.of(unwrapped(error))
    return result, found.taken, found.has_spared
