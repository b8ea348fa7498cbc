"""Histories in explored tests: the report of one that no order explains."""

from __future__ import annotations

from tests.plugin.conftest import RunProject

_CACHE = """
import asyncio
import aldente
from aldente import models

class Cache:
    def __init__(self):
        self.stored, self.kept = 0, None

    async def read(self):
        if self.kept is None:
            await asyncio.sleep(0.01)
            self.kept = self.stored
        return self.kept

    async def write(self, value):
        self.kept = None
        await asyncio.sleep(0.01)
        self.stored = value
        FORGET

async def use(history, cache):
    async def write(value):
        with history.operation("write", value):
            await cache.write(value)
    async def read():
        with history.operation("read") as operation:
            operation.returns(await cache.read())
    async with asyncio.TaskGroup() as group:
        group.create_task(write(1), name="writer")
        group.create_task(read(), name="reader")
    await read()

@aldente.explore
async def test_cache():
    history = aldente.history()
    await use(history, Cache())
    history.linearizable(models.Register(0))
"""


def test_the_report(run_project: RunProject) -> None:
    """It has the sentence, the picture and the token, and no lines of aldente's."""
    result = run_project(test_it=_CACHE.replace("FORGET", ""))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       history.linearizable(models.Register(0))",
            "E       aldente.errors.NotLinearizable: The history of 3 operations is not linearizable: "
            "read() of 'test_cache' returned 0, but in every order that explains the other results "
            "it returns 1.",
            "E       Below is the operation that no order explains if the state before is Register(1); *",
            "E         writer      :..write(1)*:",
            "E         reader        :..read() = 0..:",
            "E       > test_cache  *|--read() = 0--|",
            "test_it.py:*: NotLinearizable",
            "*- aldente: what happened -*",
            "Run it again: pytest test_it.py::test_cache --aldente-replay=*",
        ]
    )
    assert "_histories" not in result.stdout.str()
    token = result.stdout.str().partition("--aldente-replay=")[2].split()[0]
    again = run_project(f"--aldente-replay={token}", test_it=_CACHE.replace("FORGET", ""))
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["E       > test_cache  *|--read() = 0--|"])


def test_a_correct_program(run_project: RunProject) -> None:
    """With the cache forgetting its value at the right time, the test passes under all schedules."""
    module = _CACHE.replace("FORGET", "self.kept = None")
    result = run_project(test_it=module)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 test explored in * runs, 1 exhaustively"])
