"""Random programs of sleeps, time-outs, events and cancellations, against a model of virtual time.

The model knows nothing of asyncio: a heap of timers, a queue of workers that can run, and a clock
that goes to the next timer when the queue is empty.
"""

from __future__ import annotations

import asyncio
import collections
import heapq
import threading
from typing import NamedTuple

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import aldente
from aldente._runner.bystanders import Bystanders
from aldente._virtual_time.loop import START, VirtualTimeLoop

WORKERS = 4
EVENTS = 3


class Action(NamedTuple):
    """Something a worker does: what, to which event or worker, and for how long."""

    what: str
    number: int = 0
    seconds: float | None = None


Program = list[list[Action]]
# What a worker has seen, and when: the loop time since the start, its number, and in words.
Trace = list[tuple[float, int, str]]


def durations(worker: int) -> st.SearchStrategy[float]:
    """Times that a float holds exactly, of which each worker has its own digit."""
    return st.integers(1, 6).map(lambda count: count / 4 + 8.0 ** -(worker + 2))


def actions(worker: int) -> st.SearchStrategy[Action]:
    """What a worker may do next."""
    others = st.integers(0, WORKERS - 1).filter(lambda other: other != worker)
    events = st.integers(0, EVENTS - 1)
    limits = st.none() | durations(worker)
    return st.one_of(
        st.builds(Action, st.just("sleep"), st.just(0), durations(worker)),
        st.builds(Action, st.just("set"), events),
        st.builds(Action, st.just("clear"), events),
        st.builds(Action, st.just("wait"), events, limits),
        st.builds(Action, st.just("cancel"), others),
    )


def programs() -> st.SearchStrategy[Program]:
    """A list of actions for each worker."""
    return st.tuples(*(st.lists(actions(worker), max_size=5) for worker in range(WORKERS))).map(
        list
    )


class Model:
    """Runs a program on a clock of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now = 0.0
        self.trace: Trace = []
        self.positions = [0] * WORKERS
        self.ready = collections.deque(range(WORKERS))
        self.timers: list[tuple[float, int]] = []
        self.waiting: list[list[int]] = [[] for _ in range(EVENTS)]
        self.is_set = [False] * EVENTS
        # How each worker goes on: "sleep", "wait", "timeout", "cancelled", or "" for at first.
        self.wake_up = [""] * WORKERS
        self.ended = [False] * WORKERS
        self.begun: set[int] = set()
        self.has_tie = False

    def run(self) -> Trace | None:
        """The trace; None for a deadlock."""
        while True:
            while self.ready:
                self.step(self.ready.popleft())
            if not self.timers:
                return self.trace if all(self.ended) else None
            when, worker = heapq.heappop(self.timers)
            self.has_tie = self.has_tie or any(other == when for other, _ in self.timers)
            self.now = when
            self.leave(worker)
            is_wait = self.program[worker][self.positions[worker]].what == "wait"
            self.wake(worker, "timeout" if is_wait else "sleep")

    def wake(self, worker: int, how: str) -> None:
        self.wake_up[worker] = how
        if worker not in self.ready:
            self.ready.append(worker)

    def leave(self, worker: int) -> None:
        """A worker does not wait for anything any more."""
        self.timers = [timer for timer in self.timers if timer[1] != worker]
        heapq.heapify(self.timers)
        for waiting in self.waiting:
            if worker in waiting:
                waiting.remove(worker)

    def see(self, worker: int, what: str) -> None:
        self.trace.append((self.now, worker, what))

    def step(self, worker: int) -> None:
        """Run a worker until it has to wait."""
        how = self.wake_up[worker]
        self.wake_up[worker] = "running"
        if how == "cancelled":
            if worker in self.begun:
                self.see(worker, "cancelled")
            self.ended[worker] = True
            return
        if how:
            self.see(worker, how)
            self.positions[worker] += 1
        while self.positions[worker] < len(self.program[worker]):
            if self.has_to_wait(worker, self.program[worker][self.positions[worker]]):
                return
            self.positions[worker] += 1
        self.ended[worker] = True

    def has_to_wait(self, worker: int, action: Action) -> bool:
        self.begun.add(worker)
        match action.what:
            case "set":
                self.is_set[action.number] = True
                for other in self.waiting[action.number][:]:
                    self.leave(other)
                    self.wake(other, "wait")
            case "clear":
                self.is_set[action.number] = False
            case "cancel":
                if not self.ended[action.number]:
                    self.leave(action.number)
                    self.wake(action.number, "cancelled")
            case "sleep":
                heapq.heappush(self.timers, (self.now + (action.seconds or 0), worker))
                return True
            case "wait" if self.is_set[action.number]:
                self.see(worker, "wait")
            case "wait":
                self.waiting[action.number].append(worker)
                if action.seconds is not None:
                    heapq.heappush(self.timers, (self.now + action.seconds, worker))
                return True
        return False


async def perform(program: Program) -> Trace:
    """Run a program on the loop, and return its trace."""
    loop = asyncio.get_running_loop()
    trace: Trace = []
    events = [asyncio.Event() for _ in range(EVENTS)]

    def see(worker: int, what: str) -> None:
        trace.append((loop.time() - START, worker, what))

    async def act(worker: int, action: Action) -> None:
        match action.what:
            case "set":
                events[action.number].set()
            case "clear":
                events[action.number].clear()
            case "cancel":
                tasks[action.number].cancel()
            case "sleep":
                await asyncio.sleep(action.seconds or 0)
                see(worker, "sleep")
            case "wait":
                try:
                    async with asyncio.timeout(action.seconds):
                        await events[action.number].wait()
                    see(worker, "wait")
                except TimeoutError:
                    see(worker, "timeout")

    async def work(worker: int) -> None:
        try:
            for action in program[worker]:
                await act(worker, action)
        except asyncio.CancelledError:
            see(worker, "cancelled")
            raise

    tasks = [asyncio.create_task(work(worker)) for worker in range(WORKERS)]
    await asyncio.gather(*tasks, return_exceptions=True)
    return trace


@settings(max_examples=150, deadline=None)
@given(programs())
@example([[Action("wait", 0, 1.015625)], [Action("sleep", 0, 1.001953125), Action("set")], [], []])
@example([[Action("wait", 0)], [Action("cancel", 0)], [], []])
@example([[Action("wait", 0)], [], [], []])
@example(
    [
        [Action("set"), Action("clear")],
        [Action("sleep", 0, 1.001953125), Action("wait", 0, 1.001953125)],
        [],
        [],
    ]
)
@example([[Action("wait", 0)], [Action("set"), Action("cancel", 0)], [], []])
def test_programs_do_what_the_model_does(program: Program) -> None:
    """The same things happen at the same times in the same order; a deadlock is one in both."""
    model = Model(program)
    expected = model.run()
    # What happens at one moment for two reasons is a matter of steps, of which the model has none.
    assume(not model.has_tie)
    if expected is None:
        assert deadlocks(program)
    else:
        assert asyncio_trace(program) == expected


def asyncio_trace(program: Program) -> Trace:
    """The trace of a program on virtual time."""
    # Not those of pytest's plugins.
    tools = Bystanders(thread.ident for thread in threading.enumerate() if thread.ident)
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(bystanders=tools)) as runner:
        return runner.run(perform(program))


def deadlocks(program: Program) -> bool:
    """Whether a program ends in a deadlock on virtual time."""
    try:
        asyncio_trace(program)
    except aldente.DeadlockError:
        return True
    return False
