"""Random programs whose tasks race for something, or for nothing, and show who has won.

They are made as source code, of the steps in `racing_steps`. Tasks share variables of a closure,
attributes, globals, elements of containers, iterators, futures or primitives of asyncio.
"""

from __future__ import annotations

import asyncio
import collections
import random
import textwrap
import types
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.conformance.racing_steps import STEPS, THEMES, Box, numbers, through

Main = Callable[[], Coroutine[Any, Any, object]]

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
    GLOBAL = Box.shared = 0
    cell = other = 0
    box, boxes = Box(), [Box() for _ in range(4)]
    space = types.SimpleNamespace(value=0)
    items, tasks, seen_by = [], [], set()
    source, generator, table = iter(range(20)), numbers(), collections.defaultdict(int)
    next(generator)
    kept, failure = (1, 2, 3), KeyError("failure")
    event, lock = asyncio.Event(), asyncio.Lock()
    semaphore, queue = asyncio.Semaphore(1), asyncio.Queue()
    loop = asyncio.get_running_loop()
    future, timer, result = loop.create_future(), {timer}, None
{workers}
{end}
    shown = cell, other, box.a, items, GLOBAL, list(table.items()), Box.shared, len(seen_by)
    ended = future.done() and future.result(), timer and timer.cancelled()
    return result, *shown, *ended, next(source, None)
"""

_WORKER = """
async def work{number}():
    nonlocal cell, other, kept, items, seen_by
    global GLOBAL
    mine, steps = 0, (1, 2)
{body}
    return mine
"""


def source_of(seed: int) -> str:
    """The source code of a random program."""
    draw = random.Random(seed)
    count = draw.choice((2, 3, 3))
    if draw.random() < 0.7:
        names = [*draw.choice(THEMES), *["nap"] * draw.randint(0, 3)]
    else:
        names = [*draw.sample(list(STEPS), draw.randint(2, 4)), "nap"]
    length = 4 if count == 2 else 3
    steps = [draw.choices(names, k=draw.randint(1, length)) for _ in range(count)]
    how = draw.choice([*ENDS, "gather", "gather", "group", "group"])
    return source_of_steps(steps, how, draw)


def source_of_pair(one: str, other: str) -> str:
    """The source code of a program of two tasks, with one step each.

    Args:
        one: the name of the step of the first task, or its source code.
        other: that of the second.
    """
    return source_of_steps([[one], [other]], "gather_all", random.Random(0))


def source_of_steps(steps: Sequence[Sequence[str]], how: str, draw: random.Random) -> str:
    """The source code of a program.

    Args:
        steps: the names of the steps of each task, or their source code.
        how: one of `ENDS`, or ``"group"``: how it waits for its tasks.
        draw: chooses the durations.
    """
    workers = "".join(
        _WORKER.format(
            number=number,
            body=textwrap.indent(
                "\n".join(
                    # Who begins is no matter of schedules.
                    STEPS.get(name, name).format(n=number + 1, seconds=draw.choice((1, 1, 1.5, 2)))
                    for name in ("nap", *names)
                ),
                "    ",
            ),
        )
        for number, names in enumerate(steps)
    )
    calls = [f"work{number}()" for number in range(len(steps))]
    if how == "group":
        lines = [f"    tasks.append(group.create_task({call}))" for call in calls]
        end = "\n".join(("async with asyncio.TaskGroup() as group:", *lines))
        end += "\nresult = [task.result() for task in tasks]"
    else:
        end = f"tasks += map(asyncio.create_task, [{', '.join(calls)}])\n{ENDS[how]}"
    return _PROGRAM.format(
        workers=textwrap.indent(workers, "    "),
        end=textwrap.indent(end, "    "),
        # Time passes differently with one.
        timer="loop.call_later(100, int)" if "timer" in workers else "None",
    )


def program_of(source: str) -> Main:
    """The program with a source code."""
    modules = {"asyncio": asyncio, "collections": collections, "types": types}
    names: dict[str, Any] = {**modules, "Box": Box, "numbers": numbers, "through": through}
    exec(compile(source, "<program>", "exec"), names)
    main: Main = names["main"]
    return main


def racing_program(seed: int) -> Main:
    """The random program of a seed."""
    return program_of(source_of(seed))
