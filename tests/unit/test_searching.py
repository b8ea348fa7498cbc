"""`aldente.search` and `aldente.replay`: what they find, what they say, and that nothing escapes."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime
import functools
import itertools
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import aldente
from aldente._schedules import Schedule
from aldente._simulation.tokens import encode

Main = Callable[[], Coroutine[Any, Any, object]]


async def lost_update() -> None:
    """Two tasks add to a counter, with an await between reading and writing."""
    counter = 0

    async def add() -> None:
        nonlocal counter
        before = counter
        await asyncio.sleep(0)
        counter = before + 1

    async def after() -> None:
        await add()
        await add()

    await asyncio.gather(after(), asyncio.sleep(0))
    assert counter == 2
    await asyncio.gather(*(add() for _ in range(2)))
    assert counter in (3, 4)


async def stampede_by_timing() -> None:
    """Fails only if a fetch takes longer than usual: the cache is asked for once more meanwhile."""
    calls = 0
    cache: list[int] = []

    async def get() -> int:
        nonlocal calls
        if not cache:
            calls += 1
            await asyncio.sleep(1)
            cache.append(calls)
        return cache[0]

    async def later() -> None:
        await asyncio.sleep(1.5)
        await get()

    await asyncio.gather(get(), later())
    assert calls == 1


async def in_one_order() -> str:
    """Fails if the last of three tasks is the first to go on."""
    order: list[str] = []

    async def work(name: str) -> None:
        await asyncio.sleep(0)
        order.append(name)

    await asyncio.gather(*map(work, "abc"))
    assert order[0] != "c"
    return "".join(order)


def test_a_failure_is_found_and_replayed() -> None:
    """A program that fails in some order fails in a search, and again from the token."""
    exploration = aldente.search(in_one_order)
    failure = exploration.failure
    assert failure is not None
    assert isinstance(failure.exception, AssertionError)
    assert failure.run == exploration.runs < 50
    assert not failure.inexact
    assert len(failure.token) < 40
    for _ in range(2):
        with pytest.raises(AssertionError):
            aldente.replay(in_one_order, failure.token)


def test_bugs_that_need_an_await_to_take_longer_are_found() -> None:
    """A sleep that may take up to twice as long shows what depends on its length."""
    found = aldente.search(stampede_by_timing).failure
    assert found is not None
    assert found.run < 30
    assert aldente.search(stampede_by_timing, order="io").failure is not None
    assert aldente.search(stampede_by_timing, slack=0).failure is None


def test_a_program_that_never_fails_has_no_failure() -> None:
    """All runs are made, and it is said how many of them differed."""
    exploration = aldente.search(lost_update, runs=100, strategy="random")
    assert exploration.failure is None
    assert exploration.runs == 100
    assert 1 < exploration.distinct < 100
    assert not exploration.exhausted


def test_fifo_has_one_schedule() -> None:
    """The order of asyncio is exhausted by one run, and the one that a search begins with."""
    exploration = aldente.search(in_one_order, strategy="fifo", runs=5)
    assert exploration.distinct == 1
    assert exploration.exhausted
    assert exploration.failure is None


def test_a_search_is_the_same_every_time() -> None:
    """Without a seed, and with the same seed, the same failure is found in the same run."""
    failures = [aldente.search(in_one_order).failure for _ in range(2)]
    seeded = [aldente.search(in_one_order, seed=seed).failure for seed in range(8)]
    assert failures[0] is not None
    assert failures[1] is not None
    assert failures[0].token == failures[1].token
    assert len({failure.token for failure in seeded if failure is not None}) > 1


def test_a_report_tells_how_to_see_it_again() -> None:
    """The report has the exception, where it was raised, and the call that replays it."""
    failure = aldente.search(in_one_order).failure
    assert failure is not None
    report = failure.report()
    assert "in_one_order" in report
    assert 'assert order[0] != "c"' in report
    assert report.endswith(f"Run it again: aldente.replay(main, {failure.token!r})")


def test_a_replay_returns_what_the_program_returns() -> None:
    """A schedule that does not fail gives the result."""
    assert aldente.replay(in_one_order, encode(Schedule((1,)))) == "bac"


def test_a_replay_that_can_not_be_exact_says_so() -> None:
    """A token of another program ends with the first difference that shows."""

    async def nothing() -> None:
        await asyncio.sleep(0)

    token = encode(Schedule((1,), (3, 2)))
    with pytest.raises(aldente.ReplayMismatch) as caught:
        aldente.replay(nothing, token)
    assert caught.value.choice == 0
    assert caught.value.met == "no more choices"
    with pytest.raises(aldente.ReplayMismatch, match="3 options, and the recording has at least 6"):
        aldente.replay(in_one_order, encode(Schedule((5,))))
    with pytest.raises(aldente.ReplayMismatch, match="other options at an earlier choice"):
        aldente.replay(in_one_order, encode(Schedule((1,), (3, 5))))


def test_a_token_of_another_python_that_can_not_be_exact_says_so() -> None:
    """Where asyncio takes other steps, the cause names both Pythons; else the token replays."""
    token = encode(Schedule((1,), (3, 5), python=(3, 99)))
    here = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(aldente.ReplayMismatch) as caught:
        aldente.replay(in_one_order, token)
    assert caught.value.cause == (
        f"the schedule was recorded on Python 3.99 and this is Python {here}, where asyncio takes "
        "other steps in this program; replay it on Python 3.99, or search anew on this one"
    )
    failure = aldente.search(in_one_order).failure
    assert failure is not None
    assert failure.schedule.python == sys.version_info[:2]
    other = encode(replace(failure.schedule, python=(3, 99)))
    with pytest.raises(AssertionError) as raised:
        aldente.replay(in_one_order, other)
    assert not hasattr(raised.value, "__notes__")


def test_a_schedule_tells_the_first_difference_exactly() -> None:
    """The schedule of a failure knows all its options, so a replay stops where they differ first."""
    failure = aldente.search(in_one_order).failure
    assert failure is not None
    with pytest.raises(AssertionError):
        aldente.replay(in_one_order, failure.schedule)
    counts = failure.schedule.counts
    changed = Schedule(failure.schedule.choices, (counts[0], counts[1] + 5, *counts[2:]))
    with pytest.raises(aldente.ReplayMismatch) as caught:
        aldente.replay(in_one_order, changed)
    assert caught.value.choice == 1
    assert (caught.value.recorded, caught.value.met) == (
        f"{counts[1] + 5} options",
        f"{counts[1]} options",
    )


def test_a_failure_of_an_inexact_replay_is_raised_with_a_note() -> None:
    """When the program fails although its options have changed, its exception comes through."""

    async def fails() -> None:
        await in_one_order()
        raise LookupError

    with pytest.raises(LookupError) as caught:
        aldente.replay(fails, encode(Schedule((1,), (3, 7))))
    assert any("The replay was not exact" in note for note in caught.value.__notes__)


def test_a_schedule_that_passes_in_its_last_run_is_not_exact() -> None:
    """The last run of a failure is a replay of its token, so what came of it is reported."""
    runs = itertools.count(1)

    async def fails_three_times() -> None:
        # As many as it takes to find the failure and to compare two runs of it.
        if next(runs) <= 3:
            await in_one_order()
            raise LookupError

    failure = aldente.search(fails_three_times, shrink=False).failure
    assert failure is not None
    assert failure.inexact == "the last run of this schedule passed, although an earlier one failed"


# What fails in a clean-up is told by the loop, and so by the rule.
@aldente.allow("background-error")
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), ValueError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("where", ["main", "task", "callback", "clean-up"])
def test_no_exception_of_a_program_escapes(error: BaseException, where: str) -> None:
    """Whatever is raised, wherever, ends the run and is its failure; the next search works."""
    ended: list[str] = []

    async def main() -> None:
        async def other() -> None:
            try:
                await asyncio.sleep(1000)
            finally:
                ended.append("other")
                if where == "clean-up":
                    raise error

        async def fail() -> None:
            await asyncio.sleep(1)
            if where == "task":
                raise error

        asyncio.create_task(other())  # noqa: RUF006 - it is left behind
        if where == "callback":
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
            asyncio.get_running_loop().call_later(1, throw)
        await asyncio.create_task(fail())
        if where == "main":
            raise error

    def throw() -> None:
        raise error

    failure = aldente.search(main, runs=3).failure
    assert "other" in ended
    is_final = isinstance(error, (SystemExit, KeyboardInterrupt))
    if where in ("main", "task") or is_final:
        assert failure is not None
        assert type(failure.exception) is type(error)
    assert aldente.search(lost_update, runs=3).failure is None


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_ctrl_c_of_the_user_ends_a_search() -> None:
    """A KeyboardInterrupt that comes from a signal is raised, and is nobody's failure."""

    async def main() -> None:
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            aldente.search(main)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


