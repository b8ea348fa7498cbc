"""What a line may do, and what of that depends on the objects that it finds when it runs.

`LineNotes` collects it while the bytecode is read. A `LinePlan` is followed at run time, by
`aldente._strategies.resolution`.
"""

from __future__ import annotations

import dis
import enum
from typing import NamedTuple

from aldente._strategies.effects import ITEMS, ITERATORS
from aldente._strategies.opcodes import OpcodeEffect
from aldente._strategies.symbols import Origin, Symbol, ValueStack, names_of


class Accesses(NamedTuple):
    """What a line may do besides calls, by name.

    Attributes:
        reads: the names that it reads.
        writes: the names that it changes.
        is_wild: whether it may do anything else.
    """

    reads: frozenset[str]
    writes: frozenset[str]
    is_wild: bool

    def __or__(self, other: Accesses) -> Accesses:
        """What either of two may do."""
        return Accesses(
            self.reads | other.reads, self.writes | other.writes, self.is_wild or other.is_wild
        )


HARMLESS = Accesses(frozenset(), frozenset(), is_wild=False)
_READS_ITEMS = Accesses(frozenset({ITEMS}), frozenset(), is_wild=False)
_TAKES_ITEMS = Accesses(frozenset({ITEMS}), frozenset({ITERATORS}), is_wild=False)
_CHANGES_ITEMS = Accesses(frozenset(), frozenset({ITEMS}), is_wild=False)
ANYTHING = Accesses(frozenset(), frozenset(), is_wild=True)
_BY_ACCESS = {
    OpcodeEffect.NOTHING: HARMLESS,
    OpcodeEffect.ASKS: _READS_ITEMS,
    OpcodeEffect.TAKES: _TAKES_ITEMS,
    OpcodeEffect.CHANGES: _CHANGES_ITEMS,
}


class OperandKind(enum.Enum):
    """What has to be known of the operands of an instruction."""

    OPERATES = "nothing happens if all of them are scalars"
    READS = "the first is a container, of which it reads elements; the others are scalars"
    WRITES = "the first is a container, of which it changes elements; the others are scalars"
    DRAINS = "the only one is an iterator over a container that no other code has"
    AWAITS = "the only one is a future of the run"
    ENTERS = "the only one is a context manager that is written in Python"
    ENTERS_ASYNC = "the same, with coroutine functions"


class Question(NamedTuple):
    """An instruction that does less than it may if its operands are known.

    Attributes:
        kind: what has to be known of them.
        operands: where they come from; the container first.
        otherwise: what the instruction may do if that is not so.
    """

    kind: OperandKind
    operands: tuple[Symbol, ...]
    otherwise: Accesses


class AttributeUse(NamedTuple):
    """The attributes of one object that a line may read and change."""

    owner: Symbol
    reads: frozenset[str]
    writes: frozenset[str]


class LinePlan(NamedTuple):
    """What to find out when a line begins.

    Attributes:
        rest: what the line may do besides what follows.
        uses: its uses of attributes.
        questions: its instructions that depend on their operands.
        leans_on: the attributes and variables of closures whose values must not change until the
            line ends, as they are looked up when it begins.
        whole: what the line may do if they do change.
    """

    rest: Accesses
    uses: tuple[AttributeUse, ...]
    questions: tuple[Question, ...]
    leans_on: frozenset[str]
    whole: Accesses


def cell(name: str) -> str:
    """The name of a variable of a closure, which differs from those of attributes."""
    return f"({name})"


