"""Histories: what is recorded, the models, and what is linearizable."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

import aldente
from aldente import History, models
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._histories.history import find_reason
from aldente._histories.linearizability import Machine, events_of, find_failure, parts_by_key
from aldente._strategies.dfs import Dfs
from tests.conformance.histories import (
    KINDS,
    random_operations,
    some_order_explains,
    some_order_explains_operations,
)


def record(history: History, name: str, *arguments: Any, result: Any = None) -> None:
    """Record an operation that returns at once."""
    with history.operation(name, *arguments) as operation:
        operation.returns(result)


def verdict(judge: Callable[[], bool]) -> str:
    """The message of the error that a judgement raises; empty for none."""
    try:
        assert judge() is True
    except (aldente.NotLinearizable, aldente.NotJudged) as error:
        return str(error)
    return ""


class TestRecording:
    """What `History.operation` records."""

    def test_an_operation_that_returns(self) -> None:
        """It has its name, arguments, result and task; `returns` gives its argument back."""
        history = History()

        async def main() -> None:
            with history.operation("get", "a", default=0) as operation:
                assert operation.outcome == "unknown"
                assert operation.returns(1) == 1

        asyncio.run(main())
        [operation] = history.operations
        assert repr(operation) == "get('a', default=0) = 1"
        assert operation.outcome == "returned"
        assert operation.who.startswith("Task-")
        assert operation.began_at is not None
        assert operation.ended_at is not None

    @pytest.mark.parametrize("error", [KeyError, asyncio.CancelledError, KeyboardInterrupt])
    def test_an_exception_that_leaves_the_block(self, error: type[BaseException]) -> None:
        """The outcome is unknown, whatever was said to be returned; the exception goes on."""
        history = History()

        def cut_short() -> None:
            with history.operation("set", "a", 1) as operation:
                operation.returns(None)
                raise error

        with pytest.raises(error):
            cut_short()
        assert repr(history.operations) == "[set('a', 1) ?]"

    def test_an_operation_that_failed(self) -> None:
        """`failed` says that there was no effect, with an exception and without."""
        history = History()
        with history.operation("set", "a", 1) as operation:
            operation.failed()
        with contextlib.suppress(KeyError), history.operation("set", "a", 2) as operation:
            operation.failed()
            raise KeyError
        assert repr(history.operations) == "[set('a', 1) failed, set('a', 2) failed]"
        record(history, "get", "a")
        assert history.linearizable(models.KeyValue())

    def test_an_operation_that_was_not_begun(self) -> None:
        """Only what is entered is recorded, and only once."""
        history = History()
        operation = history.operation("get", "a")
        assert history.operations == []
        with operation:
            pass
        with pytest.raises(RuntimeError, match="has already begun"), operation:
            pass

    def test_values_as_they_were(self) -> None:
        """What is changed later stays in the history as it was."""
        history, values = History(), [1]
        record(history, "write", values, result={"a": values})
        values.append(2)
        assert repr(history.operations) == "[write([1]) = {'a': [1]}]"

    def test_threads(self) -> None:
        """Threads may record at the same time; their names are kept, and there is no loop time."""
        history = History()

        def count() -> None:
            for _ in range(100):
                with history.operation("add"):
                    pass

        threads = [threading.Thread(target=count, name=f"worker-{number}") for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record(history, "read", result=300)
        assert {one.who for one in history.operations} >= {"worker-0", "worker-1", "worker-2"}
        assert history.operations[0].began_at is None
        assert history.linearizable(models.Counter)

    def test_virtual_time(self) -> None:
        """Operations at one moment of loop time are in the order of the program."""
        history = History()

        async def main() -> None:
            await asyncio.sleep(5)
            record(history, "write", 1)
            record(history, "read", result=None)

        aldente.run(main, clock="virtual")
        first, second = history.operations
        assert first.ended_at == second.began_at
        assert first.ended < second.began
        assert "returned None" in verdict(lambda: history.linearizable(models.Register))

    @pytest.mark.parametrize("name", [1, "", "no name"])
    def test_a_wrong_name(self, name: Any) -> None:
        """A name that no method can have is refused."""
        with pytest.raises(aldente.InvalidSetting, match="name of a method"):
            History().operation(name)


class TestLinearizable:
    """What `History.linearizable` says."""

    def test_operations_that_overlap(self) -> None:
        """They may come in any order; those of which one ended before the other began may not."""
        history = History()
        with history.operation("write", 1):
            record(history, "read", result=None)
            record(history, "read", result=1)
        assert history.linearizable(models.Register())
        record(history, "read", result=None)
        assert verdict(lambda: history.linearizable(models.Register())) == (
            "The history of 4 operations is not linearizable: read() of 'MainThread' returned "
            "None, but in every order that explains the other results it returns 1.\n"
            "Below is the operation that no order explains if the state before is Register(1); "
            "operations in dots took effect earlier, and '?' is an unknown outcome.\n"
            "> MainThread  :..write(1)............................: |--read() = None--|\n"
            "                :..read() = None..: :..read() = 1..:"
        )

    def test_an_unknown_outcome(self) -> None:
        """It may take effect at any time later, or never, but not twice."""
        history = History()
        with pytest.raises(KeyError), history.operation("write", 1):
            raise KeyError
        record(history, "read", result=None)
        assert history.linearizable(models.Register())
        record(history, "read", result=1)
        assert history.linearizable(models.Register())
        record(history, "write", 2)
        record(history, "read", result=1)
        assert "read() of 'MainThread' returned 1" in verdict(
            lambda: history.linearizable(models.Register())
        )

    def test_an_operation_that_has_not_ended(self) -> None:
        """It may have had its effect already."""
        history = History()
        with history.operation("write", 1):
            record(history, "read", result=1)
            assert history.linearizable(models.Register())

    def test_a_result_that_is_not_said(self) -> None:
        """It is not compared."""
        history = History()
        with history.operation("increment"):
            pass
        record(history, "read", result=1)
        assert history.linearizable(models.Counter())

    def test_what_can_not_happen(self) -> None:
        """An operation for which the model would have to wait can't have ended."""
        history = History()
        record(history, "acquire", "A")
        record(history, "acquire", "B")
        assert (
            "acquire('B') of 'MainThread' returned None, but in every order that explains the other results it can't happen."
            in verdict(lambda: history.linearizable(models.Lock()))
        )

    def test_keys_apart(self) -> None:
        """What concerns one key each is judged key by key; the error names the key."""
        history = History()
        record(history, "set", "a", 1)
        record(history, "set", ["b"], 2)
        record(history, "get", "a", result=2)
        with pytest.raises(aldente.NotLinearizable) as caught:
            history.linearizable(models.KeyValue())
        assert caught.value.key == "'a'"
        assert caught.value.last is history.operations[2]
        assert parts_by_key(models.KeyValue(), history.operations)[1][0] == "['b']"

    def test_one_operation_on_all_keys(self) -> None:
        """With an operation that concerns several keys all are judged together."""
        history = History()
        record(history, "add", "a")
        record(history, "add", "b")
        record(history, "size", result=1)
        assert "size() of 'MainThread' returned 1" in verdict(
            lambda: history.linearizable(models.Set())
        )

    def test_too_many_steps(self) -> None:
        """A search that is cut off is no judgement."""
        history = History()
        spans = [history.operation("put", number) for number in range(12)]
        for span in spans:
            span.__enter__()
        for span in spans:
            span.__exit__(None, None, None)
        for _ in spans:
            record(history, "get", result=100)
        with pytest.raises(aldente.NotJudged, match=r"24 operations had not ended after 500 steps"):
            history.linearizable(models.Queue(), max_steps=500)
        assert not issubclass(aldente.NotJudged, AssertionError)

    def test_no_operations(self) -> None:
        """A history without operations says nothing."""
        with pytest.raises(aldente.NotJudged, match="It has no operations"):
            History().linearizable(models.Register())

    def test_an_unknown_operation(self) -> None:
        """The error names the operation, and those that the model has."""
        history = History()
        record(history, "fetch", "a")
        with pytest.raises(
            aldente.InvalidSetting, match=r"no method for the operation 'fetch'; it has .*get"
        ):
            history.linearizable(models.KeyValue())

    def test_the_model_stays_as_it_is(self) -> None:
        """A model may be used again."""
        history, model = History(), models.Counter(5)
        record(history, "increment", result=6)
        assert history.linearizable(model)
        assert history.linearizable(model)
        assert repr(model) == "Counter(5)"


