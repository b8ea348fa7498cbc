"""What each line of a function may read and write, as far as its bytecode tells.

Local variables are nobody else's. Attributes, globals and variables of closures go by their names.
What an operator, a subscript or a loop does to the objects of a library written in C is taken to be
no more than what lists and dictionaries do; what is called is looked at while it runs, see
`aldente._strategies.calls`. Instructions that are not listed here may do anything, so a new version
of Python makes more steps dependent, not fewer.

Known gaps: who keeps the ``__dict__`` of an object and changes attributes through that without ever
asking for it during a run is not noticed; nor that another task would call the ``__del__`` of an
object if it dropped the last reference.
"""

from __future__ import annotations

import asyncio
import dis
import types
from typing import Any, NamedTuple

from aldente._strategies.effects import ENDED, FUTURES, ITEMS, ITERATORS


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# They only move local values, make new objects, or jump.
_PURE = _names(
    """
    RESUME NOP CACHE EXTENDED_ARG POP_TOP PUSH_NULL COPY SWAP LOAD_CONST LOAD_FAST LOAD_FAST_CHECK
    LOAD_FAST_AND_CLEAR LOAD_FAST_LOAD_FAST STORE_FAST STORE_FAST_STORE_FAST STORE_FAST_LOAD_FAST
    DELETE_FAST MAKE_CELL COPY_FREE_VARS LOAD_CLOSURE RETURN_VALUE RETURN_CONST RETURN_GENERATOR
    YIELD_VALUE JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE END_FOR SEND END_SEND CLEANUP_THROW RERAISE RAISE_VARARGS PUSH_EXC_INFO
    POP_EXCEPT CHECK_EXC_MATCH LOAD_ASSERTION_ERROR BUILD_TUPLE BUILD_LIST BUILD_MAP
    BUILD_CONST_KEY_MAP BUILD_SLICE LIST_APPEND IS_OP UNARY_NOT MAKE_FUNCTION
    SET_FUNCTION_ATTRIBUTE CALL CALL_KW KW_NAMES
    """
)
# They may ask objects, as comparing two lists does.
_ASKING = _names(
    """
    POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE TO_BOOL COMPARE_OP UNARY_NEGATIVE UNARY_INVERT BINARY_SLICE
    BUILD_SET SET_ADD MAP_ADD GET_ITER GET_LEN
    """
)
# They may take from an iterator.
_TAKING = _names(
    """
    FOR_ITER CONTAINS_OP UNPACK_SEQUENCE UNPACK_EX LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE
    CALL_FUNCTION_EX
    """
)
# A subscript may write: a defaultdict has more elements after it.
_CHANGING = _names("BINARY_SUBSCR STORE_SUBSCR DELETE_SUBSCR STORE_SLICE")
_PURE_INTRINSICS = _names(
    "INTRINSIC_STOPITERATION_ERROR INTRINSIC_LIST_TO_TUPLE INTRINSIC_UNARY_POSITIVE"
)


def _hidden_names() -> frozenset[str]:
    """Attributes whose values change without being written, and those that show all others."""

    async def coroutine() -> None:
        pass

    kinds: tuple[type, ...] = (
        asyncio.Future,
        asyncio.Task,
        types.CoroutineType,
        types.GeneratorType,
        types.AsyncGeneratorType,
        types.FrameType,
        types.FunctionType,
        types.TracebackType,
        types.CellType,
    )
    kept = (types.GetSetDescriptorType, types.MemberDescriptorType)
    found = {
        name for kind in kinds for name, value in vars(kind).items() if isinstance(value, kept)
    }
    # Nobody changes these two.
    return frozenset(found | {"__dict__"}) - {"_loop", "_asyncio_future_blocking"}


_HIDDEN = _hidden_names()
_ASYNCIO = (asyncio.__file__ or "").removesuffix("__init__.py")


