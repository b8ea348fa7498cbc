"""What is patched may be imported when it is first used only (Python 3.15)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aldente
from aldente.errors import NoSuchTarget, PatchedElsewhere

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 15), reason="imports are not left to the first use"
)

SERVICE = """
async def fetch(number):
    return number

async def load():
    return await fetch(1)

class Client:
    async def get(self, path):
        return path
"""

PROGRAM = """
lazy import lazy_service
lazy from lazy_service import Client, fetch, load
lazy from lazy_service import no_such
lazy from missing_service import missing

async def run():
    return await fetch(1)

def connect():
    return Client()

async def run_by_module():
    return await lazy_service.load()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A program that has imported nothing yet of what it names."""
    (tmp_path / "lazy_service.py").write_text(SERVICE)
    (tmp_path / "lazy_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        yield __import__("lazy_program")
    finally:
        for name in ("lazy_program", "lazy_service"):
            sys.modules.pop(name, None)


def is_waiting(program: Any, name: str) -> bool:
    """Whether what a name stands for has not been imported."""
    return type(vars(program)[name]).__name__ == "lazy_import"


def test_a_name_that_is_imported_lazily(program: Any) -> None:
    """The double is like what the name stands for, and that is there afterwards."""
    assert is_waiting(program, "fetch")
    with aldente.patch("lazy_program.fetch") as fetch:
        fetch.returns(7)
        assert asyncio.run(program.run()) == 7
        with pytest.raises(TypeError, match="missing a required argument: 'number'"):
            fetch()
    assert asyncio.run(program.run()) == 1
    assert vars(program)["fetch"] is sys.modules["lazy_service"].fetch


def test_a_class_and_a_module(program: Any) -> None:
    """They are known too, and what is in them."""
    with aldente.patch("lazy_program.Client") as client:
        assert isinstance(client.return_value.get, aldente.Double)
    with aldente.patch("lazy_program.lazy_service") as service:
        assert isinstance(service.load, aldente.Double)
    with aldente.patch("lazy_program.lazy_service.load") as load:
        load.returns(5)
        assert asyncio.run(program.run_by_module()) == 5
    with aldente.patch.object(program, "load") as load:
        assert isinstance(load, aldente.Double)
    with aldente.patch.multiple("lazy_program", load=mock.DEFAULT) as doubles:
        assert isinstance(doubles["load"], aldente.Double)


def test_a_name_elsewhere_does_not_keep_the_double(program: Any) -> None:
    """What is imported by name for the first time while it is patched is the real thing."""
    with aldente.patch("lazy_service.load", only_here=True) as load:
        load.returns(5)
        assert program.load is not load
    assert asyncio.run(program.load()) == 1


def test_a_name_that_is_used_elsewhere(program: Any) -> None:
    """Imported lazily or not, a name of its own elsewhere has to be patched there."""
    assert is_waiting(program, "Client")
    with (
        pytest.raises(PatchedElsewhere, match=r"lazy_program\.Client"),
        aldente.patch("lazy_service.Client"),
    ):
        pass


def test_what_cannot_be_imported(program: Any) -> None:
    """Python's own error is raised, unless the test gives what takes its place."""
    with (
        pytest.raises(ModuleNotFoundError, match="missing_service"),
        aldente.patch("lazy_program.missing"),
    ):
        pass
    with pytest.raises(ImportError, match="no_such"), aldente.patch("lazy_program.no_such"):
        pass
    with aldente.patch("lazy_program.missing", 5):
        assert program.missing == 5
    assert is_waiting(program, "missing")
    with pytest.raises(NoSuchTarget), aldente.patch("lazy_program.nothing"):
        pass
