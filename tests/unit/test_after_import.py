"""A function is called right after a library is imported, and nothing of it is left to be seen."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aldente._imports import AfterImport


def test_after_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is called once, when all of the library is there; other imports do not."""
    (tmp_path / "a_library.py").write_text("VALUE = 1\n")
    (tmp_path / "another_one.py").write_text("VALUE = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[int] = []
    finders = [*sys.meta_path]
    names = ("a_library", "a_missing_one")
    with AfterImport(names, lambda: seen.append(sys.modules["a_library"].VALUE)).installed():
        import another_one  # type: ignore[import-not-found]

        assert seen == []
        import a_library  # type: ignore[import-not-found]

        assert seen == [1]
        with pytest.raises(ModuleNotFoundError):
            import a_missing_one  # type: ignore[import-not-found]  # noqa: F401
    assert sys.meta_path == finders
    assert "exec_module" not in vars(a_library.__spec__.loader)
    assert another_one.VALUE == 2
    for name in ("a_library", "another_one"):
        monkeypatch.delitem(sys.modules, name)


def test_library_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a library goes to its importer, and the function is not called."""
    (tmp_path / "a_failing_library.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[int] = []
    watch = AfterImport(["a_failing_library"], lambda: seen.append(1))
    with watch.installed(), pytest.raises(ZeroDivisionError):
        import a_failing_library  # type: ignore[import-not-found]  # noqa: F401
    assert seen == []


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a library that can be imported."""
    (tmp_path / "a_library.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    # Has it removed after the test.
    monkeypatch.setitem(sys.modules, "a_library", ModuleType("a_library"))
    del sys.modules["a_library"]
    return "a_library"


def test_one_inside_another(library: str) -> None:
    """Each of two runs of pytest, one inside the other, learns of the import."""
    seen: list[str] = []
    outer = AfterImport([library], lambda: seen.append("outer"))
    inner = AfterImport([library], lambda: seen.append("inner"))
    with outer.installed(), inner.installed():
        module = importlib.import_module(library)
    assert seen == ["outer", "inner"]
    assert module.__spec__ is not None
    assert "exec_module" not in vars(module.__spec__.loader)


class OldFinder:
    """A finder such as that of older versions of six."""

    def find_module(self, name: str, path: object = None) -> None:
        pass


@pytest.mark.filterwarnings("ignore::ImportWarning")
def test_finder_without_find_spec(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finder of the kind before Python 3.4 does not break the import."""
    with monkeypatch.context() as patches:
        patches.setattr(sys, "meta_path", [OldFinder(), *sys.meta_path])
        with AfterImport([library], lambda: None).installed():
            assert importlib.import_module(library).VALUE == 1


class ClassAsLoader:
    """A loader that is no object of a class, as those of built-in modules."""

    @classmethod
    def create_module(cls, spec: ModuleSpec) -> None:
        pass

    @classmethod
    def exec_module(cls, module: Any) -> None:
        module.VALUE = 1


class LoaderWithOwnFunction:
    """A loader whose function is an attribute of the object."""

    def __init__(self) -> None:
        self.exec_module = ClassAsLoader.exec_module

    def create_module(self, spec: ModuleSpec) -> None:
        pass


@pytest.mark.parametrize("loader", [ClassAsLoader, LoaderWithOwnFunction()])
def test_loaders_of_other_kinds(library: str, loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaders that tests make for a library go on working."""

    class Finder:
        def find_spec(self, name: str, path: object, target: object) -> ModuleSpec | None:
            return importlib.util.spec_from_loader(name, loader) if name == library else None

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with AfterImport([library], lambda: None).installed():
        for _ in range(2):
            assert importlib.import_module(library).VALUE == 1
            del sys.modules[library]


def test_found_before_and_imported_after(library: str) -> None:
    """What is imported later, from what was found before, is none of its business."""
    seen: list[int] = []
    with AfterImport([library], lambda: seen.append(1)).installed():
        spec = importlib.util.find_spec(library)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert seen == []