@dataclasses.dataclass
class Account:
    """A part of a model."""

    balance: int = 0
    log: list[str] = dataclasses.field(default_factory=list)


class Bank:
    """A model of the user's, with nested state."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def deposit(self, name: str, amount: int) -> int:
        account = self.accounts.setdefault(name, Account())
        account.balance += amount
        return account.balance

    def withdraw(self, name: str, amount: int) -> int:
        account = self.accounts[name]
        assert account.balance >= amount
        account.balance -= amount
        return account.balance


class TestOwnModels:
    """Models of the user's."""

    def test_nested_state(self) -> None:
        """All of the state is copied: one order tried does not disturb the next."""
        history = History()
        with history.operation("deposit", "Ann", 5) as first:
            with history.operation("deposit", "Ann", 7) as second:
                second.returns(7)
            first.returns(12)
        record(history, "withdraw", "Ann", 12, result=0)
        assert history.linearizable(Bank)
        record(history, "withdraw", "Ann", 1, result=-1)
        text = verdict(lambda: history.linearizable(Bank))
        assert "it can't happen." in text
        assert "if the state before is Bank(accounts={'Ann': Account(balance=0, log=[])});" in text

    def test_states_are_compared_by_value(self) -> None:
        """Two ways to the same state are one state."""
        history = History()
        record(history, "deposit", "Ann", 1, result=1)
        record(history, "withdraw", "Ann", 1, result=0)
        deposit, withdraw = history.operations
        machine = Machine(Bank(), history.operations)
        once = machine.explains(machine.start, deposit)
        assert once is not None
        empty = machine.explains(once, withdraw)
        assert empty is not None
        assert machine.explains(empty, deposit) == once

    def test_states_of_other_kinds(self) -> None:
        """States are told apart by slots, by what is kept in C, and by what refers to itself."""

        class Model:
            __slots__ = ("chance", "itself", "seen")

            def __init__(self) -> None:
                self.chance = random.Random(0)
                self.seen = 0
                self.itself = self

            def draw(self) -> float:
                return self.chance.random()

            def see(self) -> int:
                self.seen += 1
                return self.seen

        expected, history = Model(), History()
        for name in ("draw", "draw", "see", "see"):
            record(history, name, result=getattr(expected, name)())
        assert history.linearizable(Model())
        draw, _, see, _ = history.operations
        machine = Machine(Model(), history.operations)
        once, other = machine.move(machine.start, draw), machine.move(machine.start, see)
        assert once is not None
        assert other is not None
        assert len({machine.start, once.state, other.state}) == 3

    def test_a_model_that_can_not_be_copied(self) -> None:
        """The error says so."""

        class Model:
            def __init__(self) -> None:
                self.lock = threading.Lock()

            def read(self) -> None:
                pass

        history = History()
        record(history, "read")
        with pytest.raises(aldente.InvalidSetting, match="Its state can't be copied: TypeError"):
            history.linearizable(Model())

    def test_a_mistake_in_a_model(self) -> None:
        """An exception of a model is no verdict: it is raised, with what was tried."""
        history = History()
        record(history, "withdraw", "Ann", 1, result=0)
        with pytest.raises(KeyError) as caught:
            history.linearizable(Bank())
        [note] = caught.value.__notes__
        assert "when withdraw('Ann', 1) was tried on Bank(accounts={})" in note

    def test_an_async_method(self) -> None:
        """A model is not async."""

        class Model:
            async def read(self) -> int:
                return 1

        history = History()
        record(history, "read", result=1)
        with pytest.raises(aldente.InvalidSetting, match="read is async"):
            history.linearizable(Model())

    def test_read_only_operations_that_change_something(self) -> None:
        """A model that is wrong about itself is refused, as its history would be misjudged."""

        class Model:
            read_only = ("pop",)

            def __init__(self) -> None:
                self.items = [1]

            def pop(self) -> int:
                return self.items.pop()

        history = History()
        record(history, "pop", result=1)
        with pytest.raises(aldente.InvalidSetting, match="'pop' is in its read_only"):
            history.linearizable(Model())

    def test_objects_of_the_history_stay_themselves(self) -> None:
        """An object that is equal only to itself can be a value."""
        history, thing, other = History(), object(), [object()]
        record(history, "write", thing)
        record(history, "read", result=thing)
        record(history, "write", other)
        record(history, "read", result=other)
        assert history.linearizable(models.Register())
        record(history, "read", result=object())
        assert verdict(lambda: history.linearizable(models.Register()))

    def test_values_that_a_model_changes(self) -> None:
        """A model may keep an argument and change it: it gets a copy."""

        class Log:
            def __init__(self) -> None:
                self.lines: list[Any] = []

            def start(self, lines: list[Any]) -> None:
                self.lines = lines

            def append(self, line: Any) -> list[Any]:
                self.lines.append(line)
                return self.lines

        history = History()
        record(history, "start", [1])
        record(history, "append", 2, result=[1, 2])
        record(history, "start", [1])
        record(history, "append", 3, result=[1, 3])
        assert history.linearizable(Log)


