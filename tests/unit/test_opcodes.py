"""The tables of bytecode: each Python that is supported has nothing that they do not know."""

from __future__ import annotations

import asyncio
import dis
import inspect
import opcode
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

from aldente._strategies.opcodes import (
    FIRST_PSEUDO_OPCODE,
    INSTRUCTIONS,
    INSTRUMENTED_PREFIX,
    INTERNAL,
    OPERANDS,
    PARTS,
    OpcodeEffect,
    access_of,
    operand_of,
)
from aldente._strategies.recorder import AccessRecorder

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.11 has no sys.monitoring, so nothing is left out"
)

PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
FIX = (
    "Until then they may do anything, which makes no search wrong but many of them longer. Read in "
    "CPython's Python/bytecodes.c what they do, look with dis at where the compiler emits them, and "
    "add them to src/aldente/_strategies/opcodes.py; look also whether the special cases in "
    "bytecode.py still hold."
)

# What the operand of an instruction says that does the same with each of them. Those that `dis`
# takes for a name, a variable, a constant, a jump or a comparison are not here.
PLAIN_OPERANDS = {
    "BUILD_CONST_KEY_MAP": "how many values",
    "BUILD_INTERPOLATION": "which conversion, and whether there is a format",
    "BUILD_LIST": "how many elements",
    "BUILD_MAP": "how many pairs",
    "BUILD_SET": "how many elements",
    "BUILD_SLICE": "whether there is a step",
    "BUILD_STRING": "how many parts",
    "BUILD_TUPLE": "how many elements",
    "CALL": "how many arguments",
    "CALL_FUNCTION_EX": "whether there are keyword arguments",
    "CALL_KW": "how many arguments",
    "CONTAINS_OP": "whether it is not in",
    "COPY": "which place of the stack",
    "COPY_FREE_VARS": "how many variables",
    "DICT_MERGE": "which place of the stack",
    "DICT_UPDATE": "which place of the stack",
    "GET_AWAITABLE": "what the error message says",
    "IS_OP": "whether it is not that",
    "KW_NAMES": "which constant has the names",
    "LIST_APPEND": "which place of the stack",
    "LIST_EXTEND": "which place of the stack",
    "LOAD_SMALL_INT": "which number",
    "LOAD_SPECIAL": "which method of a context manager",
    "MAKE_CELL": "which variable",
    "MAKE_FUNCTION": "which attributes of the function are given",
    "MAP_ADD": "which place of the stack",
    "RAISE_VARARGS": "whether there are an exception and a cause",
    "RERAISE": "which place of the stack has the instruction that failed",
    "RESUME": "why the function goes on",
    "SET_ADD": "which place of the stack",
    "SET_FUNCTION_ATTRIBUTE": "which attribute of a new function",
    "SET_UPDATE": "which place of the stack",
    "SWAP": "which place of the stack",
    "UNPACK_EX": "how many values before and after the list",
    "UNPACK_SEQUENCE": "how many values",
    "YIELD_VALUE": "how deep the stack of handlers is",
}

