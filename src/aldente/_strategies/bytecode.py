"""What each line of a function may read and write, as far as its bytecode shows.

Local variables belong to one task. Attributes, globals and closure variables are identified by
name. The analysis assumes that an operator, a subscript or a loop does no more to the objects of a
C library than it does to lists and dictionaries. Calls are recorded at run time, see
`aldente._strategies.footprints`.

Known gaps: the analysis misses a program that keeps the ``__dict__`` of an object from before the
run and changes attributes through it, and an object whose ``__del__`` another task would run if it
dropped the last reference.
"""

from __future__ import annotations

import asyncio
import dis
import types
from typing import Any, NamedTuple

from aldente._strategies.effects import ENDED, FUTURES, ITEMS, ITERATORS
from aldente._strategies.opcodes import PARTS, Access, access_of, operand_of

_CALLS = ("CALL", "CALL_KW")

# If a loop that begins a line iterates over a variable, one of these instructions pushes it; the
# compiler emits no instruction that pushes two variables there.
_VARIABLES = ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF")


def _hidden_names() -> frozenset[str]:
    """Attributes whose values change without a write, and those that expose all others."""
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
    # Raising an exception changes these.
    raised = {"__traceback__", "__context__", "__cause__", "__suppress_context__"}
    # These two never change.
    return frozenset(found | raised | {"__dict__"}) - {"_loop", "_asyncio_future_blocking"}


_HIDDEN = _hidden_names()
_ASYNCIO = (asyncio.__file__ or "").removesuffix("__init__.py")


