"""The index of messages in the documentation is complete, and says nothing that aldente does not print."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aldente.errors
from aldente._settings import DEFAULT_LEVELS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "aldente"
PAGE = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]
# What stands between backticks, in rows and in the text.
QUOTED = re.findall(r"`([^`]+)`", PAGE)


def _text(node: ast.expr) -> str | None:
    """A string as it stands in the source, with three dots for what is formatted into it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values
        )
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _nodes() -> Iterator[ast.AST]:
    for path in SOURCE.rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


# Not while the tests are collected: that is done by each process that runs a part of them.
@pytest.fixture(scope="module")
def nodes() -> list[ast.AST]:
    """The syntax of the whole source."""
    return list(_nodes())


@pytest.fixture(scope="module")
def texts(nodes: list[ast.AST]) -> list[str]:
    """All strings of the source."""
    return [
        " ".join(text.split())
        for node in nodes
        if isinstance(node, ast.expr) and (text := _text(node)) is not None
    ]


@pytest.fixture(scope="module")
def refusals(nodes: list[ast.AST]) -> list[str]:
    """The first line of what ends a run or fails a test, where it stands in the call."""
    found = {
        text.partition("\n")[0]
        for node in nodes
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("pytest.UsageError", "pytest.fail")
        and (text := _text(node.args[0])) is not None
    }
    return sorted(found)


def _parts(message: str) -> list[str]:
    return [part for part in re.split(r"\.\.\.", message) if re.search(r"\w{3}", part)]


def _fits(message: str, text: str) -> bool:
    """Whether a text has all parts of a message, in their order."""
    return re.search(".*".join(map(re.escape, _parts(message))), text) is not None


def test_rules_are_in_the_index() -> None:
    """The table of findings has each rule, with a message and the link to its page."""
    linked = {
        rule
        for row in ROWS
        for rule in re.findall(r"\[([\w-]+)\]\(rules/\1\.md\)", row)
        if row.startswith("| `")
    }
    assert linked == set(DEFAULT_LEVELS)


def test_errors_are_in_the_index() -> None:
    """Each public error has a row that begins with its name; their base has none."""
    names = {
        name
        for row in ROWS
        for name in re.findall(r"`([A-Z]\w+)`", row.split("|")[1])
        if not hasattr(builtins, name)
    }
    expected = set(aldente.errors.__all__) - {"AldenteError", "InvalidSetting"}
    assert names == expected
    assert "`InvalidSetting`" in PAGE


def test_refusals_are_in_the_index(refusals: list[str]) -> None:
    """What ends a run, or fails a test before it has begun, is found by its words."""
    messages = [message for message in QUOTED if len(message) > 12]
    missing = [text for text in refusals if not any(_fits(each, text) for each in messages)]
    assert missing == []


def test_refusals_are_collected(refusals: list[str]) -> None:
    """The search of the source finds what it is to find."""
    assert len(refusals) > 10
    assert "--aldente-baseline: ... is not the path of a file." in refusals


def _messages() -> list[str]:
    """All that the tables quote as printed: it has a space, and is no setting, example or command."""
    return [
        message
        for row in ROWS
        for message in re.findall(r"`([^`]+)`", row)
        if " " in message and not message.startswith(("async ", "@", "pytest "))
    ]


@pytest.mark.parametrize("message", _messages())
def test_what_the_index_quotes_is_printed(texts: list[str], message: str) -> None:
    """Each message of the index is put together of texts in the source."""
    assert _parts(message) != []
    missing = [part for part in _parts(message) if not any(part.strip() in text for text in texts)]
    assert missing == []
