"""What a schedule may do: the rules of the simulated loop, one by one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import linecache
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

import aldente
from aldente._asyncio_compat.stepping import WAKE_SLEEPER
from aldente._explore.runs import Run, RunSettings
from aldente._explore.simulate import simulate
from aldente._schedules import Order
from aldente._simulation.choices import Option, OptionKind
from aldente._simulation.loop import SimulatedLoop
from aldente._strategies.fifo import Fifo
from aldente._strategies.random import Random

Main = Callable[[], Coroutine[Any, Any, object]]


class Always:
    """Chooses the option of one number, or the last one; remembers what there was."""

    def __init__(self, index: int = -1) -> None:
        self.index = index
        self.seen: list[list[Option]] = []

    def start(self) -> bool:
        return True

    def choose(self, count: int, options: Sequence[Option]) -> int:
        self.seen.append(list(options))
        assert len(options) == count
        return self.index if 0 <= self.index < count else count - 1

    def end(self) -> None:
        pass


def run(main: Main, strategy: Any = None, **rules: Any) -> Run:
    """Run a program, and have it not fail."""
    result = simulate(main, strategy or Fifo(), RunSettings(**rules))
    if result.error is not None:
        raise result.error
    return result


def orders_of(main: Main, runs: int = 200, **rules: Any) -> set[Any]:
    """What a program returns under many schedules."""
    strategy = Random(1)
    return {run(main, strategy, **rules).result for _ in range(runs)}


async def three_naps(seconds: float) -> str:
    """The order in which three tasks go on that sleep for equally long."""
    order: list[str] = []

    async def nap(name: str) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    await asyncio.gather(*map(nap, "abc"))
    return "".join(order)


def test_resumptions_come_in_every_order() -> None:
    """Tasks that are ready to go on may do so in any order."""
    assert orders_of(lambda: three_naps(0)) == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_option_0_is_the_order_of_asyncio() -> None:
    """Whoever always chooses option 0 gets what asyncio does."""
    assert run(lambda: three_naps(0), Always(0)).result == "abc"


def test_a_single_way_to_go_on_is_no_choice() -> None:
    """A program of one task has no choices."""

    async def main() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            await asyncio.sleep(1)

    assert run(main, Always()).choices == []


def test_order_io_holds_only_what_comes_from_outside() -> None:
    """With order="io" tasks that wake one another keep their order; those that slept do not."""
    assert orders_of(lambda: three_naps(0), order="io") == {"abc"}
    assert len(orders_of(lambda: three_naps(1), order="io")) == 6


def test_what_a_sleep_causes_through_callbacks_comes_from_outside() -> None:
    """A task may be held with order="io" that a done-callback of something slow has woken."""

    async def main() -> str:
        order: list[str] = []
        loop = asyncio.get_running_loop()

        async def wait(name: str, future: asyncio.Future[int]) -> None:
            await future
            order.append(name)

        slow = [asyncio.to_thread(int) for _ in range(2)]
        await asyncio.gather(
            *(wait(name, asyncio.ensure_future(job)) for name, job in zip("ab", slow, strict=True))
        )
        assert loop.time() == 100_000
        return "".join(order)

    assert orders_of(main, runs=20, order="io") == {"ab", "ba"}


async def sleeper_against_timer(later: float) -> str:
    """Which of two sleeps ends first, the second of which is longer."""
    order: list[str] = []

    async def nap(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    await asyncio.gather(nap("short", 1), nap("long", later))
    return " ".join(order)


def test_a_sleep_may_take_as_much_longer_as_slack_says() -> None:
    """A task that has waited for a second may be held for one more, and no longer."""
    assert orders_of(lambda: sleeper_against_timer(1.9)) == {"short long", "long short"}
    assert orders_of(lambda: sleeper_against_timer(2.0)) == {"short long", "long short"}
    assert orders_of(lambda: sleeper_against_timer(2.1)) == {"short long"}
    assert orders_of(lambda: sleeper_against_timer(2.1), slack=1.2) == {"short long", "long short"}
    assert orders_of(lambda: sleeper_against_timer(1.1), slack=0.0) == {"short long"}


def test_what_others_have_a_sleep_call_is_not_held() -> None:
    """A done-callback of the future behind a sleep is called when it is over, whatever it is."""

    async def main() -> str:
        over: list[object] = []
        sleep: Any = asyncio.sleep(1)
        sleep.send(None).add_done_callback(over.append)
        await asyncio.sleep(1.5)
        return str(len(over))

    assert orders_of(main) == {"1"}


def test_a_sleep_may_be_ended_by_others() -> None:
    """A sleep whose future somebody else has set is over, and does nothing when its time comes."""

    async def sleep_or_less(futures: list[asyncio.Future[None]]) -> None:
        sleep: Any = asyncio.sleep(5)
        futures.append(sleep.send(None))
        with contextlib.closing(sleep):
            await asyncio.wait(futures)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[None]] = []
        other = asyncio.create_task(asyncio.sleep(5))
        sleeper = asyncio.create_task(sleep_or_less(futures))
        timer = loop.create_future()
        loop.call_later(5, timer.set_result, None)
        await asyncio.sleep(1)
        futures[0].set_result(None)
        await sleeper
        await asyncio.gather(timer, other)
        return loop.time()

    assert orders_of(main, runs=5, slack=0) == {100_005.0}


@pytest.mark.parametrize("order", ["any", "io"])
def test_how_long_a_sleep_may_take_counts_from_its_beginning(order: Order) -> None:
    """A sleep that an event let begin at 10 s, and lasts for 1 s, may take until 12 s."""

    async def main(other: float) -> str:
        order: list[str] = []
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(10, event.set)

        async def wait() -> None:
            await event.wait()
            await asyncio.sleep(1)
            order.append("short")

        async def nap() -> None:
            await asyncio.sleep(other)
            order.append("long")

        await asyncio.gather(wait(), nap())
        return " ".join(order)

    assert orders_of(lambda: main(12.5), order=order) == {"short long"}
    assert orders_of(lambda: main(11.5), order=order) == {"short long", "long short"}
    assert orders_of(lambda: main(11.5), order=order, slack=0.4) == {"short long"}


def test_what_waits_for_an_event_is_never_late_itself() -> None:
    """A task that an event has woken goes on before time passes: only what comes from outside is late."""

    async def main() -> str:
        order: list[str] = []
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(4, event.set)

        async def wait() -> None:
            await event.wait()
            order.append("event")

        async def nap() -> None:
            await asyncio.sleep(7)
            order.append("nap")

        await asyncio.gather(wait(), nap())
        return " ".join(order)

    assert orders_of(main) == {"event nap"}


@pytest.mark.parametrize("how", ["call_later", "timeout"])
def test_a_time_out_fires_before_a_sleep_that_reaches_past_it(how: str) -> None:
    """A sleep that may take until after another timer may do so, and a shorter one may not."""

    async def main() -> bool:
        fired: list[bool] = []
        loop = asyncio.get_running_loop()

        async def work() -> None:
            await asyncio.sleep(1)
            fired.append(False)

        async def other() -> None:
            await asyncio.sleep(1.9)

        async def limit() -> None:
            if how == "call_later":
                loop.call_later(1.5, fired.append, True)
            else:
                try:
                    async with asyncio.timeout(1.5):
                        await asyncio.Event().wait()
                except TimeoutError:
                    fired.append(True)

        await asyncio.gather(work(), other(), limit())
        return fired[0]

    assert orders_of(main) == {False, True}
    assert orders_of(main, slack=0.4) == {False}
    assert orders_of(main, slack=0) == {False}


def test_plain_callbacks_keep_their_order_and_their_place() -> None:
    """A callback runs before a task that was ready later, whatever is chosen."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        async def other() -> None:
            await asyncio.sleep(0)
            seen.append("other")

        async def late() -> None:
            loop.call_soon(seen.append, "callback")
            await asyncio.sleep(0)
            seen.append("late")

        await asyncio.gather(other(), late())
        return seen.index("callback") < seen.index("late")

    assert orders_of(main) == {True}


