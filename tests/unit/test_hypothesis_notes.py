"""What is shown of Hypothesis's explanations."""

from __future__ import annotations

import pytest

from aldente._plugin.explore.hypothesis import forget_own_lines, without_own_lines
from aldente._source import _OWN_FOLDER

_EXAMPLE = ["Failing test case: test_it(", "    count=3,", ")"]
_EXPLANATION = ["Explanation:", "    These lines were always and only run by failing test cases:"]
_OWN = f"        {_OWN_FOLDER}_explore/exploring.py:1"
_USERS = "        /home/me/shop.py:12"
_REPRODUCE = [
    "",
    "You can reproduce this test case by temporarily adding @reproduce_failure('6', b'A')",
]
_MORE = "        (and 2 more with settings.verbosity >= verbose)"


@pytest.mark.parametrize(
    ("places", "left"),
    [
        ([_OWN, _MORE], []),
        ([_USERS, _OWN, _MORE], [*_EXPLANATION, _USERS]),
        ([_USERS, _MORE], [*_EXPLANATION, _USERS, _MORE]),
    ],
)
def test_lines_of_aldente_explain_nothing(places: list[str], left: list[str]) -> None:
    """They are left out, and the explanation with them when there are no others."""
    for after in ([], _REPRODUCE):
        for notes in (
            [*_EXAMPLE, *_EXPLANATION, *places, *after],
            ["\n".join(_EXAMPLE), "\n".join([*_EXPLANATION, *places, *after])],
        ):
            assert without_own_lines(notes) == [*_EXAMPLE, *left, *after]


def test_notes_that_are_no_text() -> None:
    """They are told as Python tells them."""
    error = ValueError("broken")
    error.__notes__ = [7, "eight"]  # type: ignore[list-item]
    forget_own_lines(error)
    assert error.__notes__ == ["7", "eight"]
