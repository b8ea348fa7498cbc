"""How the guide is walked through (tools/walk.py); test_wheel.py does it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import walk

_INDEX = """
```{toctree}
:maxdepth: 1

second
first
```
"""

_SECOND = """
```python
# shown.py
print("it is shown")
```

```python
print("no file")
```

```console
$ pip install what-is-there
```

```console
$ python shown.py
it is shown
```
"""

_FIRST = """
```ini
# pytest.ini
[pytest]
```

```console
$ python shown.py
it was shown
```

```console
$ rm shown.py
```

```console
$ python shown.py
...
```
"""


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    """A guide of two pages, one of which tells something wrong."""
    folder = tmp_path / "guide"
    folder.mkdir()
    for name, text in {"index": _INDEX, "first": _FIRST, "second": _SECOND}.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_pages_in_their_order(guide: Path) -> None:
    """The order is that of the index."""
    assert [page.name for page in walk.pages(guide)] == ["second.md", "first.md"]


def test_what_a_page_asks_for(guide: Path) -> None:
    """Blocks with the name of a file are saved; commands are those with output, and ``rm``."""
    assert [
        (step.place, step.file or step.command) for step in walk.steps(guide / "second.md")
    ] == [
        ("second.md:2", "shown.py"),
        ("second.md:15", ("python", "shown.py")),
    ]


def test_a_walk(guide: Path, tmp_path: Path) -> None:
    """All pages share a folder; a difference names what was expected and what was printed."""
    folder = tmp_path / "reader"
    folder.mkdir()
    right, wrong, gone = walk.walk(Path(sys.executable), folder, guide)
    assert right[1:] == (["it is shown"], "")
    assert wrong[0].place == "first.md:7"
    assert wrong[2].split("\n") == ["Expected:", "it was shown", "", "Printed:", "it is shown"]
    assert "No such file" in gone[1][-1]
    assert [path.name for path in folder.iterdir()] == ["pytest.ini"]