def test_options_say_what_is_known() -> None:
    """A strategy learns of each option which task goes on, or which one has to wait for longer."""
    strategy = Always(0)

    async def main() -> None:
        async def nap(seconds: float) -> None:
            await asyncio.sleep(seconds)

        await asyncio.gather(
            asyncio.create_task(nap(1), name="one"), asyncio.create_task(nap(1), name="two")
        )

    run(main, strategy)
    assert [[(option.kind, option.who) for option in options] for options in strategy.seen] == [
        # By how much longer: a quarter, a half, all of it.
        [(OptionKind.TAKE, "one")] * 4,
        [(OptionKind.TAKE, "two")] * 4,
        [(OptionKind.RESUME, "one"), (OptionKind.RESUME, "two")],
    ]
    assert isinstance(strategy.seen[2][0].woken_by, asyncio.Future)


def test_time_jumps_and_starts_anew() -> None:
    """Loop time begins at 100,000 in every run, and an hour takes no real time."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(3600)
        return began, loop.time()

    assert run(main).result == (100_000.0, 103_600.0)


def test_a_trace_tells_who_did_what_and_why() -> None:
    """When it is asked for, each step is recorded: the task, its line, what has woken it, the time."""

    async def main() -> None:
        event = asyncio.Event()

        async def wait() -> None:
            await event.wait()

        task = asyncio.create_task(wait(), name="waiter")
        await asyncio.sleep(2)
        event.set()
        await task

    assert simulate(main, Fifo(), RunSettings()).steps == []
    result = simulate(main, Fifo(), RunSettings(), is_traced=True)
    steps = [(step.task, step.woken_by, step.time) for step in result.steps]
    assert steps[:2] == [("Task-1", "", 0), ("waiter", "Task-1", 0)]
    assert ("waiter", "Task-1", 2) in steps
    place = next(step.place for step in result.steps if (step.task, step.time) == ("waiter", 2))
    file, _, line = place.rpartition(":")
    assert file == __file__
    assert linecache.getline(file, int(line)).strip() == "await event.wait()"


def test_tasks_look_as_on_any_loop() -> None:
    """What programs print of tasks and futures does not tell that they are simulated."""

    async def main() -> list[str]:
        future = asyncio.get_running_loop().create_future()
        return [repr(asyncio.current_task())[:6], repr(future)]

    assert run(main).result == ["<Task ", "<Future pending>"]


def test_names_of_tasks_start_anew() -> None:
    """A task without a name is called by its number in the run, not in the process."""

    async def main() -> list[str]:
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
        await asyncio.wait(tasks)
        return [task.get_name() for task in tasks]

    assert run(main).result == run(main).result == ["Task-2", "Task-3"]


def test_sets_of_tasks_and_futures_have_an_order_of_their_own() -> None:
    """Tasks and futures hash by numbers of their run, so that sets of them do not follow addresses."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
        futures = [loop.create_future() for _ in range(3)]
        await asyncio.wait(tasks)
        return [hash(each) for each in (*tasks, *futures)]

    first = run(main).result
    kept = [object() for _ in range(1000)]
    assert run(main).result == first
    assert first[:3] == [2, 3, 4]
    assert first[3:] == sorted(set(first[3:]))
    del kept


