"""A function is called right after a library is imported, and nothing of it is left to be seen."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aldente._rules.after_import import AfterImport


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
