"""The exceptions of histories, and of searches in several processes or over hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aldente.errors._base import AldenteError


class NotLinearizable(AldenteError, AssertionError):
    """No order of the operations of a history gives what was recorded.

    Args:
        key: the key that they concern, in words; empty if the history was not judged by key.
        total: the number of operations in the history.
        operations: the part of them that no order explains.
        last: the operation among them that no order reaches.
        before: the state before them, in words.
        sentence: what is impossible.
        timeline: the picture of the part.
        bars: what is in the picture, each with its row, beginning, end and text.

    >>> NotLinearizable("'a'", 9, [], None, "Register(1)", "get('a') returned 3; ...", "").key
    "'a'"
    """

    def __init__(
        self,
        key: str,
        total: int,
        operations: Sequence[Any],
        last: Any,
        before: str,
        sentence: str,
        timeline: str,
        bars: Sequence[Any] = (),
    ) -> None:
        self.key = key
        self.total = total
        self.operations = tuple(operations)
        self.last = last
        self.before = before
        self.sentence = sentence
        self.timeline = timeline
        self.bars = tuple(bars)
        super().__init__(key, total, self.operations, last, before, sentence, timeline, self.bars)

    def __str__(self) -> str:
        count = len(self.operations)
        part = "is the operation" if count == 1 else f"are the {count} operations"
        about = f" of the key {self.key}" if self.key else ""
        return (
            f"The history of {self.total} operation{'s' * (self.total > 1)} is not linearizable: "
            f"{self.sentence}\n"
            f"Below {part}{about} that no order explains if the state before is {self.before}; "
            "operations in dots took effect earlier, and '?' is an unknown outcome.\n"
            f"{self.timeline}"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sentence!r})"


class NotSerializable(AldenteError, AssertionError):
    """Transactions of a history can't be put in any order that explains what they have read.

    Args:
        anomaly: the name of what went wrong: ``"G0"``, ``"G1a"``, ``"G1b"``, ``"G1c"``,
            ``"G-single"`` or ``"G2"`` as Adya and Elle have them, or ``"internal"``,
            ``"unwritten read"`` or ``"incompatible lists"``.
        words: what that means, in a few words.
        transactions: the transactions concerned.
        reasons: a line for each fact that can't be true with the others; of a cycle, one for each
            of its edges.
        timeline: their picture.
        bars: what is in the picture, each with its row, beginning, end and text.
        edges: of a cycle, its edges: which of these comes before which, as pairs of their places.

    >>> NotSerializable("G1c", "circular information flow", [], [], "").anomaly
    'G1c'
    """

    def __init__(
        self,
        anomaly: str,
        words: str,
        transactions: Sequence[Any],
        reasons: Sequence[str],
        timeline: str,
        bars: Sequence[Any] = (),
        edges: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.anomaly = anomaly
        self.words = words
        self.transactions = tuple(transactions)
        self.reasons = tuple(reasons)
        self.timeline = timeline
        self.bars = tuple(bars)
        self.edges = tuple(edges)
        super().__init__(
            anomaly, words, self.transactions, self.reasons, timeline, self.bars, self.edges
        )

    def __str__(self) -> str:
        lines = "".join(f"\n  {reason}" for reason in self.reasons)
        return (
            f"The history is not serializable: {self.anomaly}, {self.words}.{lines}\n"
            f"{self.timeline}"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'{self.anomaly}, {self.words}'!r})"


class NotAtomic(AldenteError, AssertionError):
    """The outcome of concurrent operations of an object matches no serial order of them.

    Args:
        thing: the class of the object.
        count: the number of operations.
        here: lines that show what they gave.
        orders: how many different things they give one at a time.
        serial: lines that show these.
        is_ordered: whether it is only the order of operations that did not overlap which is wrong.
        bars: the operations, each with its task, beginning, end and text.

    >>> NotAtomic("Shop", 2, [], 1, []).count
    2
    """

    def __init__(
        self,
        thing: str,
        count: int,
        here: Sequence[str],
        orders: int,
        serial: Sequence[str],
        is_ordered: bool = False,
        bars: Sequence[Any] = (),
    ) -> None:
        self.thing = thing
        self.count = count
        self.here = tuple(here)
        self.orders = orders
        self.serial = tuple(serial)
        self.is_ordered = is_ordered
        self.bars = tuple(bars)
        super().__init__(thing, count, self.here, orders, self.serial, is_ordered, self.bars)

    def __str__(self) -> str:
        order = " in which each begins after those that had ended" if self.is_ordered else ""
        return "\n".join(
            [
                f"The outcome of {self.count} operations of {self.thing} matches no serial order "
                f"of them{order}.",
                "Here:",
                *self.here,
                "One at a time, in all orders:",
                *self.serial,
                "Fix: do the steps that belong together without an await in between, or hold an "
                "asyncio.Lock around them.",
            ]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.thing!r})"


class NotJudged(AldenteError):
    """aldente could not judge a history or a class: it may be correct or not.

    Args:
        question: ``"linearizable"`` or ``"serializable"``.
        reason: why, as a sentence.
        fix: what to do.
        subject: what could not be judged.

    >>> print(NotJudged("linearizable", "It has no operations.", "Record some."))
    aldente can't judge whether the history is linearizable. It has no operations.
    Fix: Record some.
    """

    def __init__(self, question: str, reason: str, fix: str, subject: str = "the history") -> None:
        self.question = question
        self.reason = reason
        self.fix = fix
        self.subject = subject
        super().__init__(question, reason, fix, subject)

    def __str__(self) -> str:
        return (
            f"aldente can't judge whether {self.subject} is {self.question}. {self.reason}\n"
            f"Fix: {self.fix}"
        )


class FailedElsewhere(AldenteError):
    """A run failed in a worker process, and its schedule passes in the process of the search.

    Args:
        text: the exception of the run with its traceback, as text.

    >>> FailedElsewhere("AssertionError").text
    'AssertionError'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return (
            "A run failed in a worker process, and its schedule passes in this process: the "
            "program depends on more than its schedule, such as on what a process has done "
            f"before. There it raised:\n{self.text}"
        )


class WorkersFailed(AldenteError, RuntimeError):
    """The workers of a search can't go on, so nothing is known of the rest of its runs.

    Args:
        what: what happened, in words.
        fix: what to do, in words.

    >>> print(WorkersFailed("a worker process died", "look at what it does."))
    The search could not go on: a worker process died
    Fix: look at what it does.
    """

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(what, fix)

    def __str__(self) -> str:
        return f"The search could not go on: {self.what}\nFix: {self.fix}"


class UnusableState(AldenteError):
    """A long search can't go on with a state directory.

    Args:
        folder: the directory.
        what: why not, in words.
        fix: what to do, in words.

    >>> UnusableState("soak", "its search has another seed: 1, and this search has 2", "...").folder
    'soak'
    """

    def __init__(self, folder: str, what: str, fix: str) -> None:
        self.folder = folder
        self.what = what
        self.fix = fix
        super().__init__(folder, what, fix)

    def __str__(self) -> str:
        return f"The search can't use the directory {self.folder!r}: {self.what}\nFix: {self.fix}"


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
