"""`History`: records operations and transactions, and judges them.

`find_reason` says why a history is not linearizable: a small part of it, and what is impossible in
that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, TypeVar

from aldente._histories.linearizability import (
    Configuration,
    Machine,
    NoOrder,
    OperationEvent,
    OutOfSteps,
    described,
    events_of,
    find_failure,
    is_linearizable,
    parts_by_key,
)
from aldente._histories.operations import (
    NOT_GIVEN,
    Operation,
    Recorded,
    Recorder,
    Transaction,
    shown,
)
from aldente._histories.serializability import judge
from aldente._histories.timeline import Bar, bar_of, draw, fits
from aldente._validation import parse_whole
from aldente.errors import InvalidSetting, NotJudged, NotLinearizable, NotSerializable

AnyRecorded = TypeVar("AnyRecorded", bound=Recorded)

MOST_STEPS = 100_000


class History:
    """What tasks have done to something that they share, and when; `aldente.history` makes one.

    It works on every event loop, and without one, in several threads. Which operation came before
    which is decided by the order in which the blocks were entered and left.

    >>> history = History()
    >>> with history.operation("set", "a", 1):
    ...     pass
    >>> with history.operation("get", "a") as operation:
    ...     operation.returns(2)
    2
    >>> from aldente import models
    >>> history.linearizable(models.KeyValue())
    Traceback (most recent call last):
        ...
    aldente.errors.NotLinearizable: The history of 2 operations is not linearizable: get('a') ...
    """

    def __init__(self) -> None:
        self._recorder = Recorder()

    @property
    def operations(self) -> list[Operation]:
        """The operations so far, in the order in which they began."""
        return self._all(Operation)

    @property
    def transactions(self) -> list[Transaction]:
        """The transactions so far, in the order in which they began."""
        return self._all(Transaction)

    def operation(self, name: str, /, *arguments: Any, **keywords: Any) -> Operation:
        """Record an operation: ``with history.operation("get", key) as operation: ...``.

        Args:
            name: its name, as the model's method has it.
            arguments: its arguments, as they are now; with keyword arguments.
        """
        given: object = name
        if not isinstance(given, str) or not given.isidentifier():
            allowed = "It must be the name of a method of the model."
            raise InvalidSetting("name", name, allowed)
        return Operation(self._recorder, name, arguments, keywords)

    def transaction(self, name: str = "") -> Transaction:
        """Record a transaction: ``with history.transaction() as transaction: ...``.

        Args:
            name: its name, for reports.
        """
        given: object = name
        if not isinstance(given, str):
            raise InvalidSetting("name", name, "It must be a string.")
        return Transaction(self._recorder, name)

    def linearizable(self, model: object, *, max_steps: int = MOST_STEPS) -> bool:
        """Check that the operations could have happened one at a time, each within its span.

        Operations that failed are left out. One of unknown outcome may have had its effect at any
        time after its beginning, or never.

        Args:
            model: what each operation does alone: a model as `aldente.models` has them, before the
                first operation.
            max_steps: how many times the search may try an operation on the model.

        Returns:
            True.

        Raises:
            NotLinearizable: no order of the operations gives what was recorded.
            NotJudged: the search took too many steps, or there are no operations.
            InvalidSetting: the model has no method for an operation.
        """
        __tracebackhide__ = True
        most = parse_whole("max_steps", max_steps, 1, 10**12)
        if isinstance(model, type):
            model = model()
        if not self.operations:
            raise NotJudged("linearizable", "It has no operations.", _HOW_TO_RECORD)
        operations = [one for one in self.operations if one.outcome != "failed"]
        machine = Machine(model, operations)
        for key, part in parts_by_key(model, operations):
            self._judge_part(machine, key, part, most)
        return True

    def _judge_part(self, machine: Machine, key: str, part: list[Operation], most: int) -> None:
        __tracebackhide__ = True
        try:
            if is_linearizable(machine, part, most):
                return
        except OutOfSteps:
            about = f" of the key {key}" if key else ""
            raise NotJudged(
                "linearizable",
                f"The search through the orders of its {len(part)} operations{about} had not "
                f"ended after {most:,} steps.",
                "Record fewer operations at the same time, or fewer with an unknown outcome (call "
                "operation.failed() where one is known to have had no effect), or set a higher "
                "max_steps.",
            ) from None
        reason = find_reason(machine, part)
        assert reason is not None
        raise NotLinearizable(
            key=key,
            total=len(self.operations),
            operations=reason.operations,
            last=reason.last,
            before=described(reason.model),
            sentence=reason.sentence,
            timeline=reason.timeline,
            bars=reason.bars,
        )

    def serializable(self, *, initial: Mapping[Any, Any] | None = None) -> bool:
        """Check that the transactions could have happened one after the other, in some order.

        Each value may be written to a key only once, so that a read shows which transaction wrote
        the value. What is reported is not serializable; what is not reported is serializable if all
        keys are lists, and may not be if the reads do not show the order of the writes to a key.

        Args:
            initial: the values before the first transaction; by default None, or an empty list for
                keys that are appended to.

        Returns:
            True.

        Raises:
            NotSerializable: some transactions can't be put in any order.
            NotJudged: a value was written twice, or was there before and is not in ``initial``, or
                there are no transactions.
        """
        __tracebackhide__ = True
        if not self.transactions:
            raise NotJudged("serializable", "It has no transactions.", _HOW_TO_RECORD)
        try:
            judge(self.transactions, dict(initial or {}))
        except (NotSerializable, NotJudged) as error:
            raise error.with_traceback(None) from None
        return True

    def _all(self, kind: type[AnyRecorded]) -> list[AnyRecorded]:
        return [one for one in self._recorder.all() if isinstance(one, kind)]

    def __repr__(self) -> str:
        counts = f"{len(self.operations)} operations, {len(self.transactions)} transactions"
        return f"<History: {counts}>"


_HOW_TO_RECORD = (
    "Record what the tasks do: 'with history.operation(name, ...)' for linearizable(), "
    "'with history.transaction()' for serializable()."
)


def history() -> History:
    """A new, empty history of operations; see `History`.

    >>> history()
    <History: 0 operations, 0 transactions>
    """
    return History()


# The greatest number of operations before the part that are drawn with it.
_MOST_BEFORE = 6

# The greatest number of operations of which each is left out in turn.
_MOST_LEFT_OUT = 60

# How many steps of the model that may take.
_STEPS_FOR_REASON = 100_000

_MOST_RESULTS = 3


class UnexplainedPart(NamedTuple):
    """A part of a history that no order explains.

    Attributes:
        operations: the operations of the part.
        last: the operation that no order reaches.
        model: the model before the part.
        sentence: what is impossible.
        timeline: the picture.
        bars: what is in it.
    """

    operations: tuple[Operation, ...]
    last: Operation
    model: object
    sentence: str
    timeline: str
    bars: tuple[Bar, ...]


def find_reason(machine: Machine, operations: Sequence[Operation]) -> UnexplainedPart | None:
    """Find the part of some operations that no order explains; None if one explains all of them.

    Args:
        machine: the model; its steps have no limit here, as a search with one has ended.
        operations: the operations.
    """
    events = events_of(operations)
    failure = find_failure(machine, events, sys.maxsize)
    if failure is None:
        return None
    start = Configuration(0, failure.start.state)
    pending = events[failure.cut].pending
    placed = {one.began for bit, one in pending if failure.start.placed & bit}
    part = _part(events, failure, placed)
    part = _without_readers(machine, part, start, failure)
    events = events_of(part)
    found = find_failure(machine, events, sys.maxsize, start)
    assert found is not None
    last = events[found.event].operation
    bars = tuple(_bars(operations, part, placed, last))
    return UnexplainedPart(
        tuple(part),
        last,
        machine.state(failure.start.state),
        _sentence(machine, found, last),
        "\n".join(draw(bars)),
        bars,
    )


def _bars(
    operations: Sequence[Operation],
    part: Sequence[Operation],
    placed: Set[int],
    last: Operation,
) -> list[Bar]:
    """The bars of the part, and of some operations before, if there is room."""
    bars = [bar_of(operation, repr(operation), operation is last) for operation in part]
    drawn = {operation.began for operation in part}
    earlier = [
        bar_of(one, repr(one), is_dotted=True)
        for one in operations
        if one.began not in drawn
        and (one.began in placed or (one.outcome == "returned" and one.ended < last.ended))
    ]
    for count in range(min(len(earlier), _MOST_BEFORE), 0, -1):
        if fits([*earlier[-count:], *bars]):
            return [*earlier[-count:], *bars]
    return bars


def _part(events: Sequence[OperationEvent], failure: NoOrder, placed: Set[int]) -> list[Operation]:
    """The operations that have begun before the failure, and had no effect before the cut."""
    ended = {event.operation.began for event in events[: failure.cut] if event.is_end}
    return [
        event.operation
        for event in events[: failure.event]
        if not event.is_end and event.operation.began not in ended | placed
    ]


def _without_readers(
    machine: Machine,
    part: list[Operation],
    start: Configuration,
    failure: NoOrder,
) -> list[Operation]:
    """Leave out operations that never change the state, as long as no order explains the rest."""
    if len(part) > _MOST_LEFT_OUT:
        return part
    most = machine.steps + _STEPS_FOR_REASON
    for operation in list(part):
        if operation.began in failure.changing or operation.outcome == "unknown":
            continue
        rest = [other for other in part if other is not operation]
        try:
            if rest and find_failure(machine, events_of(rest), most, start) is not None:
                part = rest
        except OutOfSteps:
            break
    return part


def _sentence(machine: Machine, failure: NoOrder, last: Operation) -> str:
    results: list[str] = []
    waits = False
    for configuration in sorted(failure.reached):
        move = machine.move(configuration.state, last)
        if move is None:
            waits = True
        elif shown(move.result) not in results:
            results.append(shown(move.result))
    did = "ended" if last.result is NOT_GIVEN else f"returned {shown(last.result)}"
    if len(results) > _MOST_RESULTS:
        results[_MOST_RESULTS - 1 :] = ["something else"]
    may = f"returns {' or '.join(results)}" if results else ""
    if waits:
        may += f"{' or ' if may else ''}can't happen"
    others = "in every order that explains the other results"
    return f"{last.call} of {last.who!r} {did}, but {others} it {may}."