def test_a_number_is_given_when_a_task_or_future_is_made() -> None:
    """Hashing tasks and futures, in whatever order, does not change what they hash by."""

    async def main(*order: int) -> list[int]:
        loop = asyncio.get_running_loop()
        made = [*(loop.create_future() for _ in range(3))]
        made += [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
        for index in order:
            hash(made[index])
        await asyncio.wait(made[3:])
        return [hash(each) for each in made]

    stock = run(lambda: main()).result
    assert run(lambda: main(5, 4, 3, 2, 1, 0)).result == stock
    assert run(lambda: main(2, 4, 1)).result == stock
    assert len(set(stock)) == 6


def test_numbers_of_futures_do_not_depend_on_other_tasks() -> None:
    """A task's futures have the same numbers in every schedule, so making one is no shared effect."""

    async def main() -> list[list[int]]:
        async def work() -> list[int]:
            loop = asyncio.get_running_loop()
            numbers = []
            for _ in range(2):
                await asyncio.sleep(0)
                numbers.append(hash(loop.create_future()))
            return numbers

        return list(await asyncio.gather(work(), work(), work()))

    strategy = Random(1)
    results = [run(main, strategy) for _ in range(50)]
    assert len({tuple(each.choices) for each in results}) > 10
    assert all(each.result == results[0].result for each in results)


def test_the_futures_of_gather_have_an_order_of_their_own() -> None:
    """A set of what asyncio.gather gives, as asyncio.wait makes it, does not follow addresses."""

    async def main() -> list[int]:
        async def work(number: int) -> int:
            await asyncio.sleep(0)
            return number

        together = [asyncio.gather(work(number), work(-number)) for number in range(8)]
        done, _ = await asyncio.wait(together)
        return [future.result()[0] for future in done]

    kept = []
    for size in range(5):
        kept.append([object() for _ in range(31 * size)])
        assert run(main).result == list(range(8))
    own: Any = vars(asyncio.tasks)["_GatheringFuture"]
    assert own.__module__ == "asyncio.tasks"
    assert own.__hash__ is object.__hash__


def test_gather_on_another_loop_is_left_alone() -> None:
    """A thread of the program that runs a loop of its own gathers there while a run is simulated."""

    def elsewhere() -> list[int]:
        async def both() -> list[int]:
            together = asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))
            done, _ = await asyncio.wait({together})
            return list(done.pop().result())

        return asyncio.run(both())

    async def main() -> list[int]:
        return await asyncio.to_thread(elsewhere)

    assert run(main).result == [1, 2]


