"""What transactions have done to one key: which transaction has read what another one wrote."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aldente._histories.dependencies import DependencyKind
from aldente._histories.operations import Access, Transaction, by_value, shown
from aldente._histories.timeline import bar_of, draw
from aldente.errors import NotSerializable

Dependency = tuple[Transaction, Transaction, DependencyKind, str]


def name_of(number: int, transaction: Transaction) -> str:
    """The name of a transaction in reports."""
    name = transaction.name
    return f"T{number} {name!r}" if name else f"T{number}"


class Read(NamedTuple):
    """A read of what the reader has not written itself.

    Attributes:
        reader: who read.
        reader_name: its name.
        writer: who wrote what was read; None for the value before the first transaction.
        writer_name: its name; may be empty.
        value: the value; for a list without what the reader has appended itself.
        text: the key and the value.
    """

    reader: Transaction
    reader_name: str
    writer: Transaction | None
    writer_name: str
    value: Any
    text: str


class Written(NamedTuple):
    """A value that a transaction has written, or appended.

    Attributes:
        writer: the transaction.
        is_last: whether it was its last one at the key.
    """

    writer: Transaction
    is_last: bool


class KeyAccesses:
    """What transactions have done to one key.

    Args:
        key: the key.
        accesses: all accesses of it, each with its transaction, in the order in which each
            transaction did them.
        initial: the value before the first transaction, in a list; empty if it is not given. names:
            the names of the transactions, by identity.

    Attributes:
        is_list: whether values are appended.
        unclear: why it can't be judged, in words; else empty.
    """

    def __init__(
        self,
        key: Any,
        accesses: Sequence[tuple[Transaction, Access]],
        initial: Sequence[Any],
        names: Mapping[int, str],
    ) -> None:
        self.key = key
        self.unclear = ""
        self._names = names
        self._accesses: dict[int, tuple[Transaction, list[Access]]] = {}
        for transaction, access in accesses:
            self._accesses.setdefault(id(transaction), (transaction, []))[1].append(access)
        kinds = {access.kind for _, access in accesses}
        has_lists = all(
            isinstance(value, (list, tuple))
            for value in [*initial, *(access.value for _, access in accesses)]
        )
        self.is_list = "appends" in kinds or ("writes" not in kinds and has_lists)
        self._is_initial_given = bool(initial)
        self._initial: Any = initial[0] if initial else [] if self.is_list else None
        if self.is_list and "writes" in kinds:
            self.unclear = "some transactions append to it and some write to it"
        elif self.is_list and not all(
            isinstance(access.value, (list, tuple))
            for _, access in accesses
            if access.kind == "reads"
        ):
            self.unclear = "it is appended to, but a read gave no list"
        self._written: dict[Hashable, list[Written]] = {}
        self._reads: list[Read] = []
        try:
            for value in [self._initial, *(access.value for _, access in accesses)]:
                by_value(value)
        except TypeError as error:
            self.unclear = f"values can't be distinguished ({error})"
        else:
            self._collect_written()

    def _collect_written(self) -> None:
        before = self._initial if self.is_list else [self._initial]
        known = set(map(by_value, before)) if isinstance(before, (list, tuple)) else set()
        for transaction, accesses in self._accesses.values():
            values = [access.value for access in accesses if access.kind != "reads"]
            for place, value in enumerate(values):
                written = self._written.setdefault(by_value(value), [])
                written.append(Written(transaction, place == len(values) - 1))
        for value, writers in self._written.items():
            real = [one for one in writers if one.writer.outcome != "failed"]
            if len(real) > 1 or (real and value in known):
                self.unclear = self.unclear or "a value was written more than once"

    def writers(self) -> list[Transaction]:
        """The transactions that write to it."""
        return [
            transaction
            for transaction, accesses in self._accesses.values()
            if any(access.kind != "reads" for access in accesses)
        ]

    def reads_from_unknown(self) -> Iterator[tuple[Transaction, Transaction]]:
        """Which transactions have read what one of unknown outcome wrote."""
        if self.unclear:
            return
        for transaction, accesses in self._accesses.values():
            for access in accesses:
                if access.kind != "reads":
                    continue
                for value in access.value if self.is_list else [access.value]:
                    written = self._writer_of(value)
                    if written is not None and written.writer.outcome == "unknown":
                        yield transaction, written.writer

    def _writer_of(self, value: Any) -> Written | None:
        """Who wrote a value: one that has not failed, if there is one."""
        found = self._written.get(by_value(value), [])
        return min(found, key=lambda one: one.writer.outcome == "failed", default=None)

    def check_reads(self, taken: Sequence[Transaction]) -> None:
        """Check that each read, by itself, can be true in some order.

        Args:
            taken: the transactions that have had their effect.

        Raises:
            NotSerializable: it can't.
        """
        for transaction in taken:
            if self.unclear:
                return
            if id(transaction) in self._accesses:
                self._check_transaction(transaction, self._accesses[id(transaction)][1])
        if self.is_list and not self.unclear:
            self._check_lists({id(one) for one in taken})

    def _check_transaction(self, transaction: Transaction, accesses: Sequence[Access]) -> None:
        own: list[Any] = []
        for access in accesses:
            if access.kind != "reads":
                own.append(access.value)
            elif self.is_list:
                self._check_list(transaction, access.value, own)
            elif own:
                if by_value(access.value) != by_value(own[-1]):
                    wrote = f"it had written {shown(own[-1])}"
                    raise self._error(
                        "internal",
                        "a read that misses the transaction's own write",
                        transaction,
                        access.value,
                        wrote,
                    )
            else:
                self._check_value(transaction, access.value, access.value)
            if self.unclear:
                return

    def _check_value(self, reader: Transaction, value: Any, whole: Any) -> None:
        """Check a single value, or the last one of a list, and note the read."""
        is_initial = (
            len(whole) == len(self._initial)
            if self.is_list
            else by_value(value) == by_value(self._initial)
        )
        written = None if self.is_list and is_initial else self._writer_of(value)
        if is_initial and written is not None and written.writer.outcome == "failed":
            written = None
        if written is None and not is_initial:
            if not self._is_initial_given:
                self.unclear = (
                    f"{self._name(reader)} has read {shown(value)}, which no transaction wrote"
                )
                return
            raise self._error(
                "unwritten read",
                "a read of what no transaction wrote",
                reader,
                whole,
                f"no transaction wrote {shown(value)}",
            )
        if written is not None:
            self._check_writer(reader, whole, value, written)
        writer = None if written is None else written.writer
        self._reads.append(
            Read(
                reader,
                self._name(reader),
                writer,
                "" if writer is None else self._name(writer),
                whole,
                f"{shown(self.key)} = {shown(whole)}",
            )
        )

    def _check_writer(self, reader: Transaction, whole: Any, value: Any, written: Written) -> None:
        writer, name = written.writer, self._name(written.writer)
        if writer.outcome == "failed":
            raise self._error(
                "G1a",
                "an aborted read",
                reader,
                whole,
                f"{name}, which failed, wrote {shown(value)}",
                writer,
            )
        if not written.is_last and writer is not reader:
            raise self._error(
                "G1b",
                "an intermediate read",
                reader,
                whole,
                f"{shown(value)} is not the last value that {name} wrote",
                writer,
            )
        if writer is reader:
            raise self._error(
                "internal",
                "a read of what the transaction wrote only later",
                reader,
                whole,
                f"it wrote {shown(value)} later",
            )

    def _check_list(self, reader: Transaction, value: list[Any], own: Sequence[Any]) -> None:
        values = list(map(by_value, value))
        count = len(own)
        if count and values[-count:] != list(map(by_value, own)):
            raise self._error(
                "internal",
                "a read that misses the transaction's own append",
                reader,
                value,
                f"it had appended {', '.join(map(shown, own))}",
            )
        rest = value[: len(value) - count]
        start = len(self._initial)
        if list(map(by_value, rest[:start])) != list(map(by_value, self._initial)):
            raise self._error(
                "incompatible lists",
                "a list without its beginning",
                reader,
                value,
                f"the list began with {shown(self._initial)}",
            )
        if len(set(values[start:])) < len(values[start:]):
            raise self._error(
                "incompatible lists",
                "a value that is in a list twice",
                reader,
                value,
                "each value was appended once",
            )
        for item in rest[start:]:
            written = self._writer_of(item)
            if written is None:
                self._check_value(reader, item, rest)
                return
            if written.writer.outcome == "failed" or written.writer is reader:
                self._check_writer(reader, rest, item, written)
        self._check_value(reader, rest[-1] if rest else None, rest)

    def _check_lists(self, taken: Collection[int]) -> None:
        """Check that all lists are beginnings of the longest, with what one appended together."""
        longest = self._longest()
        if longest is None:
            return
        values = list(map(by_value, longest.value))
        for read in self._reads:
            if list(map(by_value, read.value)) != values[: len(read.value)]:
                raise self._error(
                    "incompatible lists",
                    "two lists, neither of which is the beginning of the other",
                    read.reader,
                    read.value,
                    f"{longest.reader_name} read {longest.text}",
                    longest.reader,
                )
        for transaction, accesses in self._accesses.values():
            own = [by_value(access.value) for access in accesses if access.kind == "appends"]
            places = [place for place, value in enumerate(values) if value in own]
            if id(transaction) not in taken or not places:
                continue
            if values[places[0] :][: len(own)] != own:
                raise self._error(
                    "incompatible lists",
                    (
                        "a list in which the values of a transaction are not all there, one after "
                        "the other"
                    ),
                    longest.reader,
                    longest.value,
                    f"{self._name(transaction)} {transaction!r}",
                    transaction,
                )

    def _longest(self) -> Read | None:
        return max(self._reads, key=lambda read: len(read.value), default=None)

    def external_reads(self) -> list[Read]:
        """The reads that `check_reads` has found, of what the reader has not written itself."""
        return self._reads

    def edges(self, taken: Collection[int]) -> Iterator[Dependency]:
        """Which transactions come before which, as each of them is known from reads alone.

        Args:
            taken: the identities of the transactions that have had their effect.
        """
        if self.unclear:
            return
        writers = [one for one in self.writers() if id(one) in taken]
        for read in self._reads:
            if read.writer is not None and read.writer is not read.reader:
                yield (
                    read.writer,
                    read.reader,
                    "wr",
                    f"{{after}} read {read.text}, which {{before}} wrote",
                )
                if read.reader in writers and not self.is_list:
                    reason = f"{{after}} read {read.text}, which {{before}} wrote, and overwrote it"
                    yield read.writer, read.reader, "ww", reason
        if self.is_list:
            yield from self._edges_of_lists(writers)
        else:
            yield from self._edges_of_initial(writers)

    def _edges_of_initial(self, writers: Sequence[Transaction]) -> Iterator[Dependency]:
        for read in self._reads:
            if read.writer is None:
                for writer in writers:
                    reason = (
                        f"{{before}} read {read.text}, the initial value; {{after}} wrote to it"
                    )
                    # The reads do not show which of two writers has overwritten the other's value.
                    kind: DependencyKind = "inferred" if read.reader in writers else "rw"
                    yield read.reader, writer, kind, reason

    def _edges_of_lists(self, writers: Sequence[Transaction]) -> Iterator[Dependency]:
        longest = self._longest()
        values = [] if longest is None else longest.value[len(self._initial) :]
        order: list[Transaction] = []
        for value in values:
            written = self._writer_of(value)
            assert written is not None
            if not order or order[-1] is not written.writer:
                order.append(written.writer)
        text = "" if longest is None else longest.text
        for before, after in itertools.pairwise(order):
            reason = f"in {text}, which {self._longest_name()} read, {{after}} appended next"
            yield before, after, "ww", reason
        unread = [one for one in writers if one not in order]
        if order:
            for after in unread:
                yield order[-1], after, "ww", f"{text} has what {{before}} appended, not {{after}}"
        for read in self._reads:
            place = 0 if read.writer is None else order.index(read.writer) + 1
            if order[place:] and order[place] is read.reader:
                place += 1
            for after in order[place : place + 1] or unread:
                yield (
                    read.reader,
                    after,
                    "rw",
                    f"{{before}} read {read.text}, without what {{after}} appended",
                )

    def _longest_name(self) -> str:
        longest = self._longest()
        return "" if longest is None else longest.reader_name

    def _name(self, transaction: Transaction) -> str:
        return self._names[id(transaction)]

    def _error(
        self,
        anomaly: str,
        words: str,
        reader: Transaction,
        value: Any,
        why: str,
        other: Transaction | None = None,
    ) -> NotSerializable:
        reason = f"{self._name(reader)} read {shown(self.key)} = {shown(value)}, but {why}"
        concerned = [reader] if other is None else [reader, other]
        bars = [bar_of(one, f"{self._name(one)}: {one!r}", one is reader) for one in concerned]
        return NotSerializable(anomaly, words, concerned, [reason], "\n".join(draw(bars)), bars)


def accesses_by_key(
    transactions: Sequence[Transaction], initial: Mapping[Any, Any], names: Mapping[int, str]
) -> list[KeyAccesses]:
    """The accesses of each key."""
    keys: dict[Hashable, tuple[Any, list[tuple[Transaction, Access]]]] = {}
    for transaction in transactions:
        for access in transaction.accesses:
            found = keys.setdefault(by_value(access.key), (access.key, []))
            found[1].append((transaction, access))
    given = {by_value(key): value for key, value in initial.items()}
    return [
        KeyAccesses(key, accesses, [given[place]] if place in given else [], names)
        for place, (key, accesses) in keys.items()
    ]
