"""What each bytecode instruction may do that other tasks can see.

The tables cover CPython 3.12 to 3.15; on Python 3.11, which has no `sys.monitoring`, nothing uses
them. An instruction or operand that is not listed may do anything, and
``tests/unit/test_opcodes.py`` fails on a Python that has one.
"""

from __future__ import annotations

import dis
import enum


class OpcodeEffect(enum.Enum):
    """What an instruction may do, besides changing the local variables of its function."""

    NOTHING = "moves local values, makes new objects, or jumps"
    ASKS = "asks objects, as comparing two lists does"
    TAKES = "takes from an iterator"
    CHANGES = "changes the elements of a container"
    READS_NAME = "reads an attribute or a global variable"
    WRITES_NAME = "changes an attribute or a global variable"
    READS_CELL = "reads a variable of a closure"
    WRITES_CELL = "changes a variable of a closure"
    AWAITS = "awaits something"
    ANYTHING = "may do anything"


def _table(*rows: tuple[OpcodeEffect, str]) -> dict[str, OpcodeEffect]:
    return {name: access for access, names in rows for name in names.split()}


INSTRUCTIONS = _table(
    (OpcodeEffect.NOTHING, "RESUME NOP NOT_TAKEN POP_TOP PUSH_NULL COPY SWAP"),
    (OpcodeEffect.NOTHING, "LOAD_CONST LOAD_SMALL_INT LOAD_ASSERTION_ERROR"),
    (OpcodeEffect.NOTHING, "LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR LOAD_FAST_LOAD_FAST"),
    (OpcodeEffect.NOTHING, "LOAD_FAST_BORROW LOAD_FAST_BORROW_LOAD_FAST_BORROW DELETE_FAST"),
    (OpcodeEffect.NOTHING, "STORE_FAST STORE_FAST_STORE_FAST STORE_FAST_LOAD_FAST"),
    (
        OpcodeEffect.NOTHING,
        "MAKE_CELL COPY_FREE_VARS LOAD_CLOSURE MAKE_FUNCTION SET_FUNCTION_ATTRIBUTE",
    ),
    (OpcodeEffect.NOTHING, "RETURN_VALUE RETURN_CONST RETURN_GENERATOR YIELD_VALUE"),
    (OpcodeEffect.NOTHING, "JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT"),
    (OpcodeEffect.NOTHING, "POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE IS_OP END_FOR POP_ITER"),
    # What they run was classified where it was awaited.
    (OpcodeEffect.NOTHING, "SEND END_SEND CLEANUP_THROW"),
    (OpcodeEffect.NOTHING, "RERAISE RAISE_VARARGS PUSH_EXC_INFO POP_EXCEPT CHECK_EXC_MATCH"),
    (
        OpcodeEffect.NOTHING,
        "BUILD_TUPLE BUILD_LIST BUILD_MAP BUILD_CONST_KEY_MAP BUILD_SLICE LIST_APPEND",
    ),
    # A template keeps its values as they are; it converts none to a string.
    (OpcodeEffect.NOTHING, "BUILD_STRING BUILD_INTERPOLATION BUILD_TEMPLATE"),
    # Both only test a flag of the class.
    (OpcodeEffect.NOTHING, "MATCH_SEQUENCE MATCH_MAPPING"),
    # A CALL event reports what is called; of LOAD_SPECIAL, the methods of a context manager.
    (OpcodeEffect.NOTHING, "CALL CALL_KW KW_NAMES LOAD_SPECIAL"),
    (OpcodeEffect.ASKS, "POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE TO_BOOL UNARY_NOT COMPARE_OP GET_LEN"),
    (OpcodeEffect.ASKS, "UNARY_NEGATIVE UNARY_INVERT BUILD_SET SET_ADD MAP_ADD"),
    (OpcodeEffect.TAKES, "FOR_ITER CONTAINS_OP UNPACK_SEQUENCE UNPACK_EX"),
    (OpcodeEffect.TAKES, "LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE CALL_FUNCTION_EX"),
    # Reading a subscript may write: a defaultdict inserts the key, which may be a slice.
    (OpcodeEffect.CHANGES, "BINARY_SUBSCR BINARY_SLICE STORE_SUBSCR STORE_SLICE DELETE_SUBSCR"),
    (OpcodeEffect.READS_NAME, "LOAD_GLOBAL LOAD_ATTR LOAD_SUPER_ATTR"),
    (OpcodeEffect.WRITES_NAME, "STORE_GLOBAL DELETE_GLOBAL STORE_ATTR DELETE_ATTR"),
    (OpcodeEffect.READS_CELL, "LOAD_DEREF"),
    (OpcodeEffect.WRITES_CELL, "STORE_DEREF DELETE_DEREF"),
    (OpcodeEffect.AWAITS, "GET_AWAITABLE"),
    # No event reports a method that they call if it is written in C.
    (OpcodeEffect.ANYTHING, "BEFORE_WITH BEFORE_ASYNC_WITH WITH_EXCEPT_START"),
    # No event reports what an async iterator or the target of ``yield from`` does in C.
    (OpcodeEffect.ANYTHING, "GET_AITER GET_ANEXT END_ASYNC_FOR GET_YIELD_FROM_ITER"),
    # The string that represents a task shows its state.
    (OpcodeEffect.ANYTHING, "FORMAT_VALUE FORMAT_SIMPLE FORMAT_WITH_SPEC CONVERT_VALUE"),
    # They call methods of the class, the mapping or the exception group that is matched.
    (OpcodeEffect.ANYTHING, "MATCH_CLASS MATCH_KEYS CHECK_EG_MATCH"),
    # Importing a module may run anything. The names of a class body may live in any mapping.
    (
        OpcodeEffect.ANYTHING,
        "IMPORT_NAME IMPORT_FROM LOAD_BUILD_CLASS LOAD_LOCALS SETUP_ANNOTATIONS",
    ),
    (OpcodeEffect.ANYTHING, "LOAD_NAME STORE_NAME DELETE_NAME"),
    (OpcodeEffect.ANYTHING, "LOAD_FROM_DICT_OR_DEREF LOAD_FROM_DICT_OR_GLOBALS"),
)

