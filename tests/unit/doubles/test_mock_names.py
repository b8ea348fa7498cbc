"""The private names of `unittest.mock` on which doubles rely, on the Python that runs this."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aldente

DOUBLES = Path(aldente.__file__).parent / "_doubles"

# What mocks, patches and the module name so begins so; aldente's own names do not.
PRIVATE = re.compile(
    r"_(mock|spec|active_patches|call_matcher|extract|get_child|increment|Call)\w*$"
    r"|_(async_method_magics|all_sync_magics|patch|patch_dict)$"
)
# The names of aldente's that look like one.
OWN = {"_spec_as_instance"}


def names_in(path: Path) -> Iterator[str]:
    """The private names of mocks that a module uses, as attributes or in a string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        elif isinstance(node, ast.FunctionDef):
            name = node.name
        else:
            continue
        if PRIVATE.match(name) and name not in OWN:
            yield name


NAMES = sorted({name for path in DOUBLES.glob("*.py") for name in names_in(path)})


async def fetch(key: str) -> None:
    """What is stood in for."""


def places() -> list[Any]:
    """Where private names are looked for: the module, its mocks and its patches."""
    return [
        mock,
        mock.AsyncMock(fetch),
        mock.MagicMock(),
        mock.patch(f"{__name__}.fetch"),
        mock.patch.dict({}),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_running_python_has_it(name: str) -> None:
    """A private name that doubles use is there, as an attribute or in an object's dictionary."""
    for place in places():
        kind = type(place)
        if name in vars(place) or any(name in vars(base) for base in kind.__mro__):
            return
    pytest.fail(f"unittest.mock has no {name}; aldente/_doubles uses it")


def test_the_record_of_a_mock_is_in_its_dictionary() -> None:
    """What doubles write past the properties of mocks is what these properties read."""
    double = aldente.Double(fetch)
    known = vars(double)
    assert {
        "_mock_call_args",
        "_mock_await_count",
        "_mock_await_args",
        "_mock_await_args_list",
    } <= (set(known))
    known["_mock_await_count"] = 3
    known["_mock_await_args"] = known["_mock_call_args"] = mock.call("a")
    assert double.await_count == 3
    assert double.await_args == double.call_args == mock.call("a")


def test_a_patch_has_what_is_used_of_it() -> None:
    """The attributes of a patch that have no underline, but are not documented either, are there."""
    patcher = mock.patch(f"{__name__}.fetch")
    used = "getter attribute attribute_name new spec create spec_set autospec new_callable kwargs"
    missing = [name for name in f"{used} additional_patchers".split() if not hasattr(patcher, name)]
    assert missing == []
    assert not hasattr(patcher, "is_local")
    with patcher:
        assert hasattr(patcher, "is_local")
    assert not hasattr(patcher, "is_local")
    assert patcher.get_original()[0] is fetch
    assert callable(getattr(patcher, "decoration_helper", None))
    assert mock.patch.dict({"a": 1}).in_dict == {"a": 1}