def test_an_explored_bug_that_needs_the_reversed_order_is_found_by_dfs() -> None:
    """A systematic search tries all 24 orders of four tasks that write to one list."""

    async def main() -> None:
        order: list[int] = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*map(work, range(4)))
        assert order != [3, 2, 1, 0]

    found = aldente.search(main, runs=1000, strategy="dfs")
    assert isinstance(found.failure and found.failure.exception, AssertionError)
    assert not found.exhausted


def test_a_token_reproduces_what_follows_from_the_order_of_a_set() -> None:
    """Which of four tasks asyncio.wait gives first, two of them cancelled, is replayed exactly."""

    async def main() -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        tasks = [asyncio.create_task(work(), name=name) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[2].cancel()
        tasks[1].cancel()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        late, _ = await asyncio.wait(tasks)
        names = [task.get_name() for task in done] + [task.get_name() for task in late]
        assert names[:1] != ["c"]

    for strategy in ("random", "pct", "pos", "dfs", "auto"):
        failure = aldente.search(main, runs=500, strategy=strategy).failure
        assert failure is not None
        with pytest.raises(AssertionError):
            aldente.replay(main, failure.token)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_hash_by_number_too() -> None:
    """asyncio.eager_task_factory makes tasks that depend on no address either."""

    async def main() -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        factory: Any = vars(asyncio)["eager_task_factory"]
        loop.set_task_factory(factory)
        assert loop.get_task_factory() is factory
        before: list[int] = []

        async def work() -> None:
            # The task that makes it does not know it yet.
            before.append(hash(asyncio.current_task()))
            await asyncio.sleep(1)

        task = loop.create_task(work())
        await task
        assert before == [hash(task)]
        return task.get_name(), hash(task)

    assert run(main).result == ("Task-2", 2)


def test_tasks_written_in_python_are_held_too() -> None:
    """A task class that asyncio has in Python only follows the same rules."""
    python_task: Any = vars(asyncio.tasks)["_PyTask"]

    async def main() -> str:
        order: list[str] = []
        loop = asyncio.get_running_loop()

        async def work(name: str) -> None:
            await asyncio.sleep(0)
            order.append(name)

        tasks = [python_task(work(name), loop=loop) for name in "ab"]
        while len(order) < 2:
            await asyncio.sleep(0)
        for task in tasks:
            assert task.done()
        return "".join(order)

    assert orders_of(main) == {"ab", "ba"}


def test_a_closed_loop_refuses() -> None:
    """Nothing can be scheduled on a loop that is closed."""
    loop = SimulatedLoop(Fifo())
    loop.close()
    coroutine = asyncio.sleep(0)
    for schedule in (
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(1, print),
        lambda: loop.call_at(1, print),
        lambda: loop.create_task(coroutine),
        lambda: loop.run_in_executor(None, print),
    ):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            schedule()
    coroutine.close()


def test_debug_mode_checks() -> None:
    """In debug mode a coroutine function is refused as a callback, and slow handles tell their origin."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            loop.call_soon(asyncio.sleep)  # type: ignore[arg-type]
        handle = loop.call_soon(print, "never")
        shown = repr(handle)
        handle.cancel()
        return shown

    assert "created at" in run(main).result
    assert __file__ in run(main).result


def test_many_cancelled_timers_are_thrown_away() -> None:
    """Time-outs that are always met do not pile up."""

    async def main() -> int:
        loop: Any = asyncio.get_running_loop()
        for _ in range(2_000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
        return len(loop._alarms)

    assert run(main).result < 300


def test_overdue_timers_let_time_move() -> None:
    """Code that sets its timer again until its time is over comes to an end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        end = loop.time() + 1e-9

        def again() -> None:
            if loop.time() >= end:
                done.set_result(None)
            else:
                loop.call_at(loop.time(), again)

        again()
        await done

    run(main)


def test_a_timer_for_no_time_at_all_rings_at_once() -> None:
    """A delay that is not a number is over at once, instead of keeping the loop busy for ever."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        loop.call_later(1, future.set_result, "later")
        loop.call_later(float("nan"), WAKE_SLEEPER, future, "at once")
        return await future

    assert orders_of(main, runs=5) == {"at once"}


def test_no_garbage_is_collected_during_a_run() -> None:
    """Nothing is finalised at a moment that depends on how many objects there are."""

    async def main() -> bool:
        return gc.isenabled()

    assert gc.isenabled()
    assert run(main).result is False
    assert gc.isenabled()


def test_a_step_that_fails_goes_to_the_exception_handler() -> None:
    """What asyncio reports of a step that can't be taken is reported here too."""

    async def main() -> dict[str, Any]:
        loop: Any = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: told.append(context))
        future = loop.create_future()

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        ((wake_up, _),) = future._callbacks
        future.set_result(None)
        await task
        # Once more, which no task can do that has ended.
        loop.call_soon(wake_up, future)
        await asyncio.sleep(0)
        return told[0]

    context = run(main).result
    assert isinstance(context["exception"], asyncio.InvalidStateError)
    assert context["message"].startswith("Exception in callback")
    assert isinstance(context["handle"], asyncio.Handle)


