"""Allowing rules: blocks that overlap, and the marks of parameters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

import aldente
from aldente._plugin.marks import is_allowed_here, is_allowed_somewhere
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, run_with_findings


async def test_one_allowance_in_two_tasks() -> None:
    """Tasks may be in a block of the same allowance at once, and leave in whatever order."""
    allowance = aldente.allow("slow-step")
    may_leave = [asyncio.Event(), asyncio.Event()]

    async def stay(number: int) -> None:
        assert not is_allowed_here("slow-step")
        with allowance:
            await may_leave[number].wait()
            assert is_allowed_here("slow-step")
        assert not is_allowed_here("slow-step")

    tasks = [asyncio.create_task(stay(number)) for number in (0, 1)]
    await asyncio.sleep(0)
    for number in (0, 1):
        assert is_allowed_somewhere("slow-step")
        assert not is_allowed_here("slow-step")
        may_leave[number].set()
        await tasks[number]
    assert not is_allowed_somewhere("slow-step")


async def test_a_task_that_is_made_in_a_block() -> None:
    """A task that is made in a block is in it to its own end, and no longer than the block for others."""
    may_end = asyncio.Event()

    async def stay() -> None:
        await may_end.wait()
        assert is_allowed_here("slow-step")
        with aldente.allow("blocking-call"):
            pass
        assert is_allowed_here("slow-step")

    with aldente.allow("slow-step"):
        task = asyncio.create_task(stay())
        await asyncio.sleep(0)
    assert not is_allowed_here("slow-step")
    may_end.set()
    await task


def test_an_allowance_within_itself() -> None:
    """A block in a block of the same allowance leaves that one as it is."""
    allowance = aldente.allow("slow-step")
    with allowance:
        with allowance:
            pass
        assert is_allowed_here("slow-step")
        assert is_allowed_somewhere("slow-step")
    assert not is_allowed_here("slow-step")
    assert not is_allowed_somewhere("slow-step")


async def generate_async() -> AsyncIterator[None]:
    """Allow something around a yield."""
    with aldente.allow("slow-step"):
        yield
        yield


def generate() -> Iterator[None]:
    """Allow something around a yield."""
    with aldente.allow("slow-step"):
        yield
        yield


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_blocks_that_overlap_in_a_task(kind: str) -> None:
    """A block that ends before one that began in it ends for its own rules alone."""
    generator, async_generator = generate(), generate_async()

    async def step() -> None:
        if kind == "generator":
            next(generator, None)
        else:
            await anext(async_generator, None)

    with aldente.allow("blocking-call"):
        await step()
        assert is_allowed_here("blocking-call")
    assert is_allowed_here("slow-step")
    assert not is_allowed_here("blocking-call")
    await step()
    await step()
    assert not is_allowed_here("slow-step")


def test_parameters(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """An allowance as the mark of a parameter, alone or in a list, is for that parameter only."""
    project = """
import asyncio
import aldente
import pytest

@pytest.mark.parametrize("number", [
    pytest.param(1, marks=aldente.allow("never-awaited")),
    pytest.param(2, marks=[aldente.allow("slow-step"), aldente.allow("never-awaited")]),
    pytest.param(3, marks=(pytest.mark.filterwarnings("ignore"), aldente.allow("never-awaited"))),
    pytest.param(4, marks=aldente.allow("slow-step")),
    5,
])
def test_it(number):
    asyncio.sleep(number)  # here
"""
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=3, failed=2)
    line = line_of(project, "# here")
    assert in_short(findings) == [
        f"never-awaited test_it[{number}] call {line}" for number in (4, 5)
    ]
