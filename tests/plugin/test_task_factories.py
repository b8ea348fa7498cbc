"""Task factories of the user's, and what is handed on to them."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject

TESTS = """
import asyncio
import contextvars
import sys

import aldente
import pytest

seen = []

class Task(asyncio.Task):
    def __init__(self, *args, color=None, **kwargs):
        self.color = color
        super().__init__(*args, **kwargs)

def make(loop, coro, **kwargs):
    seen.append(sorted(kwargs))
    return Task(coro, loop=loop, **kwargs)

async def work():
    await asyncio.sleep(0)
    return asyncio.current_task()

@pytest.fixture(scope="module")
async def wide():
    asyncio.get_running_loop().set_task_factory(make)
    yield

@pytest.fixture
async def narrow():
    asyncio.get_running_loop().set_task_factory(make)
    yield

async def look():
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    seen.clear()
    task = asyncio.create_task(work(), name="mine", context=context)
    assert type(task) is Task and await task is task
    assert task.get_name() == "mine"
    if sys.version_info >= (3, 14):
        assert seen == [["context", "name"]]
        seen.clear()
        task = loop.create_task(work(), color="red", eager_start=True)
        assert task.color == "red" and await task is task
        async with asyncio.TaskGroup() as group:
            group.create_task(work(), color="blue")
        assert seen == [["color", "eager_start"], ["color"]]

async def test_wide(wide):
    await look()

async def test_narrow(narrow):
    await look()

@aldente.virtual_time
async def test_virtual_time(narrow, clock):
    await look()
    await asyncio.sleep(3600)
    assert clock.elapsed == 3600

async def test_own():
    asyncio.get_running_loop().set_task_factory(make)
    await look()

async def test_next():
    assert asyncio.get_running_loop().get_task_factory() is None
"""


def test_what_tasks_are_made_with(run_project: RunProject) -> None:
    """What a test gives to create_task() reaches its factory, on loops of either time."""
    run_project(subprocess=True, test_it=TESTS).assert_outcomes(passed=5)


EAGER = """
import asyncio
import aldente
import pytest

order = []

async def work(name):
    order.append(name)
    await asyncio.sleep(1)
    order.append(f"{name} again")

async def look(start):
    order.clear()
    one = start(work("one"))
    order.append("test")
    two = start(work("two"))
    await asyncio.gather(one, two)
    assert order == ["one", "test", "two", "one again", "two again"]

@aldente.virtual_time
async def test_virtual_time(clock):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    await look(asyncio.create_task)
    assert clock.elapsed == 1

@pytest.fixture
async def eager():
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    async with asyncio.TaskGroup() as group:
        yield group

@aldente.virtual_time
async def test_group_of_a_fixture(eager):
    await look(eager.create_task)
"""

EAGER_START = """
@aldente.virtual_time
async def test_eager_start():
    def start(coroutine):
        return asyncio.create_task(coroutine, eager_start=True)
    await look(start)

@aldente.explore(runs=20)
async def test_explored():
    done = []

    async def fast():
        done.append(1)

    task = asyncio.create_task(fast(), eager_start=True)
    assert task.done() and done == [1]
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_eager_tasks(run_project: RunProject) -> None:
    """Tasks that begin at once do so on aldente's loops, in tests and in fixtures."""
    run_project(subprocess=True, test_it=EAGER).assert_outcomes(passed=2)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="tasks are not started so")
def test_tasks_that_are_to_begin_at_once(run_project: RunProject) -> None:
    """One by one, as create_task() is told, in explored tests too."""
    run_project(subprocess=True, test_it=EAGER + EAGER_START).assert_outcomes(passed=4)
