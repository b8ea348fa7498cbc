"""aldente's own modules are imported past the hook with which pytest rewrites assertions."""

from __future__ import annotations

import sys

from aldente._plugin import own_imports
from tests.plugin.conftest import RunProject


def test_own_modules_are_not_rewritten(run_project: RunProject) -> None:
    """Those of the test suite are, and other finders find what is none of aldente's."""
    result = run_project(
        subprocess=True,
        test_it="""
import sys
import aldente._plugin.items
import fractions

async def test_it():
    import aldente._loops.runner
    for name in ("aldente._plugin.items", "aldente._loops.runner"):
        assert type(sys.modules[name].__loader__).__name__ == "SourceFileLoader"
    assert type(sys.modules[__name__].__loader__).__name__ == "AssertionRewritingHook"
    assert fractions.__file__
""",
    )
    result.assert_outcomes(passed=1)


def test_it_finds_nothing_else() -> None:
    """What has a name that only begins like aldente's is somebody else's."""
    assert own_imports.OwnModules.find_spec("aldente_more") is None
    assert own_imports.OwnModules.find_spec("json") is None


def test_once_is_enough() -> None:
    """A plugin that is loaded again adds no second finder."""
    own_imports.find_first()
    assert sys.meta_path.count(own_imports.OwnModules) == 1