# How many values each instruction takes of which a question is made, the place of the container
# among them if there is one, and the kind of the question.
_ASKING: dict[str, tuple[int, int, OperandKind]] = {
    "TO_BOOL": (1, 0, OperandKind.READS),
    "UNARY_NOT": (1, 0, OperandKind.READS),
    "POP_JUMP_IF_TRUE": (1, 0, OperandKind.READS),
    "POP_JUMP_IF_FALSE": (1, 0, OperandKind.READS),
    "UNARY_NEGATIVE": (1, 0, OperandKind.OPERATES),
    "UNARY_INVERT": (1, 0, OperandKind.OPERATES),
    "COMPARE_OP": (2, 0, OperandKind.OPERATES),
    "CONTAINS_OP": (2, 1, OperandKind.READS),
    "BINARY_SUBSCR": (2, 0, OperandKind.READS),
    "STORE_SUBSCR": (2, 0, OperandKind.WRITES),
    "DELETE_SUBSCR": (2, 0, OperandKind.WRITES),
    "FORMAT_SIMPLE": (1, 0, OperandKind.OPERATES),
    "CONVERT_VALUE": (1, 0, OperandKind.OPERATES),
    "GET_ITER": (1, 0, OperandKind.READS),
    "YIELD_VALUE": (1, 0, OperandKind.READS),
    "BEFORE_WITH": (1, 0, OperandKind.ENTERS),
    "BEFORE_ASYNC_WITH": (1, 0, OperandKind.ENTERS_ASYNC),
}
_OPERATOR = (2, 0, OperandKind.OPERATES)
_SUBSCRIPT = (2, 0, OperandKind.READS)


def _asking(each: dis.Instruction) -> tuple[int, int, OperandKind] | None:
    if each.opname == "BINARY_OP":
        return _SUBSCRIPT if each.argrepr == "[]" else _OPERATOR
    return _ASKING.get(each.opname)


class _NotedInstruction(NamedTuple):
    """What was noted of an instruction that depends on objects.

    Attributes:
        offset: its offset.
        symbols: what it finds on the stack.
        otherwise: what it may do by name.
        made: a question; or None if it reads or changes an attribute.
        name: the attribute.
        is_write: whether it changes it.
    """

    offset: int
    symbols: tuple[Symbol, ...]
    otherwise: Accesses
    made: Question | None
    name: str = ""
    is_write: bool = False


