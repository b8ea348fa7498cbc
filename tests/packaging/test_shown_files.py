"""Files for other tools that the documentation shows, and the options that it names, are right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from aldente._plugin.option_table import OPTIONS

ROOT = Path(__file__).parents[2]
PROJECTS = ROOT / "docs" / "projects"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
WORKFLOWS = sorted((PROJECTS / "continuous-integration" / ".github" / "workflows").glob("*.yml"))
FLAGS = {option.flag for option in OPTIONS if option.flag is not None}
KEYS = {option.key for option in OPTIONS if option.key is not None}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_exist(page: Path) -> None:
    """Each option of aldente that a page names is one."""
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--(?:aldente|asyncio)-[a-z-]*[a-z]", text)) - FLAGS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_keys_exist(page: Path) -> None:
    """Each key of aldente that a page sets is one."""
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"\b(aldente_\w+|asyncio_\w+) = ", text)) - KEYS == set()


def _parsed(path: Path) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_workflows_are_there() -> None:
    """The pages have workflows for the day and for the night."""
    assert [path.stem for path in WORKFLOWS] == ["night", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows(path: Path) -> None:
    """A workflow's steps have what the service asks for, in the versions that aldente's own use."""
    own = "".join(
        each.read_text(encoding="utf-8") for each in (ROOT / ".github" / "workflows").glob("*.yml")
    )
    content = _parsed(path)
    # YAML 1.1 takes "on" for true.
    assert {"name", True, "permissions", "jobs"} <= set(content)
    steps = [step for job in content["jobs"].values() for step in job["steps"]]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    used = {step["uses"] for step in steps if "uses" in step}
    assert {action for action in used if action.startswith("actions/")} <= set(
        re.findall(r"uses: (\S+)", own)
    )
    assert any("pytest" in step.get("run", "") for step in steps)


def test_gitlab() -> None:
    """Each job of the file for GitLab has a script, and keeps the page that this writes."""
    content = _parsed(PROJECTS / "continuous-integration" / ".gitlab-ci.yml")
    jobs = {name: job for name, job in content.items() if isinstance(job, dict)}
    assert set(jobs) == {"tests", "night"}
    for job in jobs.values():
        [command] = job["script"]
        assert command.startswith("pytest ")
        for path in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
            assert f"={path}" in command


@pytest.mark.parametrize("name", ["settings", "launch"])
def test_editor(name: str) -> None:
    """The files for the editor are JSON behind their first line, which names them."""
    path = PROJECTS / "editors" / ".vscode" / f"{name}.json"
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    assert first == f"// .vscode/{name}.json"
    assert json.loads(rest)
