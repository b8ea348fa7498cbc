"""What is known of each line of a function is the same for the bytecode of every Python."""

from __future__ import annotations

import sys

import pytest

from aldente._strategies.bytecode import Analysis, analyse
from aldente._strategies.effects import ITEMS, ITERATORS
from aldente._strategies.plans import Accesses

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.11 has no sys.monitoring, so nothing is left out"
)

# The line that is looked at is the third one.
TEMPLATE = """
async def function(items, other, number):
    {}
    await other()
    def inner():
        nonlocal cell
        return cell, function
    cell = 1
"""
LINE = 3


def analysis_of(statement: str) -> Analysis:
    """What is known of a function with a statement."""
    module = compile(TEMPLATE.format(statement), "<source>", "exec")
    return analyse(module.co_consts[0])


def accesses_of(statement: str) -> Accesses:
    """What the first line of a statement may do."""
    return analysis_of(statement).lines[LINE]


@pytest.mark.parametrize("source", ["items", "cell"])
def test_a_loop_through_a_variable_is_known(source: str) -> None:
    """A loop takes from an iterator only if its variable, when it begins, is no container."""
    analysis = analysis_of(f"for each in {source}: number = 1")
    assert analysis.variables[LINE][1] == source
    assert analysis.loops[LINE] == [analysis.variables[LINE][0]]
    assert analysis.lines[LINE].writes == set()


@pytest.mark.parametrize("source", ["range(3)", "range(number)", "items.values()", "other(1, 2)"])
def test_a_loop_through_what_a_call_returns_is_known(source: str) -> None:
    """A loop takes from an iterator only if the call that it goes through returns one."""
    analysis = analysis_of(f"for each in {source}: number = 1")
    assert analysis.looped == set(analysis.loops[LINE])
    assert analysis.lines[LINE].writes == set()


@pytest.mark.parametrize(
    "statement",
    [
        "for each in items or other: pass",
        "for each in items if number else other: pass",
        "for each in items or range(3): pass",
        "for each in items.name: pass",
        "number = [each for each in items]",
        "number, *cell = items",
        "number = [*items]",
        "number = 1 in items",
        "number = other(*items)",
    ],
)
def test_anything_else_may_take_from_an_iterator(statement: str) -> None:
    """What goes through something of which nothing is known may take from an iterator."""
    assert ITERATORS in accesses_of(statement).writes


def test_a_variable_behind_an_await_is_not_known() -> None:
    """Of a variable of a closure it is only known what it is when a line begins, and not after."""
    statement = "[1 for _ in range(1)\n      for _ in range(1) if await other() for _ in cell]"
    analysis = analysis_of(statement)
    assert not analysis.variables
    assert any(ITERATORS in accesses.writes for accesses in analysis.lines.values())


@pytest.mark.parametrize("modulo", ["% 3", "% 300", "% -1"])
def test_modulo_of_a_number_is_no_format(modulo: str) -> None:
    """``%`` may do anything, such as show an object, unless it is with a number that is written."""
    assert not accesses_of(f"cell = number {modulo}").is_wild
    assert not accesses_of(f"number {modulo.replace('%', '%=')}").is_wild


@pytest.mark.parametrize("modulo", ["% other", "% (other if items else 3)", "% other()"])
def test_modulo_of_anything_else_may_be_a_format(modulo: str) -> None:
    """``%`` with what may be any object may do anything."""
    assert accesses_of(f"number = [1, number {modulo}, 2, 3, 4]").is_wild


def test_what_is_awaited_is_known_by_its_call() -> None:
    """An await of a call is examined when it is called."""
    for call in ("other()", "other(1, key=2)", "items.method()"):
        analysis = analysis_of(f"cell = await {call}")
        assert len(analysis.awaited) == 2
        assert not analysis.lines[LINE].is_wild


@pytest.mark.parametrize(
    "awaited", ["other", "(items if number else other())", "other(*items)", "items[0]"]
)
def test_any_other_await_may_do_anything(awaited: str) -> None:
    """An await of what was not just called may do anything."""
    assert accesses_of(f"cell = await {awaited}").is_wild


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("_state", 12),
        ("_callbacks", 12),
        ("_asyncio_awaited_by", 14),
        ("cr_await", 12),
        ("gi_frame", 12),
        ("gi_state", 15),
        ("f_locals", 12),
        ("f_generator", 14),
        ("cell_contents", 12),
        ("__traceback__", 12),
        ("__context__", 12),
        ("__dict__", 12),
    ],
)
def test_attributes_that_change_by_themselves_may_be_anything(name: str, since: int) -> None:
    """Reading an attribute of a future, task, frame or exception depends on more than its name."""
    if sys.version_info < (3, since):
        pytest.skip(f"new in Python 3.{since}")
    assert accesses_of(f"cell = items.{name}").is_wild
    assert not accesses_of("cell = items._loop").is_wild


def test_a_subscript_changes_a_container() -> None:
    """Reading an element or a slice is a change, as both may insert a key into a defaultdict."""
    for subscript in ("items[0]", "items[number]", "items[1:2]", "items[number:]", "items[::2]"):
        accesses = accesses_of(f"cell = {subscript}")
        assert ITEMS in accesses.writes
        assert not accesses.is_wild


def test_plain_code_of_one_task_does_nothing() -> None:
    """What only moves, compares and computes the values of local variables does nothing."""
    for statement in (
        "number = 7; other = None; items = -1, True, '', 300",
        "number, other = other, number",
        "number = None if other is None else items",
        "del number",
    ):
        accesses = accesses_of(statement)
        assert not accesses.is_wild
        assert not accesses.writes
        assert accesses.reads <= {ITEMS}
