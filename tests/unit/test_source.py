"""Which files are the user's."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from aldente import _source


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which packages are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    paths = {
        "stdlib": str(Path(asyncio.__file__).parents[1]),
        "scripts": str(tmp_path / "bin"),
    }
    monkeypatch.setattr(sysconfig, "get_path", lambda name: paths.get(name, str(folder)))
    _source._folders_of_others.cache_clear()
    _source.is_users.cache_clear()
    yield folder
    monkeypatch.undo()
    _source._folders_of_others.cache_clear()
    _source.is_users.cache_clear()


def _file(folder: Path, name: str = "module.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.touch()
    return path


def test_what_is_the_users(packages: Path, tmp_path: Path) -> None:
    """All but Python, installed packages and aldente; what has no path is nobody's."""
    assert _source.is_users(str(_file(tmp_path / "project")))
    assert not _source.is_users(str(_file(packages / "library")))
    assert not _source.is_users(asyncio.__file__)
    assert not _source.is_users(_source.__file__)
    assert not _source.is_users("module.py")


def test_an_installed_command(packages: Path, tmp_path: Path) -> None:
    """The command ``pytest`` has called what it runs, but it is not where a mistake was made."""
    assert not _source.is_users(str(_file(tmp_path / "bin", "pytest")))


def test_a_package_whose_files_are_linked(packages: Path, tmp_path: Path) -> None:
    """An installer that links files to its cache has installed them all the same."""
    kept = _file(tmp_path / "cache" / "library")
    linked = packages / "library" / "module.py"
    linked.parent.mkdir()
    linked.symlink_to(kept)
    assert not _source.is_users(str(linked))
    assert _source.is_users(str(kept))


def test_a_package_that_is_linked(packages: Path, tmp_path: Path) -> None:
    """A package that its developer has linked to where it is installed is the developer's."""
    _file(tmp_path / "project" / "package")
    (packages / "package").symlink_to(tmp_path / "project" / "package")
    assert _source.is_users(str(packages / "package" / "module.py"))


def test_packages_behind_a_link(packages: Path, tmp_path: Path) -> None:
    """The folder of packages may be reached by another path."""
    (tmp_path / "other").symlink_to(packages)
    _file(packages / "library")
    assert not _source.is_users(str(tmp_path / "other" / "library" / "module.py"))