def test_aldente_run_with_a_seed_is_simulated() -> None:
    """aldente.run(main, seed=...) gives the same order for the same seed, and others for others."""
    results = {seed: aldente.run(lambda_naps, seed=seed) for seed in range(30)}
    assert results == {seed: aldente.run(lambda_naps, seed=seed) for seed in range(30)}
    assert len(set(results.values())) == 6


async def lambda_naps() -> str:
    """As `three_naps`, which needs an argument."""
    return await three_naps(0)


def test_tasks_tell_in_debug_mode_where_they_were_made() -> None:
    """The last frame of a task's origin is the user's, not that of the loop."""

    async def main() -> str:
        task: Any = asyncio.create_task(asyncio.sleep(0))
        await task
        return str(task._source_traceback[-2].filename)

    assert run(main, debug=True).result == __file__


def test_origins_in_debug_mode_are_those_of_asyncio() -> None:
    """The innermost frames of where a task, future or gather was made are as on asyncio's loop."""

    async def main() -> list[list[str]]:
        loop = asyncio.get_running_loop()
        made: list[Any] = [
            asyncio.create_task(asyncio.sleep(0)),
            loop.create_future(),
            asyncio.gather(asyncio.sleep(0), asyncio.sleep(0)),
        ]
        await asyncio.wait(made[::2])
        return [[frame.name for frame in each._source_traceback[-2:]] for each in made]

    assert run(main, debug=True).result == asyncio.run(main(), debug=True)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="there are no pools of interpreters")
def test_jobs_of_other_interpreters_are_waited_for() -> None:
    """A pool of interpreters, which is one of threads too, does its jobs as a pool of processes does."""

    async def main() -> int:
        executor: Any = vars(importlib.import_module("concurrent.futures.interpreter"))
        with executor["InterpreterPoolExecutor"](1) as pool:
            return await asyncio.get_running_loop().run_in_executor(pool, sum, (1, 2))

    assert run(main).result == 3
