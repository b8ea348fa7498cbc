"""The examples of the documentation: how they are read, run and compared (tools/page_examples.py)."""

from __future__ import annotations

import pytest

import code_blocks
import page_examples


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("1 passed", ["1 passed"]),
        ("...\n1 passed", ["first", "second", "1 passed"]),
        ("...\n1 passed", ["1 passed"]),
        ("first\n\n...\nlast\n", ["first", "between", "last"]),
        ("=== 1 passed in ...s ===", ["=== 1 passed in 0.02s ==="]),
        ("E  a line...", ["E  a line that goes on", "in another one"]),
    ],
)
def test_what_is_as_expected(expected: str, printed: list[str]) -> None:
    """Dots stand for what may differ."""
    assert page_examples.difference(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("1 passed", ["2 passed"]),
        ("1 passed", ["first", "1 passed"]),
        ("1 passed", ["1 passed", "last"]),
        ("...\n1 passed", ["1 passed", "last"]),
        ("1 ... passed", ["1 of 2", "passed"]),
        (".", ["x"]),
    ],
)
def test_what_differs(expected: str, printed: list[str]) -> None:
    """All other text is as it stands, from the first line to the last."""
    assert page_examples.difference(expected, printed).splitlines()[0] == "Expected:"


def test_files_of_an_example() -> None:
    """Files are those that the block names; the next example has only the page's own modules."""
    assert code_blocks.file_in("# test_it.py\nimport asyncio\n") == "test_it.py"
    assert code_blocks.file_in("# pytest.ini\n[pytest]\n") == "pytest.ini"
    assert code_blocks.file_in("# a comment\nimport asyncio\n") is None
    assert page_examples.is_executed("shop.py", "PRICE = 3\n")
    assert not page_examples.is_executed("conftest.py", "")
    assert not page_examples.is_executed("script.py", 'if __name__ == "__main__":\n')
    files = page_examples.Files()
    assert not files.are_there
    files.add("shop.py", "PRICE = 3\n")
    files.add("test_it.py", "import shop\ndef test_it(): assert shop.PRICE == 3\n")
    assert page_examples.difference("...\n=== 1 passed in ...s ===", files.run("pytest")) == ""
    files.add("test_other.py", "import shop\ndef test_other(): assert shop.PRICE == 4\n")
    printed = files.run("pytest -q")
    assert page_examples.difference("...\n1 failed in ...s", printed) == ""
    files.add("shop.py", "PRICE = 4\n")
    assert page_examples.difference("...\n1 passed in ...s", files.run("pytest -q")) == ""
    with pytest.raises(ValueError, match="Only pytest, python and cat are run, not 'rm -r /'"):
        files.run("rm -r /")


def test_a_folder_of_an_example() -> None:
    """The commands of an example share a folder, so that one can show what another has written."""
    files = page_examples.Files()
    files.add("test_it.py", "def test_it(): open('said', 'a').write('one\\n\\n')\n")
    files.run("pytest")
    files.run("pytest")
    assert files.run("cat said") == ["one", "one"]
    files.add("test_it.py", "def test_it(): ...\n")
    with pytest.raises(FileNotFoundError):
        files.run("cat said")