# The compiler is also given all of asyncio.
SYNTAX = """
from os import *
import os.path as path
class Class[T: int, *Ts, **P](list):
    x: int = 1
    type Inner = path
    def method(self, *, key=1):
        return super().method(key, **{}), __class__
    del x
type Alias[T] = list[T]
def function(a, b=1, /, *c: int, d=2, **e):
    global name
    a[b] = a[b:c] = a[b] + -a - ~b * (not c) / +d // a % b @ c & d | a ^ b << c >> d ** a
    a += b; a -= b; a *= b; a /= b; a //= b; a %= b; a @= b; a &= b; a |= b; a ^= b
    a <<= b; a >>= b; a **= b; a[b] += 1; a[b:c] += 1; a.b += 1
    del a.b, a[b], a[b:c], name
    name = f"{a}{b!r}{c!s:>{d}}{e!a}", a < b <= c == d != e > a >= b, a in b, a not in b
    first, *others, last = *a, *b, -1, True, False, None, ""
    found = {**a, 'b': b}, {*a, b}, a[::2], a[1:2], [*a], a if b else c, a and b or c, a is not b
    found = [i for i in a if i], {i for i in a}, {i: i for i in a}, all(i for i in a)
    found = any(i for i in a), tuple(i for i in a), list(i for i in a), set(i for i in a)
    found = lambda x, y=a: x, function(*a, **b), function(k=1), (a := b)
    assert a, b
    raise NotImplementedError from a
def nested():
    cell = 1
    def inner():
        nonlocal cell
        cell += 1
        del cell
    try:
        yield cell
        yield from inner
    except* ValueError as error:
        raise
    finally:
        cell = 2
def matched(a):
    match a:
        case {"k": b, **c} | [b, *c, 1] | Class(x=b, y=c) if b: return b
        case None | str() | 1.5: return 1
    try:
        while a: break
        else: a = 1
    except (A, B) as error:
        del error
    except:
        with a as b, c: continue_ = 1
async def waited(a):
    async with a as b, c: await b
    async for i in a: yield i
    found = [i async for i in a], (await i for i in a), {await i for i in a if await i}
"""
STRING_ANNOTATIONS = "from __future__ import annotations\nx: int = 1\n"
SINCE_3_13 = "def default[T = int, *Ts = *tuple[int], **P = []](): pass\n"
SINCE_3_14 = "found = t'{a}{b!r:>{c}}'\n"
SINCE_3_15 = "lazy import json\nfound = [*x for x in y], {**x for x in y}, {*x for x in y}\n"


def sources() -> Iterator[str]:
    """Source code that has every syntax of this Python."""
    yield SYNTAX
    yield STRING_ANNOTATIONS
    for version, source in ((13, SINCE_3_13), (14, SINCE_3_14), (15, SINCE_3_15)):
        if sys.version_info >= (3, version):
            yield source
    for path in sorted(Path(asyncio.__file__).parent.glob("*.py")):
        yield path.read_text(encoding="utf-8")


