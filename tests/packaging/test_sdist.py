"""The source archive has all that its own tests need."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

_ROOT = Path(__file__).parents[2]


def _output_of(folder: Path, *arguments: str, path: Path | None = None) -> str:
    """What a Python process prints, which must succeed.

    Args:
        folder: where it runs.
        arguments: those of Python.
        path: a folder with packages that it may import.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "COV_", "PYTEST", "PYTHONPATH"))
    }
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked archive, which is built from the sources."""
    folder = tmp_path_factory.mktemp("sdist")
    builder = folder / "builder"
    install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    _output_of(folder, *install, "--target", str(builder), "hatchling>=1.26")
    build = ["-m", "hatchling", "build", "--target", "sdist", "--directory", str(folder)]
    _output_of(_ROOT, *build, path=builder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _sources_in(folder: Path) -> set[Path]:
    """The files of the project, without those that tools leave, whose names start with a dot."""
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix in (".md", ".py", ".toml", "")
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and "build" not in path.relative_to(folder).parts
    }


def test_it_has_all_sources(unpacked: Path) -> None:
    """Tests, documentation, tools and the Makefile are in it as they are here."""
    missing = _sources_in(_ROOT) - _sources_in(unpacked)
    assert not missing


def test_tests_run_there(unpacked: Path) -> None:
    """Tests that read the project's own files find them."""
    arguments = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/packaging/test_structure.py",
    ]
    assert " passed" in _output_of(unpacked, *arguments, path=unpacked / "src")
