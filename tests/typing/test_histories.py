"""The types of histories: what is recorded keeps its type."""

from __future__ import annotations

from typing import assert_type

import aldente
from aldente import History, Operation, Transaction, models


def test_operations() -> None:
    """`returns` gives back what it gets, and a judgement is a bool."""
    history = aldente.history()
    assert_type(history, History)
    with history.operation("get", "a") as operation:
        assert_type(operation, Operation)
        assert_type(operation.returns(1), int)
    assert_type(history.operations, list[Operation])
    assert_type(history.linearizable(models.KeyValue({"a": 1})), bool)


def test_transactions() -> None:
    """`reads` gives back what it gets."""
    history = aldente.history()
    with history.transaction("transfer") as transaction:
        assert_type(transaction, Transaction)
        assert_type(transaction.reads("a", "x"), str)
        transaction.writes("a", "y")
    assert_type(history.serializable(initial={"a": "x"}), bool)
