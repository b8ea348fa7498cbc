"""Gates: calls wait until the test lets them go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

import aldente
from aldente import Double

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return aldente.run(main, clock="virtual")


def tasks_of(double: Any, *names: str) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(double(name), name=name) for name in names]


def test_the_test_chooses_the_order() -> None:
    """Calls are released one by one, in any order."""
    double = Double().calls(str.upper)

    async def main() -> list[str]:
        done: list[str] = []
        gate = double.hold()
        tasks = tasks_of(double, "a", "b", "c")
        for task in tasks:
            task.add_done_callback(lambda task: done.append(task.result()))
        first, second, third = await gate.arrived(3)
        assert list(gate.waiting) == [first, second, third]
        assert [str(call) for call in gate.waiting] == ["mock('a')", "mock('b')", "mock('c')"]
        gate.release(third)
        assert list(gate.waiting) == [first, second]
        await aldente.settle()
        gate.release(1)
        await aldente.settle()
        gate.release()
        await aldente.settle()
        return done

    assert run(main) == ["C", "A", "B"]


def test_an_open_gate_lets_later_calls_pass() -> None:
    """After a release of all, calls pass; hold() closes a new gate, and gives the closed one again."""
    double = Double().returns(1)

    async def main() -> None:
        gate = double.hold()
        assert double.hold() is gate
        gate.release()
        assert gate.is_open
        assert await double() == 1
        again = double.hold()
        assert again is not gate
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(double(), 1)
        with again:
            assert not again.is_open
        assert await double() == 1

    run(main)


def test_calls_fail_at_the_gate() -> None:
    """A held call raises what the test says, all or one; the others still have their answer."""
    double = Double().returns(1)

    async def main() -> list[object]:
        gate = double.hold()
        tasks = tasks_of(double, "a", "b", "c", "d")
        arrived = await gate.arrived(4)
        gate.fail(KeyError("b"), arrived[1])
        gate.fail(ValueError, 1)
        gate.release(1)
        gate.fail(OSError("rest"))
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    a, b, c, d = run(main)
    assert isinstance(a, ValueError)
    assert repr(b) == "KeyError('b')"
    assert c == 1
    assert repr(d) == "OSError('rest')"
    assert [call.outcome for call in double.timeline] == ["raised", "raised", "returned", "raised"]


def test_a_held_call_that_is_cancelled_leaves() -> None:
    """A cancelled call no longer waits, and the others are not disturbed."""
    double = Double().returns(1)

    async def main() -> None:
        gate = double.hold()
        first, second = tasks_of(double, "a", "b")
        await gate.arrived(2)
        first.cancel()
        await asyncio.wait([first])
        assert [call.args for call in gate.waiting] == [("b",)]
        gate.release(1)
        assert await second == 1
        assert (double.cancelled_count, double.pending) == (1, 0)

    run(main)


def test_arrivals_are_waited_for() -> None:
    """arrived() waits until so many calls have come, and counts those that have left."""
    double = Double().returns(1)

    async def main() -> None:
        gate = double.hold()
        watcher = asyncio.create_task(gate.arrived(2))
        tasks = tasks_of(double, "a")
        await aldente.settle()
        assert not watcher.done()
        gate.release(1)
        tasks += tasks_of(double, "b")
        assert [call.args[0] for call in await watcher] == ["a", "b"]
        abandoned = asyncio.create_task(gate.arrived(9))
        await aldente.settle()
        abandoned.cancel()
        gate.release()
        await asyncio.gather(*tasks)

    run(main)


def test_too_many_can_not_be_released() -> None:
    """Releasing what does not wait is an error that shows what does."""
    double = Double(name="price").returns(1)

    async def main() -> None:
        gate = double.hold()
        with pytest.raises(aldente.NotHeld) as caught:
            gate.release(1)
        assert str(caught.value).splitlines()[0] == (
            "1 call can't be released from the gate of price. No call waits there."
        )
        (task,) = tasks_of(double, "a")
        (call,) = await gate.arrived()
        with pytest.raises(aldente.NotHeld) as caught:
            gate.fail(OSError, 2)
        assert str(caught.value) == (
            "2 calls can't be released from the gate of price. Waiting there:\n"
            "  price('a')\n"
            "Fix: first await gate.arrived(n), which waits until n calls have reached the gate."
        )
        gate.release(call)
        with pytest.raises(aldente.NotHeld, match=r"price\('a'\) can't be released"):
            gate.release(call)
        await task

    run(main)


@pytest.mark.parametrize("count", [0, -1, True, 1.0, "1"])
def test_counts_are_checked(count: Any) -> None:
    """A number of calls is a whole number of at least 1."""

    async def main() -> None:
        gate = Double().hold()
        with pytest.raises(aldente.InvalidSetting, match="It must be a whole number of at least 1"):
            await gate.arrived(count)
        with pytest.raises(aldente.InvalidSetting, match="It must be a whole number of at least 1"):
            gate.release(count)
        with pytest.raises(aldente.InvalidSetting, match="an exception"):
            gate.fail(count)

    run(main)


def test_only_some_arguments_are_held() -> None:
    """A gate can hold the calls with certain arguments only."""
    double = Double().returns(1)
    gate = double.when("slow").returns(2).hold()

    async def main() -> None:
        (slow,) = tasks_of(double, "slow")
        assert await double("fast") == 1
        await gate.arrived()
        gate.release()
        assert await slow == 2

    run(main)


def test_time_begins_at_the_gate() -> None:
    """A call that was held takes its time after that."""
    double = Double().returns(1).takes(10)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        gate = double.hold()
        (task,) = tasks_of(double, "a")
        await gate.arrived()
        await asyncio.sleep(100)
        gate.release()
        await task
        return loop.time() - began

    assert run(main) == 110


def test_items_of_a_stream_are_held() -> None:
    """A gate holds each item of a stream."""
    double = Double().streams("a", "b")

    async def main() -> list[str]:
        seen: list[str] = []

        async def read() -> None:
            async for item in double():
                seen.append(item)

        gate = double.hold()
        task = asyncio.create_task(read())
        await gate.arrived(1)
        gate.release(1)
        await gate.arrived(2)
        assert seen == ["a"]
        gate.release()
        await task
        return seen

    assert run(main) == ["a", "b"]


def test_release_from_another_thread() -> None:
    """A gate can be released by a thread that runs no loop."""
    double = Double().returns(1)

    async def main() -> object:
        gate = double.hold()
        (task,) = tasks_of(double, "a")
        await gate.arrived()
        thread = threading.Thread(target=gate.release)
        thread.start()
        result = await task
        thread.join()
        return result

    assert asyncio.run(main()) == 1


def test_a_gate_outlives_its_loop() -> None:
    """What was held on a loop that is closed by now does not disturb the next one."""
    double = Double().returns(1)
    gate = double.hold()

    async def leave() -> None:
        task = asyncio.create_task(double())
        await gate.arrived()
        task.cancel()

    asyncio.run(leave())
    assert gate.waiting == ()
    gate.release()
    assert asyncio.run(double()) == 1


def test_on_uvloop() -> None:
    """Gates, time and concurrency work on uvloop too."""
    uvloop = pytest.importorskip("uvloop")
    double = Double().takes(0.01).returns(1)

    async def main() -> None:
        gate = double.hold()
        tasks = tasks_of(double, "a", "b")
        await gate.arrived(2)
        gate.release(1)
        assert await tasks[0] == 1
        gate.fail(ConnectionResetError)
        with pytest.raises(ConnectionResetError):
            await tasks[1]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    first, second = double.timeline
    assert (double.peak_concurrency, first.outcome, second.outcome) == (2, "returned", "raised")
    # Its clock counts milliseconds.
    assert (first.end or 0) - (first.start or 0) >= 0.005


def test_what_release_takes() -> None:
    """The message about a wrong argument of ``release`` names a call too, which it takes."""
    gate = Double().hold()
    wrong: Any = "x"
    with pytest.raises(
        aldente.InvalidSetting, match="at least 1, or a call that waits at the gate"
    ):
        gate.release(wrong)
