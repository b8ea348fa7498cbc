"""The source archive has all that its own tests need."""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest

from tests.packaging.processes import install, output_of

pytestmark = pytest.mark.packaging

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked archive, which is built from the sources."""
    folder = tmp_path_factory.mktemp("sdist")
    builder = folder / "builder"
    builder.mkdir()
    install(builder, "hatchling>=1.26", "hatch-fancy-pypi-readme>=24.1")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
    output_of([*build, "--directory", str(folder)], _ROOT, PYTHONPATH=str(builder))
    (archive,) = folder.glob("*.tar.gz")
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


def test_it_has_all_sources(unpacked: Path) -> None:
    """Tests, documentation, tools and the Makefile are in it as they are here."""
    missing = _sources_in(_ROOT) - _sources_in(unpacked)
    assert not missing


def test_tests_run_there(unpacked: Path) -> None:
    """Tests that read the project's own files find them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/packaging/test_structure.py",
    ]
    assert " passed" in output_of(command, unpacked, PYTHONPATH=str(unpacked / "src"))