class Accesses(NamedTuple):
    """What a line may do besides calling something.

    Attributes:
        reads: the names of what it reads.
        writes: the names of what it changes.
        is_wild: whether it may do anything else.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    is_wild: bool


class Analysis(NamedTuple):
    """What is known about a function.

    Attributes:
        lines: what each line may do.
        awaited: where something is called whose result is awaited at once.
        looped: where something is called through whose result a loop goes.
        variables: the variables through which loops go, by the line where those begin, each with
            the place of the loop.
        loops: the places of the loops that may go on in each line.
    """

    lines: dict[int, Accesses]
    awaited: frozenset[int]
    looped: frozenset[int]
    variables: dict[int, list[tuple[int, str]]]
    loops: dict[int, list[int]]

    def line_at(self, code: types.CodeType, offset: int) -> int:
        """The line to which an instruction belongs."""
        return max(
            (line for start, end, line in code.co_lines() if start <= offset < end and line),
            default=0,
        )


# By identity, as functions of different files may be equal, and comparing them takes long.
_ANALYSED: dict[int, tuple[types.CodeType, Analysis]] = {}
_MOST_ANALYSED = 10_000


def analyse(code: types.CodeType) -> Analysis:
    """What is known about a function; it takes a while, but only once."""
    known = _ANALYSED.get(id(code))
    if known is None:
        if len(_ANALYSED) >= _MOST_ANALYSED:
            _ANALYSED.clear()
        known = _ANALYSED[id(code)] = (code, _analyse(code))
    return known[1]


def _analyse(code: types.CodeType) -> Analysis:
    found: dict[int, tuple[set[str], set[str], list[bool]]] = {}
    everywhere: tuple[set[str], set[str], list[bool]] = (set(), set(), [])
    awaited, looped = set(), set()
    variables: dict[int, list[tuple[int, str]]] = {}
    loops: dict[int, list[int]] = {}
    instructions = [
        each for each in dis.get_instructions(code) if each.opname not in ("CACHE", "EXTENDED_ARG")
    ]
    lines = {
        offset: line for start, end, line in code.co_lines() for offset in range(start, end, 2)
    }
    for number, each in enumerate(instructions):
        line = lines.get(each.offset)
        reads, writes, wild = (
            everywhere if line is None else found.setdefault(line, (set(), set(), []))
        )
        before = instructions[number - 1] if number else each
        if each.opname == "GET_AWAITABLE":
            if code.co_filename.startswith(_ASYNCIO):
                # What is awaited there is a future.
                reads |= {FUTURES, ENDED}
            elif before.opname in ("CALL", "CALL_KW"):
                awaited.add(before.offset)
            else:
                wild.append(True)
            continue
        if each.opname == "FOR_ITER" and line is not None and before.opname == "GET_ITER":
            source = instructions[number - 2]
            if source.opname in ("LOAD_FAST", "LOAD_DEREF"):
                variables.setdefault(line, []).append((source.offset, source.argval))
            elif source.opname == "CALL":
                looped.add(source.offset)
            # Whether it goes through something that others may take from, turns out at its begin.
            loops.setdefault(line, []).append(source.offset)
            reads.add(ITEMS)
            continue
        more_reads, more_writes, is_wild = _accesses(each)
        if each.opname == "BINARY_OP" and each.argrepr in ("%", "%="):
            # A format tells the state of a task; but a number has none.
            is_wild = not (before.opname == "LOAD_CONST" and isinstance(before.argval, int))
        reads |= more_reads
        writes |= more_writes
        if is_wild:
            wild.append(True)
    return Analysis(
        {
            line: Accesses(
                frozenset(reads | everywhere[0]),
                frozenset(writes | everywhere[1]),
                bool(wild or everywhere[2]),
            )
            for line, (reads, writes, wild) in found.items()
        },
        frozenset(awaited),
        frozenset(looped),
        variables,
        loops,
    )


def _accesses(each: dis.Instruction) -> tuple[set[str], set[str], bool]:
    """What an instruction reads and writes, and whether it may do anything else."""
    name: str = each.opname
    variable: Any = each.argval
    reads: set[str] = set()
    writes: set[str] = set()
    is_wild = False
    if name in _PURE:
        pass
    elif name in _ASKING:
        reads.add(ITEMS)
    elif name in _TAKING:
        reads.add(ITEMS)
        writes.add(ITERATORS)
    elif name in _CHANGING:
        writes.add(ITEMS)
    elif name == "BINARY_OP":
        # In place it may change a list.
        (writes if each.argrepr.endswith("=") else reads).add(ITEMS)
    elif name in ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_SUPER_ATTR"):
        reads.add(variable)
        is_wild = variable in _HIDDEN
    elif name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR"):
        writes.add(variable)
        is_wild = variable in _HIDDEN
    elif name == "LOAD_DEREF":
        reads.add(f"({variable})")
    elif name in ("STORE_DEREF", "DELETE_DEREF"):
        writes.add(f"({variable})")
    else:
        is_wild = not (name == "CALL_INTRINSIC_1" and each.argrepr in _PURE_INTRINSICS)
    return reads, writes, is_wild
