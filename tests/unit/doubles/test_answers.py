"""What a double answers, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import ANY, AsyncMock, call

import pytest

import aldente
from aldente import Double

T = TypeVar("T")
AsyncTest = Callable[[], Coroutine[Any, Any, T]]


def run(main: AsyncTest[T]) -> T:
    return aldente.run(main, clock="virtual")


async def fetch(url: str, *, timeout: float = 1) -> int:
    raise AssertionError("the real thing")


def test_it_is_an_async_mock() -> None:
    """A double is an AsyncMock, and the marks of one hold for it."""
    double = Double(return_value=3)
    assert isinstance(double, AsyncMock)

    async def main() -> None:
        assert await double(1, a=2) == 3

    run(main)
    double.assert_awaited_once_with(1, a=2)
    assert double.await_args_list == [call(1, a=2)]


def test_returns_and_raises_replace_one_another() -> None:
    """What was said last holds."""

    async def main() -> list[object]:
        double = Double().returns(1)
        answers: list[object] = [await double()]
        double.raises(KeyError("x"))
        try:
            await double()
        except KeyError as error:
            answers.append(str(error))
        double.returns(2)
        answers.append(await double())
        double.returns_each(3)
        answers.append(await double())
        double.side_effect = [4]
        answers.append(await double())
        double.side_effect = None
        double.return_value = 5
        return [*answers, await double()]

    assert run(main) == [1, "'x'", 2, 3, 4, 5]


def test_none_is_an_answer() -> None:
    """A double can be told to return None, and to raise a class."""

    async def main() -> None:
        assert await Double().returns(None)() is None
        with pytest.raises(ZeroDivisionError):
            await Double().raises(ZeroDivisionError)()

    run(main)


def test_each_call_has_its_answer() -> None:
    """Answers are given one after the other, exceptions raised; after the last, the calls are told."""
    double = Double(fetch).returns_each(1, OSError("down"), 3)

    async def main() -> None:
        assert await double("a") == 1
        with pytest.raises(OSError, match="down"):
            await double("b")
        assert await double("c", timeout=2) == 3
        with pytest.raises(aldente.NoMoreAnswers) as caught:
            await double("d")
        assert str(caught.value) == (
            "fetch('d') has no answer: returns_each() has 3 answers, which were all used:\n"
            "  1  fetch('a')\n"
            "  2  fetch('b')\n"
            "  3  fetch('c', timeout=2)\n"
            "Fix: give returns_each() one answer for each call, or use returns() for all of them."
        )

    run(main)


@pytest.mark.parametrize("kind", ["sync", "async", "awaitable"])
def test_calls_a_function(kind: str) -> None:
    """A function computes the answer, sync, async, or sync with something to await."""

    async def double_it(number: int) -> int:
        return number * 2

    functions: dict[str, Callable[[int], Any]] = {
        "sync": lambda number: number * 2,
        "async": double_it,
        "awaitable": lambda number: double_it(number),
    }

    async def main() -> int:
        result: int = await Double().calls(functions[kind])(21)
        return result

    assert run(main) == 42


def test_answers_by_argument() -> None:
    """The answer given last that fits is used; arguments fit however they are passed."""
    double = Double(fetch).returns(0)
    double.when(ANY, timeout=ANY).returns(1)
    double.when("b").raises(OSError("b"))
    double.when(url="c", timeout=1.5).returns_each(2, 3)

    async def main() -> None:
        assert await double("a") == 0
        assert await double("a", timeout=9) == 1
        with pytest.raises(OSError, match="b"):
            await double(url="b")
        assert [await double("c", timeout=1.5), await double("c", timeout=1.5)] == [2, 3]
        with pytest.raises(aldente.NoMoreAnswers, match=r"returns_each\(\) has 2 answers"):
            await double("c", timeout=1.5)

    run(main)


def test_the_same_arguments_are_answered_anew() -> None:
    """A later answer for the same arguments takes the place of the earlier one."""
    double = Double()
    double.when("a").returns(1)
    double.when("a").returns(2)

    async def main() -> object:
        return await double("a")

    assert run(main) == 2


def test_other_arguments_have_no_answer() -> None:
    """A call that no answer by argument fits fails, unless there is one for all calls."""
    double: Any = Double(fetch)
    double.when("a").returns(1)
    double.when("b", timeout=2).returns(1)

    async def main() -> None:
        with pytest.raises(aldente.NoAnswer) as caught:
            await double("c")
        assert str(caught.value) == (
            "fetch('c') has no answer: every when() is for other arguments:\n"
            "  fetch('a')\n"
            "  fetch('b', timeout=2)\n"
            "Fix: add a when() for these arguments, or set the answer of all other calls with returns()."
        )
        double.returns(None)
        assert await double("c") is None

    run(main)


def test_arguments_that_do_not_fit_the_spec_are_refused() -> None:
    """Neither a call nor an answer can be had with arguments the real thing does not take."""
    double: Any = Double(fetch)
    with pytest.raises(
        TypeError,
        match=r"^fetch: missing a required argument: 'url'; it is called as fetch\(url, \*, timeout=1\)$",
    ):
        double()
    with pytest.raises(TypeError, match="fetch: too many positional arguments"):
        double.when("a", 3)
    assert double.mock_calls == []
    assert double.timeline == ()


def test_takes_loop_time() -> None:
    """An answer takes as many seconds of the loop's time as was said, or as a function says."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        spent = []
        double = Double(fetch).returns(1).takes(3600)
        for change in (
            lambda: None,
            lambda: double.takes(lambda: 7),
            lambda: double.takes(lambda url, **_: len(url)),
            lambda: double.when("abc").takes(0.5),
        ):
            change()
            await double("abc")
            spent.append(loop.time() - began)
            began = loop.time()
        return spent

    began = time.perf_counter()
    assert run(main) == [3600, 7, 3, 0.5]
    assert time.perf_counter() - began < 60