class TestAllOrders:
    """The search beside trying all orders; benchmarks/history_proofs.py has more of them."""

    def test_small_histories(self) -> None:
        """It says what trying all orders says, of all ready models."""
        verdicts = {kind: set[bool]() for kind in KINDS}
        for seed in range(1_500):
            history, model = random_operations(seed)
            expected = some_order_explains(history, model)
            assert (verdict(lambda: history.linearizable(model)) == "") == expected, seed  # noqa: B023
            verdicts[KINDS[seed % len(KINDS)]].add(expected)
        assert all(found == {True, False} for found in verdicts.values())

    def test_the_part_that_no_order_explains(self) -> None:
        """No order explains the part, from the state that is said to come before it."""
        count = 0
        for seed in range(1_500):
            history, model = random_operations(seed, most=8)
            operations = [one for one in history.operations if one.outcome != "failed"]
            for _, some in parts_by_key(model, operations):
                reason = find_reason(Machine(model, some), some)
                if reason is not None:
                    count += 1
                    assert not some_order_explains_operations(reason.operations, reason.model)
        assert count > 100

    def test_following_all_orders_at_once(self) -> None:
        """The search for the reason finds one for exactly those histories that are not linearizable."""
        for seed in range(500):
            history, model = random_operations(seed)
            operations = [one for one in history.operations if one.outcome != "failed"]
            failure = find_failure(Machine(model, operations), events_of(operations), 10**6)
            assert (failure is None) == some_order_explains(history, model)


def test_equivalent_schedules() -> None:
    """Steps that only record are not independent: no order of beginnings and ends is left out."""

    def orders(strategy: Dfs) -> set[str]:
        found = set()
        while strategy.start():
            run = simulate(record_orders, strategy, RunSettings())
            assert run.error is None
            found.add(str(run.result))
        assert strategy.is_exhaustive
        return found

    assert orders(Dfs()) == orders(Dfs(skips_equivalent=False))


async def record_orders() -> list[tuple[int, int, int]]:
    """Two tasks that share nothing but a history."""
    history = aldente.history()

    async def act(number: int) -> None:
        with history.operation("write", number):
            await asyncio.sleep(0)

    await asyncio.gather(act(1), act(2))
    return sorted((one.arguments[0], one.began, one.ended) for one in history.operations)