class LineNotes:
    """What is known of one line so far."""

    def __init__(self) -> None:
        self.rest = HARMLESS
        self.is_repeated = False
        # What may follow, by the offset of a call, if it returns no scalar.
        self.tested: dict[int, Accesses] = {}
        self._noted: list[_NotedInstruction] = []
        # The least offset where the line changes each variable or attribute.
        self._stores: dict[tuple[Origin, str], int] = {}

    def add(self, accesses: Accesses) -> None:
        """Add what the line may do, by name."""
        self.rest |= accesses

    def add_by_access(self, access: OpcodeEffect) -> None:
        """Add what an instruction may do that has no name."""
        self.add(_BY_ACCESS.get(access, ANYTHING))

    def note_store(self, offset: int, origin: Origin, name: str) -> None:
        """Note that the line changes a variable or an attribute."""
        self._stores.setdefault((origin, name), offset)

    def note_attribute(self, each: dis.Instruction, stack: ValueStack, *, is_write: bool) -> None:
        """Note that an instruction reads or changes an attribute of what is on top of the stack."""
        name: str = each.argval
        names = frozenset({name})
        accesses = (
            Accesses(frozenset(), names, False) if is_write else Accesses(names, frozenset(), False)
        )
        (owner,) = stack.top(1)
        if owner is None or not _is_place(owner):
            self.add(accesses)
        else:
            self._noted.append(
                _NotedInstruction(each.offset, (owner,), accesses, None, name, is_write)
            )
        if is_write:
            self.note_store(each.offset, Origin.ATTRIBUTE, name)

    def ask(self, each: dis.Instruction, stack: ValueStack, access: OpcodeEffect) -> bool:
        """Note an instruction that depends on its operands; return False if it is another one."""
        asked = _asking(each)
        if asked is None:
            return False
        count, first, kind = asked
        found = stack.top(count)
        operands = tuple(symbol for symbol in found if symbol is not None)
        if len(operands) < count or not all(_is_known(symbol) for symbol in operands):
            return False
        otherwise = _BY_ACCESS.get(access, ANYTHING)
        for symbol in operands:
            for offset in map(int, names_of(symbol, Origin.CALL)):
                self.tested[offset] = self.tested.get(offset, HARMLESS) | otherwise
        if all(symbol.origin in (Origin.SCALAR, Origin.CALL) for symbol in operands):
            return True
        ordered = (operands[first], *operands[:first], *operands[first + 1 :])
        question = Question(kind, ordered, otherwise)
        self._noted.append(_NotedInstruction(each.offset, operands, question.otherwise, question))
        return True

    def wait(self, each: dis.Instruction, stack: ValueStack, otherwise: Accesses) -> None:
        """Note that the line awaits what is on top of the stack."""
        (symbol,) = stack.top(1)
        if symbol is None or not _is_place(symbol):
            self.add(otherwise)
        else:
            question = Question(OperandKind.AWAITS, (symbol,), otherwise)
            self._noted.append(_NotedInstruction(each.offset, (symbol,), otherwise, question))

    def drain(self, each: dis.Instruction, variable: str) -> None:
        """Note that the line takes from an iterator that it was given in a variable."""
        symbol = Symbol(Origin.LOCAL, variable)
        question = Question(OperandKind.DRAINS, (symbol,), _BY_ACCESS[OpcodeEffect.TAKES])
        self._noted.append(_NotedInstruction(each.offset, (symbol,), question.otherwise, question))

    def finish(self, everywhere: Accesses) -> tuple[Accesses, LinePlan | None]:
        """What the line may do by name, and its plan if it has one.

        Args:
            everywhere: what instructions may do that belong to no line.
        """
        rest = whole = self.rest | everywhere
        uses: dict[Symbol, tuple[set[str], set[str]]] = {}
        questions: list[Question] = []
        leans_on: set[str] = set()
        for each in self._noted:
            whole |= each.otherwise
            if not all(self._is_as_it_began(each, symbol) for symbol in each.symbols):
                rest |= each.otherwise
                continue
            for symbol in each.symbols:
                leans_on |= names_of(symbol, Origin.ATTRIBUTE)
                leans_on |= set(map(cell, names_of(symbol, Origin.CELL)))
            if each.made is not None:
                questions.append(each.made)
            else:
                uses.setdefault(each.symbols[0], (set(), set()))[each.is_write].add(each.name)
        if not uses and not questions:
            return whole, None
        made = tuple(
            AttributeUse(owner, frozenset(reads), frozenset(writes))
            for owner, (reads, writes) in uses.items()
        )
        unique = tuple(dict.fromkeys(questions))
        return whole, LinePlan(rest, made, unique, frozenset(leans_on), whole)

    def _is_as_it_began(self, noted: _NotedInstruction, symbol: Symbol) -> bool:
        """Whether an instruction finds the value that was there when the line began.

        That is if the line, on its way there, does not change it itself. For what other code
        changes meanwhile see `LinePlan.leans_on`.
        """
        for origin in (Origin.LOCAL, Origin.ATTRIBUTE, Origin.CELL):
            for name in names_of(symbol, origin):
                stored = self._stores.get((origin, name))
                if stored is not None and (
                    self.is_repeated or stored < noted.offset or origin is Origin.CELL
                ):
                    return False
        return True


def _is_place(symbol: Symbol) -> bool:
    """Whether a symbol stands for a variable, or an attribute of a variable, and so on."""
    if symbol.origin is Origin.ATTRIBUTE:
        (owner,) = symbol.of
        return owner is not None and _is_place(owner)
    return symbol.origin in (Origin.LOCAL, Origin.CELL)


def _is_known(symbol: Symbol) -> bool:
    if symbol.origin is Origin.RESULT:
        return all(each is not None and _is_known(each) for each in symbol.of)
    return symbol.origin in (Origin.SCALAR, Origin.CALL) or _is_place(symbol)