async def deadlock() -> None:
    """Two tasks lock two locks in opposite orders."""
    one, two = asyncio.Lock(), asyncio.Lock()

    async def work(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    await asyncio.gather(work(one, two), work(two, one))


def test_a_deadlock_says_who_waits_for_whom() -> None:
    """A deadlock ends the run at once, with the circle in words."""
    failure = aldente.search(deadlock).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.DeadlockError)
    assert failure.waiting is not None
    assert len(failure.waiting.tasks) == 3
    (note,) = failure.exception.__notes__
    assert "which waits for" in note
    assert __file__.rpartition("/")[2] in note


def end_of(how: str) -> str:
    """How a program of `tests.unit.heartbeats` ends, in a process of its own."""
    program = subprocess.run(
        [sys.executable, "-m", "tests.unit.heartbeats", how],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return program.stdout.strip()


def test_a_heartbeat_does_not_hide_a_deadlock() -> None:
    """When only periodic tasks go on while the program waits for what no task has, that is told."""
    assert end_of("stuck") == "deadlock"


def test_a_slow_program_with_a_heartbeat_is_no_deadlock() -> None:
    """A task that polls for long what the program waits for is not taken for a heartbeat."""

    async def main() -> None:
        event = asyncio.Event()

        async def poll() -> None:
            for _ in range(3_000):
                await asyncio.sleep(1)
            event.set()

        task = asyncio.create_task(poll())
        await event.wait()
        await task

    assert aldente.search(main, runs=2).failure is None


@pytest.mark.parametrize("how", ["closure", "container", "global", "cancellation", "spawned"])
def test_what_a_slow_task_can_reach_is_no_deadlock(how: str) -> None:
    """However a periodic task may get at what the program waits for, it is not taken for stuck."""
    assert end_of(how) == "ended"


def test_a_timer_may_end_what_no_task_can() -> None:
    """A callback that comes late is not forgotten when a heartbeat goes on meanwhile."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(5_000, future.set_result, None)

        async def beat() -> None:
            while True:
                await asyncio.sleep(1)

        task = asyncio.create_task(beat())
        await future
        task.cancel()

    assert aldente.search(main, runs=2).failure is None


def test_a_livelock_ends_by_its_budget() -> None:
    """A program that goes round for ever is ended, and what kept it busy is named."""

    async def main() -> None:
        done = False

        async def poll() -> None:
            while not done:
                await asyncio.sleep(0)

        await asyncio.create_task(poll(), name="poller")

    failure = aldente.search(main, max_steps=500).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.LivelockError)
    assert failure.exception.steps == 500
    assert failure.exception.busy[0].startswith("'poller' at ")


def test_endless_time_ends_by_its_budget() -> None:
    """A program that sleeps for ever is ended when it has slept for years."""

    async def main() -> None:
        while True:
            await asyncio.sleep(86_400 * 365)

    failure = aldente.search(main).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.EndlessTimeError)


@pytest.mark.parametrize("pause", [0, 1])
def test_a_task_that_refuses_its_cancellation_is_given_up(
    pause: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run has a budget of its own, and what does not end is the failure."""
    monkeypatch.setattr("aldente._explore.ending._STEPS_OF_END", 2_000)

    async def main() -> None:
        async def refuse() -> None:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(pause)

        asyncio.create_task(refuse())  # noqa: RUF006 - it is left behind
        await asyncio.sleep(1)

    failure = aldente.search(main, runs=3, max_seconds=30, max_steps=1_000).failure
    assert failure is not None
    expected = aldente.StuckTasks if pause else aldente.LivelockError
    assert isinstance(failure.exception, expected)


def test_a_search_keeps_its_real_time() -> None:
    """A search ends when its real time is over, whatever is left of its runs."""
    began = time.monotonic()
    exploration = aldente.search(in_one_order, runs=10**9, strategy=Stock(), max_seconds=0.2)
    assert 1 < exploration.runs < 10**9
    assert exploration.failure is None
    assert time.monotonic() - began < 20


@aldente.allow("blocking-call")
def test_the_first_run_has_a_second() -> None:
    """However short the time is that all runs have."""

    block = time.sleep

    async def main() -> None:
        block(0.2)

    exploration = aldente.search(main, max_seconds=0.05)
    assert (exploration.runs, exploration.failure, exploration.is_late) == (1, None, True)

    async def without_end() -> None:
        while True:
            block(0.01)
            await asyncio.sleep(0)

    failure = aldente.search(without_end, max_seconds=0.05).failure
    assert failure is not None
    assert "still running after 1 s" in str(failure.exception)


class Stock:
    """A strategy of the user's: always what asyncio does."""

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: object) -> int:
        return 0

    def end(self) -> None:
        pass


