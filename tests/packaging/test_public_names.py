"""What aldente offers by name is there, is explained, and does what its examples show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import aldente
import aldente.errors


def _module_names() -> list[str]:
    below = pkgutil.walk_packages(aldente.__path__, prefix="aldente.")
    return ["aldente", *sorted(module.name for module in below)]


def _is_private(module: str) -> bool:
    return any(part.startswith("_") for part in module.split("."))


@pytest.mark.parametrize("name", aldente.__all__)
def test_exported_name_exists_and_is_documented(name: str) -> None:
    """Every name in ``aldente.__all__`` can be used, and ``help()`` says what for."""
    exported = getattr(aldente, name)
    if name == "__version__":
        assert isinstance(exported, str)
    else:
        # Not inspect.getdoc(), which would be content with what a base class says.
        assert exported.__doc__


@pytest.mark.parametrize("module_name", ["aldente", "aldente.errors"])
def test_export_list_is_sorted_and_complete(module_name: str) -> None:
    """``__all__`` is in alphabetical order, the errors last, and no class or function is left out."""
    module = importlib.import_module(module_name)
    public = {
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and not name.startswith("_")
        and value.__module__.startswith("aldente")
    }
    errors = aldente.errors.__all__
    own = [name for name in module.__all__ if module is aldente.errors or name not in errors]
    assert own == sorted(set(own))
    assert list(module.__all__) == own or list(module.__all__) == [*own, *errors]
    assert public <= set(module.__all__)


def test_every_public_exception_is_exported() -> None:
    """``except aldente.SomeError`` works for every exception, without importing a module below."""
    assert set(aldente.errors.__all__) <= set(aldente.__all__)
    for name in aldente.errors.__all__:
        assert getattr(aldente, name) is getattr(aldente.errors, name)


@pytest.mark.parametrize("module_name", ["aldente", "aldente.errors"])
def test_a_prompt_completes_names_that_are_imported_later(module_name: str) -> None:
    """``dir()`` has every exported name from the start, as completion needs."""
    program = f"import {module_name} as it; print(sorted({{*it.__all__}} - {{*dir(it)}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_exported_names_are_different_things() -> None:
    """No two exported names are the same object: there is one way to write each."""
    exported = [getattr(aldente, name) for name in aldente.__all__]
    assert len({id(value) for value in exported}) == len(exported)


def test_errors_is_the_only_public_module() -> None:
    """Everything public is imported from ``aldente``; modules but ``errors`` have private names."""
    assert [name for name in _module_names() if not _is_private(name)] == [
        "aldente",
        "aldente.errors",
    ]


@pytest.fixture
def unknown_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The aldente that runs these tests does not note, and so know, the loops that they make."""
    monkeypatch.setattr("aldente._rules.observation.LoopMakers.note", lambda *arguments: None)


# Their examples look through all that the process has, which takes long beside a thousand tests.
SEARCHING_THE_PROCESS = {"aldente._diagnosis.reachability"}


@pytest.mark.usefixtures("unknown_loops")
@pytest.mark.parametrize("module_name", _module_names())
def test_module_is_documented_and_its_examples_hold(module_name: str) -> None:
    """Every module says what it is for, and the examples in its docstrings give what they show."""
    module: ModuleType = importlib.import_module(module_name)
    assert module.__doc__
    if module_name in SEARCHING_THE_PROCESS:
        script = "import doctest, sys, {0}; sys.exit(doctest.testmod({0}).failed)"
        subprocess.run([sys.executable, "-c", script.format(module_name)], check=True)
        return
    for name in getattr(module, "__all__", ()):
        # Those that are imported on first access have examples too, and these use one another.
        getattr(module, name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0
