"""Writes the projects of docs/projects from the pages of docs/how-to, and says what is in them.

A page that has a folder of its name in docs/projects is a project: its code blocks that name a file
(tools/page_examples.py) are the files, and what its first ``$ pip install`` names are the
requirements.

    python tools/projects.py            writes all projects anew
    python tools/projects.py fastapi    begins a project, for docs/how-to/fastapi.md
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import code_blocks

_DOCS = Path(__file__).parents[1] / "docs"
PAGES = _DOCS / "how-to"
PROJECTS = _DOCS / "projects"

# What the page does not show as a file: it is what the page has the reader install.
REQUIREMENTS = "requirements.txt"

_LANGUAGES = "|".join(code_blocks.LANGUAGES)
_BLOCK = re.compile(rf"^```(?:{_LANGUAGES})\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
# What tools leave in a folder.
_LEFT = frozenset({"__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache", ".mypy_cache"})
_INSTALLED = re.compile(r"^\$ pip install (?P<packages>.+)$", re.MULTILINE)


def names() -> list[str]:
    """The projects that there are, each by the name of its page."""
    folders = [path.name for path in PROJECTS.iterdir() if path.is_dir()]
    return sorted(name for name in folders if _is_written(name))


def is_project(page: Path) -> bool:
    """Whether the files of a page are one project."""
    return page.parent == PAGES and (PROJECTS / page.stem).is_dir()


def packages_of(page: str) -> list[str]:
    """What a page has the reader install.

    >>> packages_of("```console\\n$ pip install aldente httpx\\n```\\n")
    ['aldente', 'httpx']
    """
    found = _INSTALLED.search(page)
    return [] if found is None else shlex.split(found["packages"])


def plugins_of(packages: Sequence[str]) -> list[str]:
    """The modules of plugins that come with some packages, which pytest finds by itself.

    With ``-p`` and the module nothing else is rewritten for its assertions; with ``-p django``, the
    plugin's name, all of Django is. A package that is not installed here has none: a page may show
    what is run elsewhere.
    """
    names = [name.partition("[")[0] for name in packages]
    found = [
        (names.index(point.dist.name), point.value)
        for point in metadata.entry_points(group="pytest11")
        if point.dist is not None and point.dist.name in names
    ]
    return [module for _, module in sorted(found)]


def files_of(page: str) -> dict[str, str]:
    """The files of the project that a page describes, by their names.

    Raises:
        ValueError: two blocks of the page are the same file, or it names no packages.
    """
    files: dict[str, str] = {}
    for block in _BLOCK.finditer(page):
        name = code_blocks.file_in(block["text"])
        if name in files:
            raise ValueError(f"{name} is there twice. Give the second one another name.")
        if name is not None:
            files[name] = block["text"]
    packages = packages_of(page)
    if not packages:
        raise ValueError("The page has no line '$ pip install ...'.")
    return {**files, REQUIREMENTS: "".join(f"{package}\n" for package in packages)}


def files_in(folder: Path) -> dict[str, str]:
    """The files of a project as they are, without what tools leave there."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    relative = {path.relative_to(folder): path for path in paths}
    return {
        name.as_posix(): path.read_text(encoding="utf-8")
        for name, path in relative.items()
        if all(map(_is_written, name.parts))
    }


def _is_written(name: str) -> bool:
    """Whether a name is none of those that tools leave."""
    return name not in _LEFT


def write(name: str) -> None:
    """Write a project from its page, in the place of what is there."""
    files = files_of((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    shutil.rmtree(PROJECTS / name, ignore_errors=True)
    for file, text in files.items():
        path = PROJECTS / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write the projects that are named, or all."""
    for name in arguments or names():
        write(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
