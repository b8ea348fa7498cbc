"""What the README shows first is what a reader gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_examples_run(run_project: RunProject, number: int) -> None:
    """The examples of tests in the README pass with nothing configured."""
    if not README.exists():
        pytest.skip("the README is not part of this installation")
    example = README.read_text(encoding="utf-8").split("```python\n")[number].split("```")[0]
    run_project(test_it=example).assert_outcomes(passed=1)
