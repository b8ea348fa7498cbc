"""What the README shows first is what a reader gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

README = Path(__file__).parents[2] / "README.md"


def test_the_first_example_runs(run_project: RunProject) -> None:
    """The example in the README's first screen passes with nothing configured."""
    if not README.exists():
        pytest.skip("the README is not part of this installation")
    example = README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    run_project(test_it=example).assert_outcomes(passed=1)