class Accesses(NamedTuple):
    """What a line may do besides calls.

    Attributes:
        reads: the names that it reads.
        writes: the names that it changes.
        is_wild: whether it may do anything else.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    is_wild: bool


_HARMLESS = Accesses(frozenset(), frozenset(), is_wild=False)


class Analysis(NamedTuple):
    """The analysis of one function.

    Attributes:
        lines: what each line may do.
        awaited: the offsets of calls whose result the code awaits at once.
        looped: the offsets of calls whose result a loop iterates over at once.
        variables: by line, the variable over which the loop that begins there iterates, with the
            offset that identifies the loop.
        loops: by line, the offsets that identify the loops that may continue in it.
    """

    lines: dict[int, Accesses]
    awaited: frozenset[int]
    looped: frozenset[int]
    variables: dict[int, tuple[int, str]]
    loops: dict[int, list[int]]

    def is_harmless(self, line: int) -> bool:
        """Whether a line needs no recording."""
        found = self.lines.get(line)
        return found == _HARMLESS and line not in self.loops

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
    """The analysis of a function, cached after the first call."""
    known = _ANALYSED.get(id(code))
    if known is None:
        if len(_ANALYSED) >= _MOST_ANALYSED:
            _ANALYSED.clear()
        known = _ANALYSED[id(code)] = (code, _Analyser(code).analyse())
    return known[1]


class _Line:
    """The findings in one line so far."""

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.is_wild = False

    def add(self, each: dis.Instruction, access: Access) -> None:
        """Add what one instruction of the line does."""
        name: Any = each.argval
        if access is Access.ASKS:
            self.reads.add(ITEMS)
        elif access is Access.TAKES:
            self.reads.add(ITEMS)
            self.writes.add(ITERATORS)
        elif access is Access.CHANGES:
            self.writes.add(ITEMS)
        elif access is Access.READS_CELL:
            self.reads.add(f"({name})")
        elif access is Access.WRITES_CELL:
            self.writes.add(f"({name})")
        elif access in (Access.READS_NAME, Access.WRITES_NAME):
            (self.reads if access is Access.READS_NAME else self.writes).add(name)
            self.is_wild = self.is_wild or name in _HIDDEN
        elif access is not Access.NOTHING:
            self.is_wild = True


class _Analyser:
    """Goes through the instructions of a function."""

    def __init__(self, code: types.CodeType) -> None:
        self._code = code
        self._instructions = [
            each for each in dis.get_instructions(code) if each.opname not in PARTS
        ]
        self._lines = {
            offset: line for start, end, line in code.co_lines() for offset in range(start, end, 2)
        }
        # The offset where each line begins; other parts of the line may be far from it.
        self._begins: dict[int | None, int] = {}
        for offset, line in self._lines.items():
            self._begins.setdefault(line, offset)
        # The key None holds the instructions without a line number.
        self._found: dict[int | None, _Line] = {None: _Line()}
        self._awaited: set[int] = set()
        self._looped: set[int] = set()
        self._variables: dict[int, tuple[int, str]] = {}
        self._loops: dict[int, list[int]] = {}

    def analyse(self) -> Analysis:
        """The analysis of the function."""
        for place in range(len(self._instructions)):
            self._note(place)
        everywhere = self._found.pop(None)
        found = {line: each for line, each in self._found.items() if line is not None}
        return Analysis(
            {
                line: Accesses(
                    frozenset(each.reads | everywhere.reads),
                    frozenset(each.writes | everywhere.writes),
                    each.is_wild or everywhere.is_wild,
                )
                for line, each in found.items()
            },
            frozenset(self._awaited),
            frozenset(self._looped),
            self._variables,
            self._loops,
        )

    def _note(self, place: int) -> None:
        each = self._instructions[place]
        line_number = self._lines.get(each.offset)
        line = self._found.setdefault(line_number, _Line())
        access = access_of(each)
        if access is Access.AWAITS:
            self._note_await(place, line)
        elif line_number is not None and self._note_loop(place, line_number):
            # Whether other tasks may use its iterator is only known when it begins.
            line.reads.add(ITEMS)
        elif self._is_modulo_of_number(place):
            line.add(each, Access.CHANGES if operand_of(each) == "%=" else Access.ASKS)
        else:
            line.add(each, access)
        if _is_generator_expression(each.argval):
            # Since Python 3.15 its code makes the iterator, before the first event of that code.
            line.reads.add(ITEMS)

    def _note_await(self, place: int, line: _Line) -> None:
        each, before = self._instructions[place], self._instructions[place - 1]
        if self._code.co_filename.startswith(_ASYNCIO):
            # asyncio awaits only futures.
            line.reads |= {FUTURES, ENDED}
        elif before.opname in _CALLS and not each.is_jump_target:
            self._awaited.add(before.offset)
        else:
            line.is_wild = True

    def _note_loop(self, place: int, line: int) -> bool:
        """Note a loop over the result of a call, or over a variable.

        It must be certain which one: ``for x in a or b`` has two. And the loop is only certain to
        use the value that a variable has when its line begins if nothing comes before it there.

        Returns:
            Whether the instruction belongs to such a loop.
        """
        if place < 2 or self._instructions[place].opname != "FOR_ITER":
            return False
        source, made = self._instructions[place - 2 : place]
        is_made = made.opname == "GET_ITER" and access_of(made) is Access.ASKS
        if not is_made or made.is_jump_target:
            return False
        if source.opname == "CALL":
            self._looped.add(source.offset)
        elif source.opname in _VARIABLES and self._begins.get(line) == source.offset:
            self._variables[line] = (source.offset, source.argval)
        else:
            return False
        self._loops.setdefault(line, []).append(source.offset)
        return True

    def _is_modulo_of_number(self, place: int) -> bool:
        """Whether an instruction is ``%`` with a number, which has no state, on its right."""
        each, before = self._instructions[place], self._instructions[place - 1]
        return (
            each.opname == "BINARY_OP"
            and operand_of(each) in ("%", "%=")
            and not each.is_jump_target
            and _pushes_number(before)
        )


def _pushes_number(each: dis.Instruction) -> bool:
    if each.opname == "LOAD_COMMON_CONSTANT":
        return operand_of(each) == "-1"
    return each.opname in ("LOAD_CONST", "LOAD_SMALL_INT") and isinstance(each.argval, int)


def _is_generator_expression(constant: object) -> bool:
    return isinstance(constant, types.CodeType) and constant.co_name == "<genexpr>"
