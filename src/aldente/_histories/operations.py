"""What a history records: operations and transactions, with their moments and outcomes."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, TypeVar

from aldente._histories.values import shown, snapshot

T = TypeVar("T")

# What is known of an operation: it has not ended, or was cut short by an exception, so it may have
# had its effect or not; it has returned; it has had no effect.
Outcome = Literal["unknown", "returned", "failed"]


class _Unsaid:
    """The result of an operation of which the test has not said what it returned."""

    def __repr__(self) -> str:
        return "(not recorded)"


UNSAID: Final = _Unsaid()


class Recorder:
    """Numbers the beginnings and ends of a history in the order in which they come.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._recorded: list[Recorded] = []

    def begin(self, recorded: Recorded) -> int:
        """Add something that begins now; return the number of its beginning."""
        with self._lock:
            self._recorded.append(recorded)
            self._count += 1
            return self._count

    def end(self) -> int:
        """The number of an end that comes now."""
        with self._lock:
            self._count += 1
            return self._count

    def all(self) -> list[Recorded]:
        """What has been recorded so far, in the order of the beginnings."""
        with self._lock:
            return list(self._recorded)


class Recorded:
    """Something with a beginning, an end and an outcome; a context manager.

    Args:
        recorder: numbers its beginning and its end.

    Attributes:
        who: the name of the task, or of the thread, that did it.
        outcome: ``"returned"``, ``"failed"``, or ``"unknown"`` while it has not ended, or if an
            exception left its block.
        began, ended: the numbers of its beginning and its end among those of its history; 0 if
            there was none.
        began_at, ended_at: the loop times of these; None outside of an event loop.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.who = ""
        self.outcome: Outcome = "unknown"
        self.began = 0
        self.ended = 0
        self.began_at: float | None = None
        self.ended_at: float | None = None
        self._recorder = recorder
        self._has_failed = False

    def failed(self) -> None:
        """Say that it has had no effect and never will, as when it was refused."""
        self._has_failed = True

    def _enter(self) -> None:
        if self.began:
            raise RuntimeError(
                f"{self} was begun already; record each one with a 'with' of its own"
            )
        self.who, self.began_at = _who_and_when()
        self.began = self._recorder.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _, self.ended_at = _who_and_when()
        if self._has_failed:
            self.outcome = "failed"
        elif kind is None:
            self.outcome = "returned"
        self.ended = self._recorder.end()


def _who_and_when() -> tuple[str, float | None]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread().name, None
    task = asyncio.current_task(loop)
    return "a callback" if task is None else task.get_name(), loop.time()


class Operation(Recorded):
    """An operation of a history, as `History.operation` makes it; the block is its span.

    It is recorded when the block is entered. If the block ends, the operation has returned; if an
    exception leaves the block, a cancellation included, it is of unknown outcome: it may have had
    its effect, or not.

    Attributes:
        name: its name.
        arguments: its positional arguments.
        keywords: its keyword arguments.
        result: what it returned, if the test has said it.

    >>> from aldente import history
    >>> with history().operation("get", "a") as operation:
    ...     operation.returns(1)
    1
    >>> operation, operation.who, operation.outcome
    (get('a') = 1, 'MainThread', 'returned')
    """

    def __init__(
        self, recorder: Recorder, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        super().__init__(recorder)
        self.name = name
        self.arguments: tuple[Any, ...] = snapshot(arguments)
        self.keywords: dict[str, Any] = snapshot(keywords)
        self.result: Any = UNSAID

    def __enter__(self) -> Operation:
        self._enter()
        return self

    def returns(self, value: T) -> T:
        """Say what it returned, and return that.

        A result that is not said is not compared with the model's.
        """
        self.result = snapshot(value)
        return value

    @property
    def call(self) -> str:
        """Its name and arguments, as a call."""
        arguments = [shown(value) for value in self.arguments]
        arguments += [f"{key}={shown(value)}" for key, value in self.keywords.items()]
        return f"{self.name}({', '.join(arguments)})"

    def __repr__(self) -> str:
        if self.outcome == "unknown":
            return f"{self.call} ?"
        if self.outcome == "failed":
            return f"{self.call} failed"
        return self.call if self.result is UNSAID else f"{self.call} = {shown(self.result)}"


class Access(NamedTuple):
    """One access of a transaction.

    Attributes:
        kind: what it did.
        key: the key.
        value: what it has read, written or appended.
    """

    kind: Literal["reads", "writes", "appends"]
    key: Any
    value: Any

    def __str__(self) -> str:
        if self.kind == "appends":
            return f"appends {shown(self.value)} to {shown(self.key)}"
        return f"{self.kind} {shown(self.key)} = {shown(self.value)}"


class Transaction(Recorded):
    """A transaction of a history, as `History.transaction` makes it.

    If the block ends, it has been committed; if an exception leaves the block, it is of unknown
    outcome, or aborted if `failed` was called.

    Attributes:
        name: its name; may be empty.
        accesses: what it did, in order: each with its ``kind``, ``key`` and ``value``.

    >>> from aldente import history
    >>> with history().transaction() as transaction:
    ...     balance = transaction.reads("Ann", 100)
    ...     transaction.writes("Ann", balance - 10)
    >>> transaction
    reads 'Ann' = 100, writes 'Ann' = 90
    """

    def __init__(self, recorder: Recorder, name: str) -> None:
        super().__init__(recorder)
        self.name = name
        self.accesses: list[Access] = []

    def __enter__(self) -> Transaction:
        self._enter()
        return self

    def reads(self, key: Any, value: T) -> T:
        """Record what it has read at a key, and return that; a list if the key is appended to."""
        self.accesses.append(Access("reads", key, snapshot(value)))
        return value

    def writes(self, key: Any, value: Any) -> None:
        """Record a value that it writes at a key, different from all others written there."""
        self.accesses.append(Access("writes", key, snapshot(value)))

    def appends(self, key: Any, value: Any) -> None:
        """Record a value that it appends to the list at a key, different from all others there."""
        self.accesses.append(Access("appends", key, snapshot(value)))

    def __repr__(self) -> str:
        return ", ".join(map(str, self.accesses)) or "nothing"
