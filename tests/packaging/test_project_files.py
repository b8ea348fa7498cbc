"""The files about the project say what is so: its workflows, forms and metadata name what there is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aldente import _checked_pythons

# Installed on the newest Python alone, where all tests run: these files are the same on all.
yaml = pytest.importorskip("yaml")

_ROOT = Path(__file__).parents[2]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_MAKEFILE = (_ROOT / "Makefile").read_text(encoding="utf-8")
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))
_FORMS = sorted((_ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
_FILES = [
    *_WORKFLOWS,
    *_FORMS,
    _ROOT / ".github" / "dependabot.yml",
    _ROOT / ".pre-commit-config.yaml",
]


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in _WORKFLOWS:
        for name, job in _read(path)["jobs"].items():
            yield f"{path.stem} {name}", job


def _commands() -> list[str]:
    return [step["run"] for _, job in _jobs() for step in job.get("steps", ()) if "run" in step]


def _actions() -> list[str]:
    steps = [step["uses"] for _, job in _jobs() for step in job.get("steps", ()) if "uses" in step]
    return [*steps, *(job["uses"] for _, job in _jobs() if "uses" in job)]


def _name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", _FILES, ids=_name)
def test_it_can_be_read(path: Path) -> None:
    """Each is YAML, and has something in it."""
    assert _read(path)


def test_the_pythons_are_the_same_everywhere() -> None:
    """The workflow tests those that the classifiers name, up to the newest that is checked."""
    classified = [
        found[1]
        for each in _PROJECT["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))
    ]
    matrix = dict(_jobs())["tests linux"]["strategy"]["matrix"]["python"]
    newest = ".".join(map(str, _checked_pythons.NEWEST_CHECKED))
    assert matrix == classified
    assert classified[-1] == newest
    assert _PROJECT["requires-python"] == f">={classified[0]}"
    others = dict(_jobs())["tests others"]["strategy"]["matrix"]["python"]
    assert others == [classified[0], newest]
    for _, job in _jobs():
        for step in job.get("steps", ()):
            version = step.get("with", {}).get("python-version", newest)
            assert version in (newest, "${{ matrix.python }}")


def test_the_targets_of_make_are_there() -> None:
    """Each target of make that a workflow names is one, and has a line in "make help"."""
    named = [found for text in _commands() for found in re.findall(r"\bmake ([\w.-]+)", text)]
    assert {"docs", "lint", "test-browser"} <= set(named)
    for target in named:
        rule = re.escape(target)
        # As "whole-" before the version of the matrix.
        rule = rf"\$\(VERSIONS:%={rule}%\): {rule}%" if target.endswith("-") else rule
        assert re.search(rf"^{rule}:", _MAKEFILE, re.MULTILINE), target


def test_the_paths_are_there() -> None:
    """Each path in a command, and each workflow that another one uses, is one of the project."""
    texts = [*_commands(), *_actions(), *(path.read_text(encoding="utf-8") for path in _FORMS)]
    pattern = (
        r"(?<![\w/.])(?:\./)?((?:tests|src|docs|tools|benchmarks|examples|\.github)/[\w./-]*\w)"
    )
    named = {found for text in texts for found in re.findall(pattern, text)}
    assert {"tests/unit", "tests/plugin", ".github/workflows/tests.yml"} <= named
    assert [path for path in named if not (_ROOT / path).exists()] == []


def test_actions_are_pinned() -> None:
    """Each action of others is named with its major version."""
    others = [each for each in _actions() if not each.startswith("./")]
    assert others
    assert [
        each for each in others if not re.fullmatch(r"[\w/-]+@(?:v\d+|release/v\d+)", each)
    ] == []


def test_rights_of_workflows() -> None:
    """A workflow may read the sources alone; only the job that publishes gets an identity."""
    for path in _WORKFLOWS:
        assert _read(path)["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in _jobs() if "permissions" in job} == {
        "release publish": {"id-token": "write"}
    }
    assert set(dict(_jobs())["release publish"]["needs"]) == {"tests", "build"}


@pytest.mark.parametrize("path", _FORMS, ids=_name)
def test_forms_ask_for_what_is_needed(path: Path) -> None:
    """Each form asks for the versions, and has a place for a token and a story; ids are unique."""
    fields = [each for each in _read(path)["body"] if each["type"] != "markdown"]
    ids = [each["id"] for each in fields]
    assert len(set(ids)) == len(ids)
    required = {each["id"] for each in fields if each.get("validations", {}).get("required")}
    assert "versions" in required
    text = path.read_text(encoding="utf-8").lower()
    assert "token" in text
    assert "story" in text


def test_hooks_are_what_lint_does() -> None:
    """Each hook before a commit is a command of "make lint"."""
    (local,) = _read(_ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    commands = [hook["entry"].removeprefix(".venv/3.15/bin/").split()[0] for hook in local["hooks"]]
    assert commands == ["ruff", "ruff", "mypy"]
    for command in commands:
        assert f"$(TOOLS)/{command}" in _MAKEFILE


def test_what_the_metadata_promises() -> None:
    """The classifiers say that it is typed, as its marker does; the files that it names are there."""
    assert "Typing :: Typed" in _PROJECT["classifiers"]
    assert (_ROOT / "src" / "aldente" / "py.typed").is_file()
    assert "readme" in _PROJECT["dynamic"]
    assert all((_ROOT / each).is_file() for each in _PROJECT["license-files"])
