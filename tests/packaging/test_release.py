"""What a release uploads: built as `release.yml` builds it, checked as the index checks it, and installed from there.

The source archive also has all that its own tests need.
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest

import aldente
from tests.packaging.processes import install, output_of

pytestmark = pytest.mark.packaging

_ROOT = Path(__file__).parents[2]

# As another project would have it.
_PROJECT = """
import asyncio
import aldente

def test_it_is_the_installed_one():
    assert aldente.__file__.startswith({folder!r})

async def test_async():
    await asyncio.sleep(0)

@aldente.explore(runs=5)
async def test_explored():
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what builds and checks a release, and with the backend of the build."""
    folder = tmp_path_factory.mktemp("tools")
    install(folder, "build>=1.2", "twine>=6", "hatchling>=1.26", "hatch-fancy-pypi-readme>=24.1")
    return folder


@pytest.fixture(scope="module")
def index(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local index: the folder with the source archive, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("index")
    # The backend is there already, so that no environment has to be made for it.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(_ROOT)]
    output_of(build, folder, PYTHONPATH=str(tools))
    return folder


@pytest.fixture(scope="module")
def unpacked(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked source archive."""
    folder = tmp_path_factory.mktemp("unpacked")
    (archive,) = index.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _sources_in(folder: Path) -> set[Path]:
    """The files of the project, without those that tools leave, whose names start with a dot."""
    found: set[Path] = set()
    for name, folders, files in os.walk(folder):
        # Not entered: an environment has a hundred thousand files.
        folders[:] = [each for each in folders if not each.startswith(".") and each != "build"]
        paths = [Path(name, each).relative_to(folder) for each in files if not each.startswith(".")]
        found.update(path for path in paths if path.suffix in (".md", ".py", ".toml", ""))
    return found


def test_there_is_an_archive_and_a_wheel(index: Path) -> None:
    """Both have the version in their names, and there is nothing else to upload."""
    name = f"aldente-{aldente.__version__}"
    assert sorted(os.listdir(index)) == [f"{name}-py3-none-any.whl", f"{name}.tar.gz"]


def test_the_index_takes_them(index: Path, tools: Path) -> None:
    """Their metadata is whole, and the README can be shown there."""
    files = [str(path) for path in index.iterdir()]
    check = [sys.executable, "-m", "twine", "check", "--strict", *files]
    said = output_of(check, index, PYTHONPATH=str(tools))
    assert said.count("PASSED") == 2


@pytest.mark.parametrize("of", ["wheel", "archive"])
def test_it_works_once_installed(index: Path, tools: Path, tmp_path: Path, of: str) -> None:
    """Installed from the index, as wheel or of the archive, it runs async and explored tests."""
    site, project = tmp_path / "site", tmp_path / "project"
    project.mkdir()
    kind = "--only-binary" if of == "wheel" else "--no-binary"
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    command += ["--no-index", "--find-links", str(index), "--no-deps", "--no-build-isolation"]
    command += [kind, "aldente", "--target", str(site), f"aldente=={aldente.__version__}"]
    output_of(command, tmp_path, PYTHONPATH=str(tools))
    text = _PROJECT.format(folder=str(site))
    (project / "test_outside.py").write_text(text, encoding="utf-8")
    pytest_run = [sys.executable, "-m", "pytest", "-p", "aldente", "--rootdir", str(project)]
    variables = {"PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert "3 passed" in output_of(pytest_run, project, **variables)


def test_the_archive_has_all_sources(unpacked: Path) -> None:
    """Tests, documentation, tools and the Makefile are in the archive as they are here."""
    missing = _sources_in(_ROOT) - _sources_in(unpacked)
    assert not missing


def test_tests_run_in_the_archive(unpacked: Path) -> None:
    """Tests that read the project's own files find them in the unpacked archive."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "aldente"]
    command += ["tests/packaging/test_structure.py"]
    variables = {"PYTHONPATH": str(unpacked / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert " passed" in output_of(command, unpacked, **variables)
