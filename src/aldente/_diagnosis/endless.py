"""Whether a task could end without an exception from what it calls.

A heartbeat such as ``while True: await asyncio.sleep(1)`` never ends by itself, so nothing that its
end would cause happens either: a task group does not cancel the other tasks, a callback does not
run. The bytecode shows which instructions can follow the one at which a coroutine waits.
"""

from __future__ import annotations

import asyncio
import dis
from collections.abc import Iterator
from types import CodeType
from typing import Any

from aldente._stacks import frame_of

# What follows them is only reached by a jump.
_JUMPS = frozenset(
    {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RERAISE", "INTERPRETER_EXIT"}
)
_RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})
# The end of an asynchronous iterator is an exception.
_RAISES = frozenset({"RAISE_VARARGS", "GET_ANEXT"})


def is_endless(task: asyncio.Task[Any]) -> bool:
    """Whether only an exception can end a task, one that is raised by what its code calls.

    >>> async def beat():
    ...     while True:
    ...         await asyncio.sleep(1)
    >>> async def main():
    ...     tasks = [asyncio.create_task(each) for each in (beat(), asyncio.sleep(1))]
    ...     await asyncio.sleep(0)
    ...     found = [is_endless(task) for task in tasks]
    ...     for task in tasks:
    ...         task.cancel()
    ...     return found
    >>> asyncio.run(main())
    [True, False]
    """
    coroutine: object = task.get_coro()
    exits = _RETURNS | _RAISES
    while (frame := frame_of(coroutine)) is not None:
        if not exits.isdisjoint(_following(frame.f_code, frame.f_lasti)):
            return False
        # What it awaits may return; an error that it raises may end the task.
        exits = _RAISES
        coroutine = getattr(coroutine, "cr_await", None)
    return exits is _RAISES


def _following(code: CodeType, offset: int) -> Iterator[str]:
    """The names of the instructions that can follow one, as long as nothing is raised.

    Args:
        code: the code of the function.
        offset: the offset of the instruction, in bytes; -1 before the first one.
    """
    instructions = list(dis.get_instructions(code))
    numbers = {instruction.offset: number for number, instruction in enumerate(instructions)}
    left = [numbers[offset] + 1 if offset in numbers else 0]
    seen: set[int] = set()
    while left:
        number = left.pop()
        if number in seen or number >= len(instructions):
            continue
        seen.add(number)
        instruction = instructions[number]
        yield instruction.opname
        if instruction.opcode in _WITH_TARGET:
            left.append(numbers[instruction.argval])
        if instruction.opname not in _JUMPS | _RETURNS | {"RAISE_VARARGS"}:
            left.append(number + 1)


_WITH_TARGET = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
