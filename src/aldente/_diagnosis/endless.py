"""Whether a task could end without an exception from what it calls.

A heartbeat such as ``while True: await asyncio.sleep(1)`` never ends by itself, so nothing that its
end would cause happens either: a task group does not cancel the other tasks, a callback does not
run. The bytecode shows which instructions can follow the one at which a coroutine waits, and which
can follow an exception that the function handles.
"""

from __future__ import annotations

import asyncio
import dis
import functools
from types import CodeType
from typing import Any

from aldente._source import is_programs
from aldente._stacks import frame_of

# What follows them is only reached by a jump.
_JUMPS = frozenset(
    {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RERAISE", "INTERPRETER_EXIT"}
)
_RETURNS = frozenset({"RETURN_VALUE", "RETURN_CONST"})
# The end of an asynchronous iterator is an exception.
_RAISES = frozenset({"RAISE_VARARGS", "GET_ANEXT"})
# By these a task may end itself, or have a generator end.
_ENDS = frozenset({"current_task", "cancel", "throw", "aclose"})


def is_endless(task: asyncio.Task[Any]) -> bool:
    """Whether only an exception can end a task, one that it does not handle.

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
    awaitable: object = task.get_coro()
    exits = _RETURNS | _RAISES
    while True:
        frame = frame_of(awaitable) or frame_of(awaitable, "gi_frame")
        if frame is None:
            # A future, or the end of the task.
            return exits is _RAISES
        code = frame.f_code
        if not exits.isdisjoint(_following(code, frame.f_lasti)) or (
            is_programs(code.co_filename) and not _ENDS.isdisjoint(code.co_names)
        ):
            return False
        # What it awaits may return; an error that it raises may end the task.
        exits = _RAISES
        awaitable = getattr(awaitable, "cr_await", None) or getattr(awaitable, "gi_yieldfrom", None)


@functools.lru_cache(maxsize=1_000)
def _following(code: CodeType, offset: int) -> frozenset[str]:
    """The names of the instructions that can follow one, or an exception that is handled.

    A cancellation is not among the exceptions: it is what others do.

    Args:
        code: the code of the function.
        offset: the offset of the instruction, in bytes; -1 before the first one.
    """
    instructions = list(dis.get_instructions(code))
    numbers = {instruction.offset: number for number, instruction in enumerate(instructions)}
    left = [numbers[offset] + 1 if offset in numbers else 0]
    left += [
        number
        for number, instruction in enumerate(instructions)
        if instruction.opname == "PUSH_EXC_INFO"
    ]
    seen: set[int] = set()
    while left:
        number = left.pop()
        if number in seen or number >= len(instructions):
            continue
        seen.add(number)
        instruction = instructions[number]
        if instruction.opcode in _WITH_TARGET:
            left.append(numbers[instruction.argval])
        if _is_for_cancellation(instructions, number):
            continue
        if instruction.opname not in _JUMPS | _RETURNS | {"RAISE_VARARGS"}:
            left.append(number + 1)
    return frozenset(instructions[number].opname for number in seen)


def _is_for_cancellation(instructions: list[dis.Instruction], number: int) -> bool:
    """Whether an instruction jumps unless the exception is a cancellation."""
    if not instructions[number].opname.startswith("POP_JUMP") or number < 2:
        return False
    matching, loading = instructions[number - 1], instructions[number - 2]
    return matching.opname == "CHECK_EXC_MATCH" and loading.argval == "CancelledError"


_WITH_TARGET = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
