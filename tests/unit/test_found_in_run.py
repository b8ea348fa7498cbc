"""Runs that fail by what rules find in them, although the program itself passes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aldente._explore.programs import Program
from aldente._explore.simulating import Rules
from aldente._loops.simulated.loop import SimulatedLoop
from aldente._records import Finding, SourcePlace
from aldente._strategies.fifo import Fifo
from aldente.errors import FoundInRun


class Looking:
    """Notes when it is asked, and what it sees."""

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self.seen: list[object] = []
        self._findings = findings

    def begin(self, loop: SimulatedLoop) -> None:
        self.seen.append(("begin", loop.main_task))

    def main_ended(self, loop: SimulatedLoop) -> None:
        names = sorted(task.get_name() for task in asyncio.all_tasks(loop))
        self.seen.append(("main ended", names))

    def take(self) -> Sequence[Finding]:
        self.seen.append("take")
        return self._findings


_FINDING = Finding("leaked-task", "a task was left.", "Await it.", SourcePlace(__file__, 1))


async def leave_a_task() -> str:
    async def last() -> None:
        await asyncio.sleep(0)

    asyncio.create_task(asyncio.sleep(10), name="left")
    asyncio.create_task(last(), name="about to end")
    return "done"


def test_a_watch_is_asked_in_order() -> None:
    """A watch is told of a run's begin, of what is left when it has been given time, and of its end."""
    watch = Looking()
    run = Program(leave_a_task, Rules(), watch=watch).run(Fifo())
    assert watch.seen == [("begin", None), ("main ended", ["left"]), "take"]
    assert (run.result, run.error, run.findings) == ("done", None, ())


def test_findings_fail_a_run() -> None:
    """A run in which something is found has an exception that says what the rule says."""
    run = Program(leave_a_task, Rules(), watch=Looking([_FINDING])).run(Fifo())
    assert isinstance(run.error, FoundInRun)
    assert run.error.findings == run.findings == (_FINDING,)
    assert str(run.error).startswith(
        "leaked-task: a task was left.\n  tests/unit/test_found_in_run"
    )


def test_the_programs_own_exception_wins() -> None:
    """A run that fails by itself has its own exception, and the findings besides."""

    async def main() -> None:
        raise ValueError

    run = Program(main, Rules(), watch=Looking([_FINDING])).run(Fifo())
    assert isinstance(run.error, ValueError)
    assert list(run.findings) == [_FINDING]
