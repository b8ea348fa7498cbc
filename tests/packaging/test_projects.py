"""The projects of docs/projects are what the pages of docs/how-to show (tools/projects.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

import page_examples
import projects

_PAGE = """\
```console
$ pip install aldente "pytest-xdist[psutil]"
```

```python
# shop.py
PRICE = 3
```

```ini
# pytest.ini
[pytest]
```

```python
print("no file")
```

```console
$ pytest
...
```
"""


@pytest.mark.parametrize("name", projects.names())
def test_a_project_is_as_its_page(name: str) -> None:
    """Every file of the page is in the project and the same, and the project has no others.

    To write the projects anew: python tools/projects.py
    """
    page = (projects.PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert projects.files_in(projects.PROJECTS / name) == projects.files_of(page)


def test_a_page_that_names_its_project_has_one() -> None:
    """Each page that says where its files are has them there."""
    pages = {path.stem: path.read_text(encoding="utf-8") for path in projects.PAGES.glob("*.md")}
    named = [name for name, page in pages.items() if f"`docs/projects/{name}`" in page]
    assert sorted(named) == projects.names()
    assert named


def test_files_of_a_page() -> None:
    """The files are the blocks that name one; the requirements are what is installed."""
    assert projects.files_of(_PAGE) == {
        "shop.py": "# shop.py\nPRICE = 3\n",
        "pytest.ini": "# pytest.ini\n[pytest]\n",
        "requirements.txt": "aldente\npytest-xdist[psutil]\n",
    }
    assert "xdist.plugin" in projects.plugins_of(projects.packages_of(_PAGE))


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (_PAGE + "\n```python\n# shop.py\nPRICE = 4\n```\n", "shop.py is there twice"),
        (_PAGE.replace("pip install", "pip download"), "no line"),
    ],
)
def test_pages_that_are_no_project(page: str, message: str) -> None:
    """A page with two files of a name, or without packages, is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        projects.files_of(page)


def test_a_project_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is what the page has: nothing of the project before is left."""
    monkeypatch.setattr(projects, "PAGES", tmp_path / "how-to")
    monkeypatch.setattr(projects, "PROJECTS", tmp_path / "projects")
    folder = tmp_path / "projects" / "shop"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "old.py").touch()
    projects.PAGES.mkdir()
    page = projects.PAGES / "shop.md"
    page.write_text(_PAGE, encoding="utf-8")
    assert projects.is_project(page)
    assert not projects.is_project(projects.PAGES / "other.md")
    assert projects.files_in(folder) == {"old.py": ""}
    assert projects.main([]) == 0
    assert projects.files_in(folder) == projects.files_of(_PAGE)


def test_files_of_a_project_stay() -> None:
    """In a page that is a project the files of earlier examples are there, settings and tests too."""
    files = page_examples.Files(is_project=True)
    files.add("conftest.py", "import pytest\n@pytest.fixture\ndef price(): return 3\n")
    files.add("test_it.py", "def test_it(price): assert price == 3\n")
    assert page_examples.difference("...\n=== 1 passed in ...s ===", files.run("pytest")) == ""
    files.add("test_other.py", "def test_other(price): assert price == 3\n")
    assert page_examples.difference("...\n=== 2 passed in ...s ===", files.run("pytest")) == ""