@pytest.mark.parametrize("answer", [-1, 9, None, "0"])
def test_a_strategy_that_chooses_what_is_not_there_is_told(answer: Any) -> None:
    """A wrong answer of a user's strategy ends the run with an error that names it."""

    class Wrong(Stock):
        def choose(self, count: int, options: object) -> int:
            return answer  # type: ignore[no-any-return]

    failure = aldente.search(in_one_order, strategy=Wrong()).failure
    assert failure is not None
    assert isinstance(failure.exception, aldente.InvalidSetting)
    assert failure.exception.name == "choice of Wrong"


def test_randomness_follows_from_the_seed() -> None:
    """random, secrets, uuid and os.urandom give the same in every run, and others for other seeds."""
    drawn: list[object] = []

    async def main() -> None:
        drawn.append(
            (
                random.random(),
                secrets.token_hex(),
                uuid.uuid4(),
                os.urandom(4),
                random.SystemRandom().random(),
            )
        )

    random.seed(7)
    expected = random.random()
    random.seed(7)
    aldente.search(main, runs=3)
    assert random.random() == expected
    assert len(set(drawn)) == 1
    aldente.search(main, runs=1, seed=5)
    assert len(set(drawn)) == 2
    assert os.urandom(16) != os.urandom(16)


def test_the_wall_clock_follows_loop_time_from_a_fixed_date() -> None:
    """With wall=True the clocks of the process are part of the simulation."""
    seen: list[tuple[Any, ...]] = []

    async def main() -> None:
        before = time.time(), datetime.datetime.now(datetime.UTC)
        await asyncio.sleep(3600)
        seen.append((*before, time.time(), time.monotonic()))

    assert aldente.search(main, runs=2, wall=True).escaped == ""
    assert len(set(seen)) == 1
    assert seen[0][0] == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).timestamp()


