"""What users install works as they have it: from the wheel, outside this project, with no configuration."""

from __future__ import annotations

import email.message
import email.parser
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

import aldente
import walk
from tests.packaging.processes import output_of, run

pytestmark = pytest.mark.packaging

_ROOT = Path(__file__).parents[2]

_CONFTEST = """
import asyncio
import pytest

@pytest.fixture(scope="session")
async def queue():
    queue = asyncio.Queue()
    await queue.put("served")
    yield queue
    assert queue.empty()
"""

_TESTS = """
import asyncio

async def test_async_fixture_and_test_share_a_loop(queue):
    assert await asyncio.wait_for(queue.get(), 5) == "served"

def test_sync():
    pass

async def test_failing():
    await asyncio.sleep(0)
    assert 1 + 1 == 3
"""

# The names of the packages that pytest brings along, pytest included.
_CLOSURE = """
import importlib.metadata, json
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

found, waiting = set(), ["pytest"]
while waiting:
    name = canonicalize_name(waiting.pop())
    if name not in found:
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
installed = {canonicalize_name(d.name) for d in importlib.metadata.distributions()}
print(json.dumps({"pytest": sorted(found), "installed": sorted(installed)}))
"""


def _pip(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    output_of(_pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(_ROOT)), folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    """What the wheel says about itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode("utf-8"))


@pytest.fixture(scope="module")
def outside_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment in which nothing but the wheel has been installed."""
    environment = tmp_path_factory.mktemp("environment")
    # The pip that is here installs there as one of its own would.
    output_of([sys.executable, "-m", "venv", "--without-pip", str(environment)], environment)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    output_of(_pip("--python", str(python), "install", str(wheel)), environment)
    return python


def test_wheel_holds_what_it_must(wheel: Path) -> None:
    """The wheel has the type marker and the licence, and no tests or examples."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "aldente/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names} == {
        "aldente",
        f"aldente-{aldente.__version__}.dist-info",
    }


def test_wheel_requires_only_pytest(metadata: email.message.Message) -> None:
    """pytest is the only requirement; all others belong to an extra that users choose."""
    requirements = metadata.get_all("Requires-Dist", [])
    unconditional = [text for text in requirements if "extra ==" not in text]
    assert len(unconditional) == 1
    assert unconditional[0].startswith("pytest>=")
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Version"] == aldente.__version__


def test_the_description_leads_nowhere_else(metadata: email.message.Message) -> None:
    """Where the package is shown, no link leads to a file that is not there."""
    description = str(metadata.get_payload())
    assert "one predictable loop" in description
    assert [link for link in re.findall(r"\]\((.*?)\)", description) if "://" not in link] == []


def test_plugin_is_registered_under_its_name(wheel: Path) -> None:
    """pytest finds the plugin as ``aldente``, the name to block it by: ``-p no:aldente``."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/entry_points.txt"))
        lines = archive.read(name).decode("utf-8").split("\n")
    assert [line.strip() for line in lines if line.strip()] == [
        "[pytest11]",
        "aldente = aldente._plugin",
    ]


def test_installing_brings_nothing_but_pytest(outside_python: Path, tmp_path: Path) -> None:
    """``pip install aldente`` adds aldente, pytest and what pytest itself needs."""
    found = json.loads(output_of([str(outside_python), "-I", "-c", _CLOSURE], tmp_path))
    assert set(found["installed"]) == {"aldente", *found["pytest"]}


def test_outside_project_runs_unconfigured(outside_python: Path, tmp_path: Path) -> None:
    """Async tests and fixtures of a project without any configuration run, pass and fail."""
    (tmp_path / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (tmp_path / "test_outside.py").write_text(_TESTS, encoding="utf-8")
    finished = run([str(outside_python), "-m", "pytest", "--rootdir", str(tmp_path)], tmp_path)
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED, finished.stdout
    assert "1 failed, 2 passed" in finished.stdout
    assert "assert (1 + 1) == 3" in finished.stdout
    assert "warning" not in finished.stdout.lower()


def test_a_stranger_walks_through_the_guide(outside_python: Path, tmp_path: Path) -> None:
    """Copying each file and typing each command of the guide, in its order, gives what it shows."""
    done = list(walk.walk(outside_python, tmp_path))
    assert len(done) > 20
    assert {step.place.partition(":")[0] for step, _, _ in done} == {
        page.name for page in walk.pages()
    }
    assert [(step.place, difference) for step, _, difference in done if difference] == []
