"""The file by which batches end: it is gone after every search, however one has ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from aldente._explore.batches import Batch, Bounds, StopFile, needed_by, run_batch, this_machine
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import Program
from tests.unit.test_shards import passes


def test_what_is_needed(tmp_path: Path) -> None:
    """At first all batches are; then those up to a place; and none when the search has ended."""
    with StopFile(tmp_path) as file:
        first, later = (needed_by(str(file.path), place) for place in ((0, 3), (12, 0)))
        assert first()
        assert later()
        file.note((12, 1))
        assert later()
        file.note((1, 0))
        assert first()
        assert not later()
    assert not first()
    assert os.listdir(tmp_path) == []


def test_a_batch_ends_when_it_is_not_needed(tmp_path: Path) -> None:
    """Without its file, or after an earlier failure, it does no more runs."""
    program = Program(passes, RunSettings())
    with StopFile(tmp_path) as file:
        bounds = Bounds(machine=this_machine(), stop_file=str(file.path))
        assert run_batch(program, Batch(1, 1, 5, 0, "auto"), bounds).runs == 5
        file.note((1, 0))
        assert run_batch(program, Batch(1, 1, 5, 0, "auto"), bounds).is_stopped
        assert run_batch(program, Batch(0, 1, 5, 0, "auto"), bounds).runs == 5
    assert run_batch(program, Batch(0, 1, 5, 0, "auto"), bounds).is_stopped
    elsewhere = bounds._replace(machine="another machine")
    assert run_batch(program, Batch(1, 1, 5, 0, "auto"), elsewhere).runs == 5


def test_what_a_killed_search_has_left(tmp_path: Path) -> None:
    """The next search removes it, and nothing that another one still uses."""
    left = tmp_path / "aldente-search-left"
    left.touch()
    (tmp_path / "else").touch()
    with StopFile(tmp_path) as first, StopFile(tmp_path) as second:
        assert not left.exists()
        assert first.path.exists()
        assert second.path.exists()
    assert os.listdir(tmp_path) == ["else"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_links_are_left_alone(tmp_path: Path) -> None:
    """In a folder that all may write to, another user may have made one."""
    (tmp_path / "target").touch()
    link = tmp_path / "aldente-search-link"
    link.symlink_to(tmp_path / "target")
    with StopFile(tmp_path):
        assert link.is_symlink()
    assert (tmp_path / "target").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that can't be told to end do so with the search."""
    with StopFile(tmp_path) as file:
        full = os.open("/dev/full", os.O_WRONLY)
        monkeypatch.setattr(file, "_number", os.dup2(full, file._number))
        os.close(full)
        is_needed = needed_by(str(file.path), (5, 0))
        file.note((1, 0))
        assert is_needed()
    assert not is_needed()