def test_an_answer_that_only_takes_time_gives_what_all_calls_give() -> None:
    """``when().takes()`` says nothing of the answer itself."""
    double = Double().returns(1)
    double.when("slow").takes(60)

    async def main() -> object:
        return await double("slow")

    assert run(main) == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "1", None])
def test_takes_refuses_what_is_no_duration(seconds: Any) -> None:
    """What is no number of seconds is refused, with what is allowed."""
    with pytest.raises(aldente.InvalidSetting) as caught:
        Double().takes(seconds)
    assert str(caught.value).startswith(
        f"{seconds!r} is not a valid takes. It must be a number of seconds of at least 0, or a function that returns one."
    )

    async def main() -> None:
        await Double().takes(lambda: seconds)()

    with pytest.raises(aldente.InvalidSetting):
        run(main)


@pytest.mark.parametrize(
    ("method", "value", "allowed"),
    [
        ("raises", "oops", "It must be an exception, or a class of exceptions."),
        ("raises", int, "It must be an exception, or a class of exceptions."),
        ("calls", 3, "It must be a function or coroutine function."),
    ],
)
def test_wrong_values_are_refused(method: str, value: Any, allowed: str) -> None:
    """What can't be raised or called is refused when it is said, not when it is used."""
    with pytest.raises(aldente.InvalidSetting, match=allowed):
        getattr(Double(), method)(value)


def test_never_returns() -> None:
    """A call that never returns waits until it is cancelled."""
    double = Double().never_returns()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(double(), 3600)

    run(main)
    assert (double.pending, double.cancelled_count) == (0, 1)


def test_a_stream() -> None:
    """An async generator function's double gives items one by one, each in its time, and failures."""

    async def lines(path: str):  # type: ignore[no-untyped-def]
        yield path

    double = Double(lines).streams("a", "b", EOFError("end")).takes(2)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen: list[tuple[str, float]] = []

        async def read() -> None:
            async for line in double("file"):
                seen.append((line, loop.time() - began))

        with pytest.raises(EOFError, match="end"):
            await read()
        assert seen == [("a", 2), ("b", 4)]
        with pytest.raises(TypeError, match="lines: missing a required argument: 'path'"):
            double()

    run(main)
    assert [each.outcome for each in double.timeline] == ["raised"]


def test_a_stream_that_is_left_early() -> None:
    """Leaving the loop early leaks nothing, and the call is no longer pending."""
    double = Double().streams(1, 2, 3)

    async def main() -> None:
        async for _ in double():
            break

    run(main)
    assert double.pending == 0
    assert double.timeline[0].outcome == "closed"


def test_a_double_is_iterated_itself() -> None:
    """``async for`` over the double of an object with ``__aiter__`` gives the items too."""

    class Feed:
        def __aiter__(self) -> Feed:
            return self

        async def __anext__(self) -> int:
            return 1

    async def main() -> list[list[int]]:
        return [
            [item async for item in double]
            for double in (Double(Feed).streams(1, 2), Double().streams(3))
        ]

    assert run(main) == [[1, 2], [3]]


@pytest.mark.parametrize("given", [[1, 2], (1, 2), iter([1, 2])])
def test_a_stream_of_a_return_value(given: Any) -> None:
    """A stream goes over what the double returns, as the ``__aiter__`` of a mock does."""

    async def numbers():  # type: ignore[no-untyped-def]
        yield 1

    async def main() -> list[int]:
        return [item async for item in Double(numbers).returns(given)()]

    assert run(main) == [1, 2]


def test_a_stream_that_a_function_computes() -> None:
    """An async generator function can compute what is streamed."""

    async def count(to: int):  # type: ignore[no-untyped-def]
        for number in range(to):
            yield number

    async def main() -> list[int]:
        return [item async for item in Double(count).calls(count)(3)]

    assert run(main) == [0, 1, 2]


def test_exceptions_that_end_programs_are_answers_too() -> None:
    """A double raises whatever it was told to."""

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Double().raises(asyncio.CancelledError)()
        with pytest.raises(SystemExit):
            await Double().raises(SystemExit(3))()

    run(main)


def test_a_loop_can_decide_when_answers_come() -> None:
    """A loop with the method ``wait_for_answer`` is asked for each answer, with its seconds."""
    asked: list[float | None] = []

    class Deciding(asyncio.SelectorEventLoop):
        async def wait_for_answer(self, seconds: float | None) -> None:
            asked.append(seconds)

    async def main() -> None:
        await Double().returns(1)()
        await Double().returns(1).takes(30)()

    with asyncio.Runner(loop_factory=Deciding) as runner:
        runner.run(main())
    assert asked == [None, 30]


def test_without_a_loop() -> None:
    """A double's coroutine can be run by hand, as those of other libraries' loops are."""
    coroutine = Double().returns(3)()
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value == 3


def test_wrapping_the_real_thing() -> None:
    """``wraps`` lets calls through, and the double keeps account of them."""

    async def real(number: int) -> int:
        return number + 1

    double = Double(real, wraps=real)

    async def main() -> int:
        return await double(1)

    assert run(main) == 2
    assert str(double.timeline[0]) == "real(1)"
