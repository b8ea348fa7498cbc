"""What the instructions of a function find on its stack, as far as its bytecode shows.

A `Symbol` says where a value came from: a local variable, a variable of a closure, an attribute of
another symbol's value, a constant. `ValueStack` follows the instructions in the order in which they
stand, and forgets everything where another instruction may lead to.
"""

from __future__ import annotations

import dis
import enum
from typing import Final, NamedTuple


class Origin(enum.Enum):
    """Where a value came from."""

    LOCAL = "a local variable"
    CELL = "a variable of a closure"
    ATTRIBUTE = "an attribute of another value"
    SCALAR = "a number, a string or the like"
    RESULT = "what an operator made of other values"
    CALL = "what a call returned"
    METHOD = "a method of another value, or the value itself, to be called at once"


class Symbol(NamedTuple):
    """Where a value came from.

    Attributes:
        origin: the kind of place.
        name: the name of the variable or attribute.
        of: the values that it came from, or whose attribute it is.
    """

    origin: Origin
    name: str = ""
    of: tuple[Symbol | None, ...] = ()


SCALARS: Final = frozenset({int, bool, float, str, bytes, type(None)})
_SCALAR = Symbol(Origin.SCALAR)

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"})
_DOUBLE_LOADS = frozenset({"LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"})
_CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT"})
_STORES = frozenset({"STORE_FAST", "DELETE_FAST", "LOAD_FAST_AND_CLEAR"})

# The instructions that change local variables.
STORES = _STORES | {"STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST"}

# How many values other instructions take, and what they push.
_RESULTS: dict[str, tuple[int, tuple[Symbol | None, ...]]] = {
    "NOP": (0, ()),
    "NOT_TAKEN": (0, ()),
    "KW_NAMES": (0, ()),
    "PUSH_NULL": (0, (None,)),
    "LOAD_ASSERTION_ERROR": (0, (None,)),
    "LOAD_DEREF": (0, (None,)),
    "POP_TOP": (1, ()),
    "POP_JUMP_IF_TRUE": (1, ()),
    "POP_JUMP_IF_FALSE": (1, ()),
    "POP_JUMP_IF_NONE": (1, ()),
    "POP_JUMP_IF_NOT_NONE": (1, ()),
    "STORE_DEREF": (1, ()),
    "STORE_GLOBAL": (1, ()),
    "STORE_ATTR": (2, ()),
    "DELETE_ATTR": (1, ()),
    "STORE_SUBSCR": (3, ()),
    "DELETE_SUBSCR": (2, ()),
    "BINARY_SUBSCR": (2, (None,)),
    "BINARY_SLICE": (3, (None,)),
    "STORE_SLICE": (4, ()),
    "TO_BOOL": (1, (_SCALAR,)),
    "UNARY_NOT": (1, (_SCALAR,)),
    "IS_OP": (2, (_SCALAR,)),
    "CONTAINS_OP": (2, (_SCALAR,)),
    "FORMAT_SIMPLE": (1, (_SCALAR,)),
    "CONVERT_VALUE": (1, (_SCALAR,)),
}
_OPERATORS = {"BINARY_OP": 2, "COMPARE_OP": 2, "UNARY_NEGATIVE": 1, "UNARY_INVERT": 1}
_BUILDERS = {"BUILD_LIST": 1, "BUILD_TUPLE": 1, "BUILD_SET": 1, "BUILD_MAP": 2, "BUILD_STRING": 1}