def functions(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those inside it."""
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from functions(constant)


@pytest.fixture(scope="module")
def compiled() -> list[dis.Instruction]:
    """What this Python's compiler makes of every syntax."""
    return [
        each
        for source in sources()
        for code in functions(compile(source, "<source>", "exec", dont_inherit=True))
        for each in dis.get_instructions(code)
    ]


def real_instructions() -> set[str]:
    """The instructions of this Python that may be in a function."""
    return {
        name
        for name, number in dis.opmap.items()
        if number < FIRST_PSEUDO_OPCODE
        and not name.startswith(INSTRUMENTED_PREFIX)
        and name not in (*PARTS, *INTERNAL)
    }


def test_every_instruction_is_classified() -> None:
    """There is no instruction of this Python of which the tables say nothing."""
    unknown = real_instructions() - {*INSTRUCTIONS, *OPERANDS}
    assert not unknown, f"{PYTHON} has instructions that are not classified: {unknown}. {FIX}"


def operands_of_this_python() -> dict[str, list[str]]:
    """The operands for which this Python has names, as `operand_of` gives them."""
    tables: Any = vars(opcode)
    constants = tables.get("_common_constants", [])
    return {
        "BINARY_OP": [symbol for _, symbol in tables["_nb_ops"]],
        "CALL_INTRINSIC_1": tables["_intrinsic_1_descs"],
        "CALL_INTRINSIC_2": tables["_intrinsic_2_descs"],
        "LOAD_COMMON_CONSTANT": [
            each.__name__ if isinstance(each, type) else repr(each) for each in constants
        ],
    }


def test_every_operand_is_classified() -> None:
    """There is no operator, intrinsic function or common constant of which the tables say nothing."""
    for name, operands in operands_of_this_python().items():
        unknown = set(operands) - {*OPERANDS[name]}
        assert not unknown, (
            f"{PYTHON} has operands of {name} that are not classified: {unknown}. {FIX}"
        )


def test_there_is_no_other_table_of_operands() -> None:
    """All kinds of operands for which this Python has names are known to be of importance or not."""
    known = {"_nb_ops", "_intrinsic_1_descs", "_intrinsic_2_descs", "_common_constants"}
    # The first have all instructions; the methods of `with` may do anything.
    known |= {"_inline_cache_entries", "_cache_format", "_specializations", "_specialized_opmap"}
    known |= {"_specialized_instructions", "_pseudo_ops", "_special_method_names"}
    tables = {
        name
        for name, value in vars(opcode).items()
        if name.startswith("_") and not name.startswith("__") and not isinstance(value, ModuleType)
    }
    assert tables <= known, f"{PYTHON} has new tables in the module opcode: {tables - known}. {FIX}"


def test_operands_of_other_instructions_do_not_matter() -> None:
    """An instruction has no operand unless that is classified, or known to make no difference."""
    kinds = (dis.hasname, dis.haslocal, dis.hasfree, dis.hasconst, dis.hasjrel, dis.hascompare)
    known = {number for kind in kinds for number in kind}
    # New in Python 3.12.
    numbers = {*vars(dis)["hasarg"]} - known
    with_operand = {name for name in real_instructions() if dis.opmap[name] in numbers}
    wild = {name for name, access in INSTRUCTIONS.items() if access is OpcodeEffect.ANYTHING}
    unknown = with_operand - {*OPERANDS, *PLAIN_OPERANDS} - wild
    assert not unknown, f"{PYTHON} has instructions with new operands: {unknown}. {FIX}"


def test_what_the_compiler_emits_is_classified(compiled: list[dis.Instruction]) -> None:
    """There is a class for each instruction and operand that the compiler emits."""
    unknown = {
        (each.opname, operand_of(each))
        for each in compiled
        if each.opname not in PARTS
        and each.opname not in INSTRUCTIONS
        and operand_of(each) not in OPERANDS.get(each.opname, ())
    }
    assert not unknown, f"{PYTHON} emits what is not classified: {unknown}. {FIX}"


def test_the_compiler_is_asked_for_every_instruction(compiled: list[dis.Instruction]) -> None:
    """The source code by which the tables are checked makes the compiler emit every instruction."""
    emitted = {each.opname for each in compiled}
    assert not real_instructions() - emitted, "Add what makes the compiler emit them to SYNTAX."


def test_no_name_is_in_two_tables() -> None:
    """What an instruction does is said in one place."""
    assert not {*INSTRUCTIONS} & {*OPERANDS}
    assert not {*INSTRUCTIONS, *OPERANDS} & {*PARTS, *INTERNAL}


def test_what_is_not_known_may_do_anything() -> None:
    """A new instruction, and a new operand of a known one, may do anything."""
    instructions = list(dis.get_instructions(compile("x + y", "<source>", "eval")))
    load = instructions[0]
    plus = next(each for each in instructions if each.opname == "BINARY_OP")
    assert access_of(plus) is OpcodeEffect.ASKS
    assert access_of(plus._replace(argrepr="<new>")) is OpcodeEffect.ANYTHING
    assert access_of(load._replace(opname="NEW_INSTRUCTION")) is OpcodeEffect.ANYTHING


def test_a_subscript_may_change_what_it_reads() -> None:
    """Reading an element is a change, as a defaultdict has one more after it."""
    instructions = dis.get_instructions(compile("x[y]", "<source>", "eval"))
    assert OpcodeEffect.CHANGES in map(access_of, instructions)


def test_instructions_are_the_same_while_code_is_observed() -> None:
    """What is known of a function does not depend on whether tools observe it."""

    def observed(items: list[int]) -> int:
        for item in items:
            if item:
                items[item] += len(items)
        return all(each for each in items)

    before = [each[:3] for each in dis.get_instructions(observed)]
    recorder = AccessRecorder()
    assert recorder.start()
    try:
        observed([0, 1])
        during = [each[:3] for each in dis.get_instructions(observed)]
    finally:
        recorder.stop()
    assert during == before