def escaped_clock() -> Main:
    """A program whose steps depend on the real clock."""

    async def main() -> None:
        for _ in range(time.perf_counter_ns() % 1009):
            await asyncio.sleep(0)

    return main


def escaped_addresses() -> Main:
    """A program whose steps depend on the order of a set of objects."""

    class Thing:
        def __init__(self, number: int) -> None:
            self.number = number

    kept: list[object] = []

    async def main() -> None:
        async def work(number: int) -> None:
            await asyncio.sleep(number)

        things = []
        for number in range(30):
            kept.append([object() for _ in range(random.randrange(200))])
            things.append(Thing(number))
        kept.append([object() for _ in range(len(kept) * 17)])
        for thing in set(things):
            await work(thing.number)

    return main


@pytest.mark.parametrize(
    ("make", "named"),
    [(escaped_clock, "time.perf_counter_ns() at "), (escaped_addresses, "the order of a set")],
)
def test_entropy_that_escapes_is_noticed_and_named(make: Callable[[], Main], named: str) -> None:
    """When two runs of one schedule differ, what the program has asked the world for is named."""
    escaped = aldente.search(make(), runs=1).escaped
    assert "two runs of one schedule differed at step" in escaped
    assert named in escaped


def escaped_library() -> Main:
    """A program whose steps differ while a library uses addresses as keys."""
    runs = itertools.count()

    async def main() -> None:
        copy.deepcopy([])
        for _ in range(next(runs)):
            await asyncio.sleep(0)

    return main


