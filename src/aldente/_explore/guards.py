"""Which lines of a source file a condition guards, and where a variable keeps a value.

A task that waits within such lines, or before it uses such a variable, may rely on a value that is
out of date.
"""

from __future__ import annotations

import ast
import functools
import linecache
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_EXITS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(slots=True)
class LineFacts:
    """What a line means for lines that follow.

    Attributes:
        guarded: the lines that are reached only by the condition on this line.
        keeps: by the text of what is read, the variable that keeps it.
        loads: the variables that it reads.
        stores: the variables that it sets.
        acts: whether it does something: calls, awaits, or sets what is not a variable.
        handles: whether it is in an `except` block.
        cleans: whether it is in a `finally` block.
        asserts: whether it is a part of an `assert` statement.
    """

    guarded: frozenset[int] = frozenset()
    keeps: dict[str, str] = field(default_factory=dict)
    loads: set[str] = field(default_factory=set)
    stores: set[str] = field(default_factory=set)
    acts: bool = False
    handles: bool = False
    cleans: bool = False
    asserts: bool = False


@functools.lru_cache(maxsize=64)
def facts_of(file: str) -> Mapping[int, LineFacts]:
    """The facts about each line of a file; empty if its source can't be read."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, LineFacts] = defaultdict(LineFacts)
    for node in ast.walk(tree):
        _add(node, found)
    for block in _blocks(tree):
        for index, statement in enumerate(block):
            if isinstance(statement, ast.If | ast.While | ast.Assert):
                guarded = _guarded_by(statement, block[index + 1 :])
                test = statement.test
                if test.lineno == test.end_lineno == statement.lineno:
                    found[statement.lineno].guarded |= guarded
    return dict(found)


def _add(node: ast.AST, found: dict[int, LineFacts]) -> None:
    if isinstance(node, ast.Name):
        facts = found[node.lineno]
        (facts.loads if isinstance(node.ctx, ast.Load) else facts.stores).add(node.id)
    elif isinstance(node, ast.Call | ast.Await | ast.AsyncWith | ast.AsyncFor) or (
        isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
    ):
        found[node.lineno].acts = True
    elif isinstance(node, ast.Assign) and node.lineno == node.end_lineno:
        target, value = node.targets[0], node.value
        is_path = isinstance(value, ast.Name | ast.Attribute)
        if is_path and len(node.targets) == 1 and isinstance(target, ast.Name):
            found[node.lineno].keeps[ast.unparse(value)] = target.id
    elif isinstance(node, ast.AugAssign):
        found[node.lineno].acts = True
    elif isinstance(node, ast.Try | ast.TryStar):
        for handler in node.handlers:
            for line in _all_lines_of(handler.body):
                found[line].handles = True
        for line in _all_lines_of(node.finalbody):
            found[line].cleans = True
    elif isinstance(node, ast.Assert):
        for line in _all_lines_of([node]):
            found[line].asserts = True


def _all_lines_of(block: Sequence[ast.stmt]) -> Iterator[int]:
    for statement in block:
        yield from range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)


def _blocks(tree: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _guarded_by(
    statement: ast.If | ast.While | ast.Assert, following: Sequence[ast.stmt]
) -> set[int]:
    """The lines that are reached only by the condition of a statement, all of which was read."""
    inside = list(ast.walk(statement.test))
    if any(
        isinstance(node, ast.IfExp | ast.Or | ast.comprehension | ast.Lambda) for node in inside
    ):
        return set()
    if isinstance(statement, ast.While):
        lines = set(_lines_of(statement.body))
        # What follows a loop that nothing else ends is reached when its condition is false.
        if not any(isinstance(node, ast.Break) for node in ast.walk(statement)):
            lines.update(_lines_of(following))
        return lines
    if isinstance(statement, ast.Assert):
        return set(_lines_of(following))
    if any(isinstance(node, ast.And) for node in inside):
        return set(_lines_of(statement.body))
    lines = {*_lines_of(statement.body), *_lines_of(statement.orelse)}
    if isinstance(statement.body[-1], _EXITS):
        lines.update(_lines_of(following))
    return lines


def _lines_of(block: Sequence[ast.stmt]) -> Iterator[int]:
    """The first lines of statements, without those that an exception leads to, or of functions."""
    for statement in block:
        if isinstance(statement, _FUNCTIONS):
            continue
        yield statement.lineno
        for name in ("body", "orelse"):
            inner = getattr(statement, name, None)
            if isinstance(inner, list):
                yield from _lines_of(inner)
        for case in getattr(statement, "cases", ()):
            yield from _lines_of(case.body)