# Instructions whose operand decides what they do, with the operands as `operand_of` returns them.
OPERANDS = {
    "BINARY_OP": _table(
        (OpcodeEffect.ASKS, "+ - * / // ** @ & | ^ << >>"),
        # An in-place operator may change a list.
        (OpcodeEffect.CHANGES, "+= -= *= /= //= **= @= &= |= ^= <<= >>="),
        # Since Python 3.14 it replaces BINARY_SUBSCR.
        (OpcodeEffect.CHANGES, "[]"),
        # They may format a string; see FORMAT_VALUE.
        (OpcodeEffect.ANYTHING, "% %="),
    ),
    # Since Python 3.15 the others replace GET_YIELD_FROM_ITER.
    "GET_ITER": {"": OpcodeEffect.ASKS, **_table((OpcodeEffect.ANYTHING, "1 2 3"))},
    "CALL_INTRINSIC_1": _table(
        (OpcodeEffect.NOTHING, "INTRINSIC_STOPITERATION_ERROR INTRINSIC_LIST_TO_TUPLE"),
        (OpcodeEffect.ASKS, "INTRINSIC_UNARY_POSITIVE"),
        (OpcodeEffect.ANYTHING, "INTRINSIC_1_INVALID INTRINSIC_PRINT INTRINSIC_IMPORT_STAR"),
        # The first belongs to async generators; the others only occur in definitions.
        (OpcodeEffect.ANYTHING, "INTRINSIC_ASYNC_GEN_WRAP INTRINSIC_TYPEVAR INTRINSIC_PARAMSPEC"),
        (
            OpcodeEffect.ANYTHING,
            "INTRINSIC_TYPEVARTUPLE INTRINSIC_SUBSCRIPT_GENERIC INTRINSIC_TYPEALIAS",
        ),
    ),
    "CALL_INTRINSIC_2": _table(
        (OpcodeEffect.ANYTHING, "INTRINSIC_2_INVALID INTRINSIC_PREP_RERAISE_STAR"),
        (OpcodeEffect.ANYTHING, "INTRINSIC_TYPEVAR_WITH_BOUND INTRINSIC_TYPEVAR_WITH_CONSTRAINTS"),
        (
            OpcodeEffect.ANYTHING,
            "INTRINSIC_SET_FUNCTION_TYPE_PARAMS INTRINSIC_SET_TYPEPARAM_DEFAULT",
        ),
    ),
    # Since Python 3.14 ``all(... for ...)`` and the like compare the name's value with the built-in
    # function, and are compiled to a FOR_ITER loop for the case that they are the same.
    "LOAD_COMMON_CONSTANT": dict.fromkeys(
        (
            *("AssertionError", "NotImplementedError", "tuple", "list", "set"),
            *("<built-in function all>", "<built-in function any>"),
            *("None", "''", "True", "False", "-1"),
        ),
        OpcodeEffect.NOTHING,
    ),
}

# What is in `dis.opmap` and needs no class. The first two are a part of another instruction. The
# others belong to frames of the interpreter's own, or replace an instruction while it runs, as do
# those with the prefix; `dis` shows the instruction that was replaced.
PARTS = ("CACHE", "EXTENDED_ARG")
INTERNAL = (
    "RESERVED",
    "INTERPRETER_EXIT",
    "EXIT_INIT_CHECK",
    "ENTER_EXECUTOR",
    "TRACE_RECORD",
)
INSTRUMENTED_PREFIX = "INSTRUMENTED_"
# From this number on they are pseudo-instructions: the compiler replaces them before it is done.
FIRST_PSEUDO_OPCODE = 256


def operand_of(instruction: dis.Instruction) -> str:
    """What distinguishes the operand in `OPERANDS`; empty when it is 0 or there is none.

    >>> [operand_of(each) for each in dis.get_instructions("x + y") if each.opname == "BINARY_OP"]
    ['+']
    """
    return instruction.argrepr or str(instruction.arg or "")


def access_of(instruction: dis.Instruction) -> OpcodeEffect:
    """What an instruction may do."""
    operands = OPERANDS.get(instruction.opname)
    if operands is not None:
        return operands.get(operand_of(instruction), OpcodeEffect.ANYTHING)
    return INSTRUCTIONS.get(instruction.opname, OpcodeEffect.ANYTHING)
