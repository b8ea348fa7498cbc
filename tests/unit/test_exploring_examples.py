"""What is shown of Hypothesis's explanations."""

from __future__ import annotations

from aldente._places import _OWN_FOLDER
from aldente._plugin.exploring.examples import without_own_lines

_EXPLANATION = "Explanation:\n    These lines were always and only run by failing test cases:"


def test_lines_of_aldente_explain_nothing() -> None:
    """They are left out, and the explanation with them when there are no others."""
    own = f"        {_OWN_FOLDER}_explore/exploring.py:1"
    others = "        /home/me/shop.py:12"
    more = "        (and 2 more with settings.verbosity >= verbose)"
    notes = [
        "Failing test case: test_it(count=3)",
        "\n".join([_EXPLANATION, own, more]),
        "\n".join(["Failing test case: test_it(count=3)", _EXPLANATION, own, more]),
        "\n".join([_EXPLANATION, others, own, more]),
        "\n".join([_EXPLANATION, others, more]),
    ]
    assert list(without_own_lines(notes)) == [
        notes[0],
        notes[0],
        "\n".join([_EXPLANATION, others]),
        notes[4],
    ]
