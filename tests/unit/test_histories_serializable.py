"""Histories of transactions: what is serializable, and what the error says."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import aldente
from aldente import History
from tests.conformance.histories import (
    INITIAL,
    is_of_lists,
    random_transactions,
    some_serial_order_explains,
    wired_transactions,
)

# What a transaction does: the name of the method, the key and the value.
Step = tuple[str, str, Any]


def history_of(*transactions: tuple[Step, ...], unknown: int = 0, failed: int = 0) -> History:
    """A history of transactions, one after the other.

    Args:
        transactions: what each does.
        unknown: the number of one of unknown outcome, from 1.
        failed: the number of one that failed, from 1.
    """
    history = History()
    for number, steps in enumerate(transactions, 1):
        with contextlib.suppress(KeyError), history.transaction() as transaction:
            for name, key, value in steps:
                getattr(transaction, name)(key, value)
            if number == failed:
                transaction.failed()
            if number == unknown:
                raise KeyError
    return history


def read(key: str, value: Any) -> Step:
    """A read."""
    return ("reads", key, value)


def write(key: str, value: Any) -> Step:
    """A write."""
    return ("writes", key, value)


def append(key: str, value: Any) -> Step:
    """An append."""
    return ("appends", key, value)


def error_of(history: History, **options: Any) -> aldente.NotSerializable:
    """The error about a history that is not serializable."""
    with pytest.raises(aldente.NotSerializable) as caught:
        history.serializable(**options)
    return caught.value


ANOMALIES: dict[str, tuple[str, list[tuple[Step, ...]]]] = {
    "dirty writes": (
        "G0",
        [
            (append("x", 1), append("y", 2)),
            (append("x", 3), append("y", 4)),
            (read("x", [1, 3]), read("y", [4, 2])),
        ],
    ),
    "an intermediate read": ("G1b", [(write("x", 1), write("x", 2)), (read("x", 1),)]),
    "a part of the appends": ("G1b", [(append("x", 1), append("x", 2)), (read("x", [1]),)]),
    "reads in a circle": (
        "G1c",
        [(write("x", 1), read("y", 2)), (write("y", 2), read("x", 1))],
    ),
    "read skew": (
        "G-single",
        [(write("x", 1), write("y", 2)), (read("x", None), read("y", 2))],
    ),
    "read skew of lists": (
        "G-single",
        [(append("x", 1), append("y", 2)), (read("x", []), read("y", [2]))],
    ),
    "a lost update": (
        "G-single",
        [(read("x", None), write("x", 1)), (read("x", None), write("x", 2))],
    ),
    "write skew": (
        "G2",
        [(read("x", None), write("y", 1)), (read("y", None), write("x", 2))],
    ),
    "write skew of lists": (
        "G2",
        [(read("x", []), append("y", 1)), (read("y", []), append("x", 2))],
    ),
    "two values of two writers": (
        "cycle",
        [
            (write("x", 1), write("y", 1)),
            (write("x", 2), write("y", 2)),
            (read("x", 1), read("y", 2)),
        ],
    ),
    "no read of one's own": ("internal", [(write("x", 1), read("x", None))]),
    "no append of one's own": ("internal", [(append("x", 1), read("x", []))]),
    "a read of one's future": ("internal", [(read("x", 1), write("x", 1))]),
    "two lists": (
        "incompatible lists",
        [(append("x", 1),), (append("x", 2),), (read("x", [1]),), (read("x", [2, 1]),)],
    ),
    "an append that is missing": (
        "incompatible lists",
        [(append("x", 1), append("x", 2)), (append("x", 3),), (read("x", [1, 3]),)],
    ),
    "an append that is there twice": (
        "incompatible lists",
        [(append("x", 1),), (read("x", [1, 1]),)],
    ),
}


class TestAnomalies:
    """What the error says."""

    @pytest.mark.parametrize("name", ANOMALIES)
    def test_the_name(self, name: str) -> None:
        """Each anomaly has its name, and no serial order explains it."""
        anomaly, transactions = ANOMALIES[name]
        history = history_of(*transactions)
        error = error_of(history)
        assert error.anomaly == anomaly
        assert str(error).startswith(f"The history is not serializable: {anomaly}, ")
        assert not some_serial_order_explains(
            history, {"x": [], "y": []} if "appends" in str(transactions) else INITIAL
        )

    def test_the_reason_of_each_edge(self) -> None:
        """The error shows the cycle: each edge with its kind and why, and the transactions."""
        error = error_of(history_of(*ANOMALIES["read skew"][1]))
        assert str(error) == (
            "The history is not serializable: G-single, a cycle with one read that was overwritten (read skew).\n"
            "  T2 before T1 (rw): T2 read 'x' = None, the initial value; T1 wrote to it\n"
            "  T1 before T2 (wr): T2 read 'y' = 2, which T1 wrote\n"
            "  MainThread  |--T1: writes 'x' = 1, writes 'y' = 2--| |--T2: reads 'x' = None, reads 'y' = 2--|"
        )

    def test_what_an_edge_follows_from(self) -> None:
        """Below an edge that follows from others stand these."""
        error = error_of(history_of(*ANOMALIES["two values of two writers"][1]))
        assert error.reasons == (
            "T1 before T2 (inferred): T3, after T1, read 'y' = 2 of T2",
            "  T1 before T3 (wr): T3 read 'x' = 1, which T1 wrote",
            "T2 before T1 (inferred): T3, after T2, read 'x' = 1 of T1",
            "  T2 before T3 (wr): T3 read 'y' = 2, which T2 wrote",
        )

    def test_a_failed_write(self) -> None:
        """A read of what a failed transaction wrote is G1a; without the read it has no effect."""
        steps = [(write("x", 1),), (read("x", 1),)]
        assert error_of(history_of(*steps, failed=1)).anomaly == "G1a"
        assert history_of((write("x", 1),), (read("x", None),), failed=1).serializable()

    def test_an_unwritten_value(self) -> None:
        """With the initial value said, a read of what no transaction wrote is wrong."""
        history = history_of((read("x", 7),))
        assert error_of(history, initial={"x": 1}).anomaly == "unwritten read"
        with pytest.raises(aldente.NotJudged, match="T1 has read 7, which no transaction wrote"):
            history.serializable()
        assert history.serializable(initial={"x": 7})

    def test_names(self) -> None:
        """The name of a transaction stands in the error."""
        history = History()
        with history.transaction("audit") as transaction:
            transaction.writes("x", 1)
            assert transaction.reads("x", 2) == 2
        [reason] = error_of(history).reasons
        assert reason == "T1 'audit' read 'x' = 2, but it had written 1"


class TestUnclear:
    """What is not judged."""

    def test_a_value_that_is_written_twice(self) -> None:
        """It is not judged; a cycle of other keys is found nevertheless."""
        twice = [(write("z", 1),), (write("z", 1),)]
        with pytest.raises(aldente.NotJudged, match="a value was written more than once"):
            history_of(*twice).serializable()
        assert error_of(history_of(*twice, *ANOMALIES["write skew"][1])).anomaly == "G2"

    def test_the_initial_value_written_again(self) -> None:
        """A write of the initial value is one of a value that was there before."""
        with pytest.raises(aldente.NotJudged, match="more than once"):
            history_of((write("x", None),), (read("x", None),)).serializable()

    def test_lists_and_values(self) -> None:
        """A key that is appended to and written is not judged, nor one that gave no list."""
        with pytest.raises(
            aldente.NotJudged, match="some transactions append to it and some write"
        ):
            history_of((append("x", 1),), (write("x", 2),)).serializable()
        with pytest.raises(aldente.NotJudged, match="a read gave no list"):
            history_of((append("x", 1),), (read("x", None),)).serializable()

    def test_values_that_can_not_be_told_apart(self) -> None:
        """A value that can't be hashed, and is no list, dict or set, is not judged."""
        with pytest.raises(aldente.NotJudged, match="values can't be distinguished"):
            history_of((write("x", {"a": slice(bytearray())}),)).serializable()

    def test_what_is_only_read(self) -> None:
        """An empty list, or None, was there before; of anything else the test has to say it."""
        assert history_of((read("x", []), read("y", None))).serializable()
        with pytest.raises(aldente.NotJudged, match=r"T1 has read 5, which no transaction wrote"):
            history_of((read("x", 5),)).serializable()
        initial = {"x": [7, 7]}
        assert history_of((read("x", [7, 7]), append("x", 1))).serializable(initial=initial)

    def test_a_failed_write_of_the_initial_value(self) -> None:
        """A read of that is one of the initial value."""
        assert history_of((write("x", None),), (read("x", None),), failed=1).serializable()

    def test_no_transactions(self) -> None:
        """A history without transactions says nothing."""
        with pytest.raises(aldente.NotJudged, match="It has no transactions"):
            History().serializable()

    def test_unknown_outcomes(self) -> None:
        """A transaction of unknown outcome counts if another one has read from it."""
        assert history_of((write("x", 1),), (read("x", None),), unknown=1).serializable()
        assert history_of((write("x", 1),), (read("x", 1),), unknown=1).serializable()
        skew = ANOMALIES["read skew"][1]
        assert error_of(history_of(*skew, unknown=1)).anomaly == "G-single"

    def test_equal_values(self) -> None:
        """Values that are equal are the same, of whatever type they are."""
        assert history_of(
            (write("x", 1), write("y", [1])), (read("x", 1.0), read("y", [1.0]))
        ).serializable()


class TestAllOrders:
    """The judgement beside trying all serial orders; benchmarks/history_proofs.py has more."""

    def test_small_histories(self) -> None:
        """What it reports no serial order explains; of lists it reports all such histories."""
        counts = {True: 0, False: 0}
        for seed in range(1_500):
            history = random_transactions(seed)
            expected = some_serial_order_explains(history)
            is_reported = not _is_serializable(history)
            assert not (is_reported and expected), seed
            if is_of_lists(history):
                assert is_reported is not expected, seed
            counts[expected] += 1
        assert min(counts.values()) > 100

    def test_reads_of_any_writer(self) -> None:
        """The same for transactions of which only cycles are wrong."""
        found = set()
        for seed in range(500):
            history = wired_transactions(seed, most=5)
            expected = some_serial_order_explains(history)
            assert _is_serializable(history) is expected, seed
            found.add(expected)
        assert found == {True, False}


def _is_serializable(history: History) -> bool:
    try:
        return history.serializable(initial=INITIAL)
    except aldente.NotSerializable:
        return False