def escaped_id() -> Main:
    """A program whose steps depend on an address."""
    kept: list[object] = []

    async def main() -> None:
        kept.append(object())
        for _ in range(id(kept[-1]) // 16 % 1009):
            await asyncio.sleep(0)

    return main


def escaped_threads(*, has_clock: bool = False) -> Main:
    """A program with a thread of its own that calls in more often in each run."""
    runs = itertools.count(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        asyncio.create_task(asyncio.sleep(0))  # noqa: RUF006
        if has_clock:
            time.perf_counter_ns()
        for _ in range(next(runs)):
            future = loop.create_future()
            args = (future.set_result, None)
            threading.Thread(target=loop.call_soon_threadsafe, args=args).start()
            await future

    return main


_THREADS = "; threads that the program itself started called into the loop"


@pytest.mark.parametrize(
    ("make", "named", "is_id"),
    [
        (escaped_library, "; it may be the order of a set", False),
        (escaped_id, "; the program calls id() at ", True),
        (escaped_threads, _THREADS, False),
        (
            functools.partial(escaped_threads, has_clock=True),
            f"{_THREADS}, and the program calls time.perf_counter_ns() at ",
            False,
        ),
    ],
)
def test_threads_come_first_and_addresses_count_where_the_program_takes_them(
    make: Callable[[], Main], named: str, is_id: bool
) -> None:
    """Threads that called in are named first; ``id()`` only where the program itself calls it."""
    escaped = aldente.search(make(), runs=1).escaped
    assert named in escaped
    assert ("id()" in escaped) is is_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": 0}, "0 is not a valid runs"),
        ({"runs": True}, "True is not a valid runs"),
        (
            {"strategy": "rnd"},
            "'rnd' is not a valid strategy. Strategies are: auto, dfs, fifo, pct, pos, random",
        ),
        ({"strategy": Stock}, "is not a valid strategy"),
        ({"shrink": 1}, "1 is not a valid shrink"),
        ({"order": "all"}, "'all' is not a valid order. Orders are: any, io."),
        ({"slack": -1}, "-1 is not a valid slack"),
        ({"seed": -1}, "-1 is not a valid seed"),
        ({"max_steps": 1.5}, "1.5 is not a valid max_steps"),
        ({"max_seconds": 0}, "0 is not a valid max_seconds"),
        ({"wall": 1}, "1 is not a valid wall"),
    ],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any], message: str) -> None:
    """A wrong value is named, with what is allowed."""
    with pytest.raises(aldente.InvalidSetting) as caught:
        aldente.search(lost_update, **arguments)
    assert message in str(caught.value)


def test_a_search_is_for_programs() -> None:
    """What is no coroutine function is refused, and so is a search within a running loop."""
    with pytest.raises(aldente.InvalidSetting, match="without calling it"):
        aldente.search(lost_update())  # type: ignore[arg-type]

    async def within() -> None:
        aldente.search(lost_update)

    with pytest.raises(RuntimeError, match=r"aldente.search\(\) cannot be called"):
        asyncio.run(within())


def test_the_repr_of_a_long_failure() -> None:
    """At a prompt a result is short, however many steps the run has."""

    async def main() -> None:
        for _ in range(1_000):
            await asyncio.sleep(1)
        raise ValueError("in the end")

    exploration = aldente.search(main, runs=1)
    assert exploration.failure is not None
    assert len(exploration.failure.steps) > 1_000
    assert "Failure(exception=ValueError('in the end'), token=" in repr(exploration)
    assert len(repr(exploration)) < 1_000
