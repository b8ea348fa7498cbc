"""Walks through the guide as a stranger does: copies each file, types each command, compares.

    $ PYTHONPATH=. python tools/walk.py [FOLDER]

Pages are read in the order of docs/guide/index.md, and all of them share one folder: a file that a
page shows replaces one of the same name. Blocks are as tools/page_examples.py has them. What is
typed is ``rm``, or ``pytest`` or ``python`` of a given Python, which has nothing but aldente and
pytest.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.forks import run_pytest

import code_blocks
import page_examples
from documentation import comparable

GUIDE = Path(__file__).parents[1] / "docs" / "guide"

_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^[\w-]+$", re.MULTILINE)


class Step(NamedTuple):
    """Something that a page asks its reader to do.

    Attributes:
        place: the page and line of the block.
        file: the name of the file to save; empty for a command.
        text: the file's text, or what the command must print.
        command: the words of the command; none for a file.
    """

    place: str
    file: str
    text: str
    command: tuple[str, ...] = ()


def pages(guide: Path = GUIDE) -> list[Path]:
    """The pages of the guide, in their order."""
    index = (guide / "index.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL)
    return [guide / f"{name}.md" for name in _ENTRY.findall(tree)]


def steps(page: Path) -> Iterator[Step]:
    """What a page asks its reader to do.

    Args:
        page: a page of the guide.
    """
    content = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(content):
        place = f"{page.name}:{content.count(chr(10), 0, block.start()) + 1}"
        text = block["text"]
        name = code_blocks.file_in(text)
        if block["language"] != "console":
            if name is not None:
                yield Step(place, name, text)
            continue
        typed, _, printed = text.partition("\n")
        command = tuple(shlex.split(typed.removeprefix("$ ")))
        if command[0] == "rm" or (command[0] in ("pytest", "python") and printed.strip()):
            yield Step(place, "", printed, command)


def walk(python: Path, folder: Path, guide: Path = GUIDE) -> Iterator[tuple[Step, list[str], str]]:
    """Do all steps of the guide in a folder.

    Args:
        python: the interpreter that has pytest and aldente.
        folder: the reader's folder, empty at first.
        guide: the folder of the guide.

    Yields:
        Each command's step, what it printed, and how that differs from the page; empty if it does
        not.
    """
    for page in pages(guide):
        for step in steps(page):
            if step.file:
                path = folder / step.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
            elif step.command[0] == "rm":
                for name in step.command[1:]:
                    (folder / name).unlink()
            else:
                printed = comparable(_typed(python, folder, step.command))
                yield step, printed, page_examples.difference(step.text, printed)


def _typed(python: Path, folder: Path, command: tuple[str, ...]) -> str:
    program, *arguments = command
    known = ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "PYTHONPATH", "PYTEST_ADDOPTS")
    inherited = {k: v for k, v in os.environ.items() if k not in known}
    # As many as the guide's first page asks for.
    environment = {**inherited, "COLUMNS": "150"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        if program == "pytest":
            run_pytest(
                arguments,
                environment=environment,
                folder=str(folder),
                stdout=output,
                stderr=output,
                python=str(python),
            )
        else:
            subprocess.run(
                [str(python), *arguments],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        output.seek(0)
        return output.read()


def main(arguments: list[str]) -> int:
    """Walk, and print what each command prints; return the number of differences."""
    differences = 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(arguments[0]) if arguments else Path(made)
        for step, printed, difference in walk(Path(sys.executable), folder):
            print(f"\n{step.place}: $ {shlex.join(step.command)}")
            print("\n".join(printed))
            differences += bool(difference)
            if difference:
                print(f"DIFFERS: {difference.partition('Printed:')[0]}")
    return differences


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