class ValueStack:
    """The values on the stack of a function, the last on top; those below are not known."""

    def __init__(self) -> None:
        self._values: list[Symbol | None] = []

    def clear(self) -> None:
        """Forget everything."""
        self._values = []

    def top(self, count: int) -> tuple[Symbol | None, ...]:
        """So many values, the uppermost last."""
        known = self._values[-count:] if count else []
        return (*[None] * (count - len(known)), *known)

    def end_line(self) -> None:
        """Forget what code of other lines may change."""
        self._values = [each if _is_lasting(each) else None for each in self._values]

    def follow(self, each: dis.Instruction) -> None:
        """Do what an instruction does."""
        name = each.opname
        if name in _RESULTS:
            taken, pushed = _RESULTS[name]
            if name == "LOAD_DEREF":
                pushed = (Symbol(Origin.CELL, each.argval),)
            self._replace(taken, *pushed)
        elif not self._follow_variable(each) and not self._follow_attribute(each):
            self._follow_rest(each)

    def _follow_variable(self, each: dis.Instruction) -> bool:
        name, what = each.opname, each.argval
        if name in _LOADS:
            self._replace(0, Symbol(Origin.LOCAL, what))
        elif name in _DOUBLE_LOADS:
            self._replace(0, *(Symbol(Origin.LOCAL, variable) for variable in what))
        elif name in _STORES:
            # The last one pushes the value that it clears.
            taken, pushed = (1, ()) if name == "STORE_FAST" else (0, ())
            self._forget(what)
            self._replace(taken, *((None,) if name == "LOAD_FAST_AND_CLEAR" else pushed))
        elif name == "STORE_FAST_STORE_FAST":
            for variable in what:
                self._forget(variable)
            self._replace(2)
        elif name == "STORE_FAST_LOAD_FAST":
            self._replace(1)
            self._forget(what[0])
            self._replace(0, Symbol(Origin.LOCAL, what[1]))
        elif name in _CONSTANTS:
            self._replace(0, _SCALAR if type(what) in SCALARS else None)
        else:
            return False
        return True

    def _follow_attribute(self, each: dis.Instruction) -> bool:
        argument = each.arg or 0
        if each.opname == "LOAD_GLOBAL":
            self._replace(0, *[None] * (1 + (argument & 1)))
        elif each.opname == "LOAD_ATTR":
            (owner,) = self.top(1)
            if argument & 1:
                method = Symbol(Origin.METHOD, each.argval, (owner,))
                self._replace(1, method, method)
            else:
                self._replace(1, Symbol(Origin.ATTRIBUTE, each.argval, (owner,)))
        else:
            return False
        return True

    def _follow_rest(self, each: dis.Instruction) -> None:
        name, argument = each.opname, each.arg or 0
        if name in _OPERATORS:
            taken = _OPERATORS[name]
            # Since Python 3.13 a comparison may end with making a bool of its result.
            is_bool = name == "COMPARE_OP" and each.argrepr.startswith("bool(")
            self._replace(taken, _SCALAR if is_bool else Symbol(Origin.RESULT, "", self.top(taken)))
        elif name in _BUILDERS:
            self._replace(_BUILDERS[name] * argument, _SCALAR if name == "BUILD_STRING" else None)
        elif name == "CALL":
            self._replace(argument + 2, Symbol(Origin.CALL, str(each.offset)))
        elif name == "CALL_KW":
            self._replace(argument + 3, None)
        elif name == "COPY":
            self._replace(0, self.top(argument)[0])
        elif name == "SWAP":
            first, *others, last = self.top(argument)
            self._replace(argument, last, *others, first)
        else:
            self.clear()

    def _replace(self, taken: int, *pushed: Symbol | None) -> None:
        if taken:
            del self._values[-taken:]
        self._values.extend(pushed)

    def _forget(self, variable: str) -> None:
        self._values = [
            None if each is not None and uses(each, Origin.LOCAL, variable) else each
            for each in self._values
        ]


def uses(symbol: Symbol | None, origin: Origin, name: str) -> bool:
    """Whether a value is, or came from, a variable or attribute."""
    if symbol is None:
        return False
    is_it = symbol.origin is origin and symbol.name == name
    return is_it or any(uses(each, origin, name) for each in symbol.of)


def names_of(symbol: Symbol | None, origin: Origin) -> set[str]:
    """The variables or attributes from which a value came."""
    if symbol is None:
        return set()
    own = {symbol.name} if symbol.origin is origin else set[str]()
    return own.union(*(names_of(each, origin) for each in symbol.of))


def _is_lasting(symbol: Symbol | None) -> bool:
    return symbol is not None and symbol.origin in (Origin.LOCAL, Origin.SCALAR, Origin.CALL)


def receiver_of(call: tuple[Symbol | None, ...]) -> Symbol | None:
    """The value whose method is called, or else the first argument, of what a call takes."""
    for each in call[:2]:
        if each is not None and each.origin is Origin.METHOD:
            return each.of[0]
    return call[2] if len(call) > 2 else None
