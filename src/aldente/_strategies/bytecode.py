"""What each line of a function may read and write, as far as its bytecode shows.

Local variables belong to one task. Globals and closure variables are identified by name, and
attributes too, unless a plan says where to find their owners at run time; see
`aldente._strategies.plans`. The analysis assumes that an operator, a subscript or a loop does no
more to the objects of a C library than it does to lists and dictionaries. Calls are recorded at run
time, see `aldente._strategies.recorder`.

Known gaps: the analysis misses a program that keeps the ``__dict__`` of an object from before the
run and changes attributes through it, and an object whose ``__del__`` another task would run if it
dropped the last reference.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from aldente._strategies.effects import BOUND, ENDED, FUTURES
from aldente._strategies.opcodes import PARTS, OpcodeEffect, access_of, operand_of
from aldente._strategies.plans import ANYTHING, HARMLESS, Accesses, LineNotes, LinePlan, cell
from aldente._strategies.symbols import STORES, Origin, Symbol, ValueStack, receiver_of

_CALLS = ("CALL", "CALL_KW")
_OF_CELLS = (OpcodeEffect.READS_CELL, OpcodeEffect.WRITES_CELL)
_OF_NAMES = (OpcodeEffect.READS_NAME, OpcodeEffect.WRITES_NAME, *_OF_CELLS)
_READS_BINDING = Accesses(frozenset({BOUND}), frozenset(), is_wild=False)

# The variable in which a generator expression gets its outermost iterator.
_GIVEN = ".0"
_EXPRESSION = "<genexpr>"
_SUSPENDED = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
AWAITS_FUTURE = Accesses(frozenset({FUTURES, ENDED}), frozenset(), is_wild=False)

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


class Analysis(NamedTuple):
    """The analysis of one function.

    Attributes:
        lines: what each line may do, by name.
        plans: by line, what of that depends on objects; lines without such things have none.
        awaited: the offsets of calls whose result the code awaits at once.
        receivers: by the offset of a call, where the object came from whose method is called, or
            the first argument.
        tested: what may follow a call in its line, by its offset, unless it returns a scalar.
        leans: whether any plan leans on what other code may change.
        returns: the offsets of instructions that return a scalar in any case.
        arguments: the same of the only argument of a method.
        in_asyncio: whether the function is one of asyncio.
        cleanups: the first and last offsets of what follows an exception in a ``with`` block.
        asked: the offsets of those calls whose results' elements are then asked whether they are
            true.
        looped: the offsets of calls whose result a loop iterates over at once.
        variables: by line, the variable over which the loop that begins there iterates, with the
            offset that identifies the loop.
        loops: by line, the offsets that identify the loops that may continue in it.
    """

    lines: dict[int, Accesses]
    plans: dict[int, LinePlan]
    awaited: frozenset[int]
    receivers: dict[int, Symbol]
    arguments: dict[int, Symbol]
    in_asyncio: bool
    tested: dict[int, Accesses]
    leans: bool
    returns: frozenset[int]
    cleanups: tuple[tuple[int, int], ...]
    asked: frozenset[int]
    looped: frozenset[int]
    variables: dict[int, tuple[int, str]]
    loops: dict[int, list[int]]

    def is_harmless(self, line: int) -> bool:
        """Whether a line needs no recording."""
        found = self.lines.get(line)
        return found == HARMLESS and line not in self.loops

    def is_return_known(self, offset: int) -> bool:
        """Whether it does not matter what an instruction returns, nor that it returns."""
        return offset in self.returns and not self.leans

    def is_cleanup(self, offset: int) -> bool:
        """Whether an instruction belongs to what follows an exception in a ``with`` block."""
        return any(first <= offset <= last for first, last in self.cleanups)

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
        self._found: dict[int | None, LineNotes] = {None: LineNotes()}
        self._awaited: set[int] = set()
        self._receivers: dict[int, Symbol] = {}
        self._arguments: dict[int, Symbol] = {}
        self._returns: set[int] = set()
        # The heads of loops that need no note of their own.
        self._whole: set[int] = set()
        self._looped: set[int] = set()
        self._asked: set[int] = set()
        self._variables: dict[int, tuple[int, str]] = {}
        self._loops: dict[int, list[int]] = {}
        self._cleanups = tuple(self._find_cleanups())
        # Variables of class bodies and modules are attributes in fact.
        self._has_variables = bool(code.co_flags & inspect.CO_OPTIMIZED)
        self._stack = ValueStack()
        self._is_cleanup = False

    def analyse(self) -> Analysis:
        """The analysis of the function."""
        for place in range(len(self._instructions)):
            self._note(place)
        nowhere = self._found.pop(None)
        everywhere = nowhere.finish(HARMLESS)[0]
        lines: dict[int, Accesses] = {}
        plans: dict[int, LinePlan] = {}
        tested = dict(nowhere.tested)
        for line, notes in self._found.items():
            if line is not None:
                tested |= notes.tested
                lines[line], plan = notes.finish(everywhere)
                if plan is not None:
                    plans[line] = plan
        return Analysis(
            lines,
            plans,
            frozenset(self._awaited),
            self._receivers,
            self._arguments,
            self._is_of_asyncio,
            tested,
            any(plan.leans_on for plan in plans.values()),
            frozenset(self._returns),
            self._cleanups,
            frozenset(self._asked),
            frozenset(self._looped),
            self._variables,
            self._loops,
        )

    def _find_cleanups(self) -> Iterator[tuple[int, int]]:
        """What follows an exception in each ``with`` block, up to the test of what it returned."""
        for place, each in enumerate(self._instructions):
            if each.opname == "WITH_EXCEPT_START":
                last = place
                while self._instructions[last].opname != "POP_JUMP_IF_TRUE":
                    last += 1
                yield self._instructions[place - 1].offset, self._instructions[last].offset

    def _note(self, place: int) -> None:
        each = self._instructions[place]
        line_number = self._lines.get(each.offset)
        line = self._found.setdefault(line_number, LineNotes())
        if place and line_number != self._lines.get(self._instructions[place - 1].offset):
            self._stack.end_line()
        if each.is_jump_target or line_number is None or not self._has_variables:
            self._stack.clear()
        if not any(first <= each.offset <= last for first, last in self._cleanups):
            self._note_access(place, line, line_number)
        self._note_stores(each, line, line_number)
        self._stack.follow(each)

    def _note_access(self, place: int, line: LineNotes, line_number: int | None) -> None:
        each = self._instructions[place]
        access = access_of(each)
        is_loop = self._is_loop(place, line_number)
        if access is OpcodeEffect.AWAITS:
            self._note_await(place, line)
        elif is_loop and line_number is not None:
            self._note_loop(place, line_number)
        elif each.opname == "TO_BOOL" and self._is_loop(place - 1, line_number):
            # Since Python 3.14 ``all`` and ``any`` are compiled to that.
            source = self._instructions[place - 3]
            self._asked.add(source.offset)
            if source.opname != "CALL":
                line.add_by_access(access)
        elif self._is_loop(place + 1, line_number):
            # GET_ITER; what a loop reads is only known when it begins.
            pass
        elif self._is_first_of_expression(place):
            line.drain(each, _GIVEN)
        elif self._is_whole_loop(place + 1) and line.ask(each, self._stack, OpcodeEffect.TAKES):
            # GET_ITER; its loop ends in the same step.
            self._whole.add(place + 1)
        elif place in self._whole:
            pass
        elif each.opname == "YIELD_VALUE" and self._code.co_name == _EXPRESSION:
            # Who takes it may ask whether it is true, for example.
            if not line.ask(each, self._stack, OpcodeEffect.ASKS):
                line.add_by_access(OpcodeEffect.ASKS)
        elif access in _OF_NAMES:
            self._note_name(each, line, access)
        else:
            if self._is_modulo_of_number(place):
                access = OpcodeEffect.CHANGES if operand_of(each) == "%=" else OpcodeEffect.ASKS
            if not line.ask(each, self._stack, access):
                line.add_by_access(access)
        if each.opname == "RETURN_VALUE" and self._stack.top(1) == (Symbol(Origin.SCALAR),):
            self._returns.add(each.offset)
        if each.opname == "CALL":
            receiver = receiver_of(self._stack.top((each.arg or 0) + 2))
            if receiver is not None:
                self._receivers[each.offset] = receiver
            argument = self._stack.top(1)[0] if each.arg == 1 else None
            if argument is not None:
                self._arguments[each.offset] = argument
        if _is_generator_expression(each.argval):
            # Since Python 3.15 its code makes the iterator, before the first event of that code.
            line.add_by_access(OpcodeEffect.ASKS)

    def _note_name(self, each: dis.Instruction, line: LineNotes, access: OpcodeEffect) -> None:
        name: str = each.argval
        names = frozenset({cell(name) if access in _OF_CELLS else name})
        is_write = access in (OpcodeEffect.WRITES_NAME, OpcodeEffect.WRITES_CELL)
        if access in _OF_CELLS:
            if is_write:
                line.note_store(each.offset, Origin.CELL, name)
        elif name in _HIDDEN:
            line.add(ANYTHING)
        elif name == "_loop" and not self._is_of_asyncio:
            line.add(_READS_BINDING)
        if each.opname.endswith("_ATTR") and each.opname != "LOAD_SUPER_ATTR":
            line.note_attribute(each, self._stack, is_write=is_write)
        else:
            line.add(
                Accesses(frozenset(), names, False)
                if is_write
                else Accesses(names, frozenset(), False)
            )

    def _note_stores(self, each: dis.Instruction, line: LineNotes, line_number: int | None) -> None:
        """Note where a line changes local variables, and whether it jumps back to itself."""
        value: Any = each.argval
        if each.opname in STORES:
            kept: Any = value if type(value) is tuple else (value,)
            for name in kept[:1] if each.opname == "STORE_FAST_LOAD_FAST" else kept:
                line.note_store(each.offset, Origin.LOCAL, name)
        # An await jumps back too, but stores nothing between.
        if each.opname == "JUMP_BACKWARD":
            target: int = each.argval
            line.is_repeated = line.is_repeated or self._lines.get(target) == line_number

    @property
    def _is_of_asyncio(self) -> bool:
        return self._code.co_filename.startswith(_ASYNCIO)

    def _note_await(self, place: int, line: LineNotes) -> None:
        each, before = self._instructions[place], self._instructions[place - 1]
        if before.opname in _CALLS and not each.is_jump_target:
            self._awaited.add(before.offset)
        elif before.opname != "BEFORE_ASYNC_WITH" or each.is_jump_target:
            # asyncio awaits only futures, besides coroutines.
            line.wait(each, self._stack, AWAITS_FUTURE if self._is_of_asyncio else ANYTHING)

    def _is_loop(self, place: int, line: int | None) -> bool:
        """Whether an instruction is the head of a loop over the result of a call, or a variable.

        It must be certain which one: ``for x in a or b`` has two. And the loop is only certain to
        use the value that a variable has when its line begins if nothing comes before it there.
        """
        if not 2 <= place < len(self._instructions):
            return False
        if self._instructions[place].opname != "FOR_ITER" or line is None:
            return False
        source, made = self._instructions[place - 2 : place]
        is_made = made.opname == "GET_ITER" and access_of(made) is OpcodeEffect.ASKS
        if not is_made or made.is_jump_target:
            return False
        is_variable = source.opname in _VARIABLES and self._begins.get(line) == source.offset
        if source.opname == "CALL":
            return True
        return is_variable and bool(self._code.co_flags & _SUSPENDED)

    def _is_whole_loop(self, place: int) -> bool:
        """Whether an instruction is the head of a loop that ends in the step in which it begins."""
        if place >= len(self._instructions) or self._code.co_flags & _SUSPENDED:
            return False
        head, made = self._instructions[place], self._instructions[place - 1]
        return head.opname == "FOR_ITER" and made.opname == "GET_ITER" and not made.is_jump_target

    def _is_first_of_expression(self, place: int) -> bool:
        """Whether an instruction takes from the iterator that a generator expression is given."""
        before = self._instructions[place - 1]
        return (
            self._instructions[place].opname == "FOR_ITER"
            and before.opname in _VARIABLES
            and before.argval == _GIVEN
            and self._code.co_name == _EXPRESSION
        )

    def _note_loop(self, place: int, line: int) -> None:
        """Note a loop; what it reads, and whether other tasks may too, is known when it begins."""
        source = self._instructions[place - 2]
        if source.opname == "CALL":
            self._looped.add(source.offset)
        else:
            self._variables[line] = (source.offset, source.argval)
        self._loops.setdefault(line, []).append(source.offset)

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
