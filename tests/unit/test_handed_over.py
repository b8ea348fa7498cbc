"""Which line has passed a function on, in the test that is running."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from aldente._rules.coroutine_makers import place_of_handing_over

# No other module of the tests passes on a function with this name.
SOURCE = """
def test_one(loop):
    loop.call_soon(work_of_this_module)

def test_other(loop):
    loop.call_soon(work_of_this_module)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test module, and one with the same tests whose name ends in its name."""
    for name in ("test_it.py", "my_test_it.py"):
        path = tmp_path / name
        path.write_text(SOURCE)
        module = ModuleType(path.stem)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, path.stem, module)
    return tmp_path / "test_it.py"


@pytest.mark.parametrize(
    "test",
    [
        "test_it.py::test_one",
        "test_it.py::TestIt::test_one",
        "test_it.py::test_one[a::b@c]",
        # As pytest-xdist names it with --dist=loadgroup.
        "test_it.py::test_one@group",
        # Outside of pytest's root directory.
        "../{folder}/test_it.py::test_one",
    ],
)
def test_line_of_the_test(file: Path, test: str) -> None:
    """The line of the test counts, not those of other tests or of other files."""
    place = place_of_handing_over("work_of_this_module", test.format(folder=file.parent.name))
    assert place == (str(file), 3)


def test_no_test(file: Path) -> None:
    """Where the test is not known, no line is told of several."""
    assert place_of_handing_over("work_of_this_module", None) is None
