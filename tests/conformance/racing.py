"""Random programs whose tasks race for something, or for nothing, and show who has won.

They are made as source code, so that each line does one thing. Tasks share variables of a closure,
attributes, globals, elements of containers, iterators, futures or primitives of asyncio.
"""

from __future__ import annotations

import asyncio
import collections
import random
import textwrap
from collections.abc import Callable, Coroutine
from typing import Any

Main = Callable[[], Coroutine[Any, Any, object]]

# What a task may do; {n} is its number. What is done twice in another order gives something else.
STEPS = {
    "nap": "await asyncio.sleep(0)",
    "cell": "x = cell\nawait asyncio.sleep(0)\ncell = x * 2 + {n}",
    "other_cell": "other = other * 3 + {n}",
    "read_cell": "mine = mine * 3 + other",
    "attribute": "box.a = box.a * 2 + {n}",
    "read_attribute": "mine = mine * 3 + box.a",
    "own_attribute": "boxes[{n}].own = {n}",
    "helper": "mine = mine * 5 + await helper(box)",
    "method": "box.add({n})",
    "global": "GLOBAL = GLOBAL * 3 + {n}",
    "read_global": "mine = mine * 3 + GLOBAL",
    "append": "items.append({n})",
    "count": "mine = mine * 3 + len(items)",
    "key": "table[{n}] = len(table)",
    "default": "mine = mine * 3 + table['key']",
    "local": "for i in range(2):\n    await asyncio.sleep(0)\nmine = mine + 1",
    "loop": "for i in steps:\n    mine = mine * 2 + i\n    await asyncio.sleep(0)",
    "take": "for i in source:\n    mine = mine * 7 + i\n    break",
    "next": "mine = mine * 7 + next(source)",
    "set": "event.set()",
    "wait": "await event.wait()",
    "is_set": "mine = mine * 3 + event.is_set()",
    "lock": "async with lock:\n    x = other\n    await asyncio.sleep(0)\n    other = x * 2 + {n}",
    "acquire": "await semaphore.acquire()\nawait asyncio.sleep(0)\nsemaphore.release()",
    "sleep": "await asyncio.sleep({seconds})",
    "put": "queue.put_nowait({n})",
    "get": "mine = mine * 5 + await queue.get()",
    "set_future": "if not future.done():\n    future.set_result({n} + 1)",
    "await_future": "mine = mine * 7 + await future",
    "done": "mine = mine * 2 + tasks[0].done()",
    "cancel": "tasks[({n} + 1) % len(tasks)].cancel()",
    "call_soon": "asyncio.get_running_loop().call_soon(items.append, -{n})",
    "call_later": "asyncio.get_running_loop().call_later(0, items.append, -{n})",
    "time_out": "try:\n    async with asyncio.timeout(1):\n        await asyncio.sleep(1.5)\n"
    "except TimeoutError:\n    mine = 77",
    "check": "assert cell < 2",
    "catch": "try:\n    await asyncio.sleep(0)\n    if cell > 1:\n        raise KeyError\n"
    "except KeyError:\n    mine = 5",
}

# What races with each other; most programs do little else.
THEMES = [
    ("cell", "check", "catch"),
    ("other_cell", "read_cell", "lock"),
    ("attribute", "read_attribute", "helper", "method"),
    ("global", "read_global"),
    ("append", "count", "loop"),
    ("key", "default", "count"),
    ("take", "next", "loop"),
    ("set", "wait", "is_set", "other_cell"),
    ("put", "get", "append"),
    ("set_future", "await_future", "other_cell"),
    ("done", "nap", "local"),
    ("acquire", "other_cell"),
    ("sleep", "other_cell", "local"),
    ("sleep", "set", "wait", "attribute"),
    ("own_attribute", "local", "loop"),
]

ENDS = {
    "gather": "result = await asyncio.gather(*tasks)",
    "gather_all": "result = [str(each) for each in"
    " await asyncio.gather(*tasks, return_exceptions=True)]",
    "await": "result = []\nfor task in tasks:\n    try:\n        result.append(await task)\n"
    "    except Exception as error:\n        result.append(type(error))",
    "wait": "done, _ = await asyncio.wait(tasks)\nresult = len(done)",
    "first": "done, others = await asyncio.wait(tasks, return_when='FIRST_COMPLETED')\n"
    "result = len(done)\nawait asyncio.gather(*others, return_exceptions=True)",
    "early": "await tasks[0]",
}

_PROGRAM = """
async def helper(box):
    await asyncio.sleep(0)
    return box.a

async def main():
    global GLOBAL
    GLOBAL = 0
    cell = other = 0
    box, boxes = Box(), [Box() for _ in range(3)]
    items, tasks = [], []
    source, table = iter(range(20)), collections.defaultdict(int)
    event, lock = asyncio.Event(), asyncio.Lock()
    semaphore, queue = asyncio.Semaphore(1), asyncio.Queue()
    future = asyncio.get_running_loop().create_future()
    result = None
{workers}
{end}
    return result, cell, other, box.a, items, GLOBAL, list(table.items())
"""

_WORKER = """
async def work{number}():
    nonlocal cell, other
    global GLOBAL
    mine, steps = 0, (1, 2)
{body}
    return mine
"""


class Box:
    """Something with attributes."""

    def __init__(self) -> None:
        self.a = self.own = 0

    def add(self, number: int) -> None:
        """Change an attribute."""
        self.a = self.a * 2 + number


def source_of(seed: int) -> str:
    """The source code of a program."""
    draw = random.Random(seed)
    count = draw.choice((2, 3, 3))
    if draw.random() < 0.7:
        names = [*draw.choice(THEMES), *["nap"] * draw.randint(0, 3)]
    else:
        names = [*draw.sample(list(STEPS), draw.randint(2, 4)), "nap"]
    length = 4 if count == 2 else 3
    workers = "".join(
        _WORKER.format(
            number=number,
            body=textwrap.indent(
                "\n".join(
                    # Who begins is no matter of schedules.
                    STEPS[name].format(n=number, seconds=draw.choice((1, 1, 1.5, 2)))
                    for name in ("nap", *draw.choices(names, k=draw.randint(1, length)))
                ),
                "    ",
            ),
        )
        for number in range(count)
    )
    how = draw.choice([*ENDS, "gather", "gather", "group", "group"])
    calls = [f"work{number}()" for number in range(count)]
    if how == "group":
        lines = [f"    tasks.append(group.create_task({call}))" for call in calls]
        end = "\n".join(("async with asyncio.TaskGroup() as group:", *lines))
        end += "\nresult = [task.result() for task in tasks]"
    else:
        end = f"tasks += map(asyncio.create_task, [{', '.join(calls)}])\n{ENDS[how]}"
    return _PROGRAM.format(
        workers=textwrap.indent(workers, "    "), end=textwrap.indent(end, "    ")
    )


def racing_program(seed: int) -> Main:
    """The program of a seed."""
    names: dict[str, Any] = {"asyncio": asyncio, "collections": collections, "Box": Box}
    exec(compile(source_of(seed), "<program>", "exec"), names)
    main: Main = names["main"]
    return main
