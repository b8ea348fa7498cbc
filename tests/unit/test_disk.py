"""Disks of hosts: what a crash leaves of files follows from what was synced."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aldente
from tests.unit.hosted import in_stock_order, outcomes_of, result_of


def write(path: Path, text: str, *, mode: str = "w", sync: Callable[[int], object] | None) -> None:
    with open(path, mode) as file:
        file.write(text)
        file.flush()
        if sync is not None:
            sync(file.fileno())


def left_by(act: Callable[[aldente.Host], object]) -> set[Any]:
    """What is on a disk after a crash, in all ways; each is a tuple of names and contents."""

    async def main() -> tuple[tuple[str, str], ...]:
        db = aldente.network().host("db")
        act(db)
        db.crash(silent=True)
        files = sorted(path for path in db.disk.path.rglob("*") if path.is_file())
        return tuple((str(path.relative_to(db.disk.path)), path.read_text()) for path in files)

    return outcomes_of(main, runs=100)


SYNCS = [
    pytest.param(lambda number: os.fsync(number), id="fsync"),
    pytest.param(lambda number: os.fdatasync(number), id="fdatasync"),
    pytest.param(lambda number: os.sync(), id="sync"),
]


def test_files_are_kept_in_stock_order() -> None:
    """Without a choice to the contrary a crash loses nothing."""

    async def main() -> str:
        db = aldente.network().host("db")
        write(db.disk / "log", "one", sync=None)
        db.crash(silent=True)
        return (db.disk / "log").read_text()

    assert result_of(main) == "one"


@pytest.mark.parametrize("sync", SYNCS)
def test_what_was_synced_is_never_lost(sync: Callable[[int], object]) -> None:
    """Whatever the schedule, a synced file has its content."""
    assert left_by(lambda db: write(db.disk / "log", "one", sync=sync)) == {(("log", "one"),)}


def test_what_was_not_synced_may_be_lost_or_torn() -> None:
    """A new file may be missing, or have a part of its content, or be empty."""
    found = left_by(lambda db: write(db.disk / "log", "0123456789", sync=None))
    assert found == {(), (("log", "0123456789"),), (("log", "01234"),), (("log", ""),)}


def test_what_was_appended_may_be_lost_or_torn() -> None:
    """What was synced before is there."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "log", "one ", sync=os.fsync)
        write(db.disk / "log", "four", mode="a", sync=None)

    assert left_by(act) == {(("log", "one four"),), (("log", "one "),), (("log", "one fo"),)}


def test_what_was_overwritten_may_be_torn() -> None:
    """A file written anew may have its old content, the new one, a part of it, or none."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "conf", "old", sync=os.fsync)
        write(db.disk / "conf", "newest", sync=None)

    assert left_by(act) == {(("conf", text),) for text in ("old", "newest", "new", "")}


def test_what_is_around_an_overwritten_part_is_never_lost() -> None:
    """A part that is written in place tears nothing but itself."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "table", "0123456789", sync=os.fsync)
        with open(db.disk / "table", "r+") as table:
            table.seek(2)
            table.write("abcd")

    found = {text for ((_, text),) in left_by(act)}
    assert found == {"0123456789", "01abcd6789", "01ab456789"}


def test_a_file_that_is_emptied_and_written_anew_is_no_mixture() -> None:
    """However long the new content is, what is left of it is its beginning, or nothing."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "conf", "old and long", sync=os.fsync)
        write(db.disk / "conf", "as long as it", sync=None)

    assert left_by(act) == {
        (("conf", text),) for text in ("old and long", "as long as it", "as lon", "")
    }


def test_a_synced_file_that_is_renamed_is_whole() -> None:
    """The name has either its old content or its new one."""

    def act(db: aldente.Host) -> None:
        for text in ("old", "newest"):
            write(db.disk / "tmp", text, sync=os.fsync)
            os.replace(db.disk / "tmp", db.disk / "conf")

    assert left_by(act) == {(("conf", "newest"),), (("conf", "old"), ("tmp", "newest"))}


def test_names_are_synced_with_their_folder() -> None:
    """After the folder was synced, the new name is there."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "tmp", "text", sync=os.fsync)
        os.replace(db.disk / "tmp", db.disk / "conf")
        folder = os.open(db.disk, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    assert left_by(act) == {(("conf", "text"),)}


def test_a_file_that_was_not_synced_before_it_was_renamed_may_be_torn() -> None:
    """The classic: an empty or a short file under the right name."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "tmp", "text", sync=None)
        os.replace(db.disk / "tmp", db.disk / "conf")

    assert left_by(act) == {(), (("conf", "text"),), (("conf", "te"),), (("conf", ""),)}


def test_a_removed_file_may_come_back() -> None:
    """Unless its folder, or another file, was synced since."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "log", "text", sync=os.fsync)
        (db.disk / "log").unlink()

    assert left_by(act) == {(), (("log", "text"),)}


def test_folders_have_files_as_well() -> None:
    """Paths may lead through folders."""

    def act(db: aldente.Host) -> None:
        (db.disk / "a" / "b").mkdir(parents=True)
        write(db.disk / "a" / "b" / "log", "text", sync=os.fsync)
        write(db.disk / "a" / "b" / "log", "!", mode="a", sync=None)

    path = os.path.join("a", "b", "log")
    assert left_by(act) == {((path, "text"),), ((path, "text!"),)}


def test_folders_and_links_are_kept() -> None:
    """Nothing that was synced is lost: empty folders, links of both kinds, and modes."""

    async def main() -> tuple[list[str], str, bool, bool]:
        db = aldente.network().host("db")
        (db.disk / "empty" / "inner").mkdir(parents=True)
        write(db.disk / "run", "text", sync=None)
        (db.disk / "run").chmod(0o750)
        (db.disk / "soft").symlink_to("run")
        (db.disk / "none").symlink_to("nothing")
        os.link(db.disk / "run", db.disk / "same")
        # Syncs the names as well, past the link that leads nowhere.
        write(db.disk / "synced", "text", sync=os.fsync)
        os.sync()
        db.crash(silent=True)
        names = sorted(str(path.relative_to(db.disk.path)) for path in db.disk.path.rglob("*"))
        is_same = (db.disk / "run").samefile(db.disk / "same")
        may_run = (db.disk / "run").stat().st_mode & 0o777 == 0o750
        return names, os.readlink(db.disk / "soft"), is_same, may_run

    names = ["empty", "empty/inner", "none", "run", "same", "soft", "synced"]
    assert result_of(main) == (names, "run", True, True)


def test_a_new_folder_may_be_lost() -> None:
    """As any other name, unless it was synced."""

    async def main() -> bool:
        db = aldente.network().host("db")
        (db.disk / "data").mkdir()
        db.crash(silent=True)
        return (db.disk / "data").exists()

    assert outcomes_of(main, runs=30) == {True, False}


def test_a_removed_file_comes_back_as_it_was() -> None:
    """Its name was synced with its folder, and another file may have got its number since."""

    def act(db: aldente.Host) -> None:
        write(db.disk / "old", "text", sync=None)
        folder = os.open(db.disk, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        number = (db.disk / "old").stat().st_ino
        (db.disk / "old").unlink()
        write(db.disk / "new", "other", sync=None)
        assert (db.disk / "new").stat().st_ino != number

    new = {(("new", text),) for text in ("other", "ot", "")}
    assert left_by(act) == {(("old", ""),)} | new


def test_an_open_file_writes_nothing_after_the_crash() -> None:
    """Data in the buffers of a crashed host's files does not come later."""

    async def main() -> str:
        db = aldente.network().host("db")
        file = (db.disk / "log").open("w")
        file.write("synced")
        file.flush()
        os.fsync(file.fileno())
        file.write(" buffered")
        db.crash(silent=True)
        file.close()
        return (db.disk / "log").read_text()

    assert outcomes_of(main, runs=20) == {"synced"}


def test_each_host_has_its_own_files() -> None:
    """A crash of one host leaves the files of others, and those outside of disks, alone."""

    async def main() -> tuple[str, str]:
        net = aldente.network()
        one, two = net.host("one"), net.host("two")
        for host in (one, two):
            write(host.disk / "log", host.name, sync=None)
        one.crash(silent=True)
        return (two.disk / "log").read_text(), two.disk.path.name

    assert outcomes_of(main, runs=20) == {("two", "two")}


def test_files_outlive_a_restart() -> None:
    """What is left by one crash is what the next one begins with."""

    async def main() -> str:
        db = aldente.network().host("db")
        write(db.disk / "log", "one", sync=None)
        db.crash(silent=True)

        async def begin() -> None:
            text = (db.disk / "log").read_text() if (db.disk / "log").exists() else "none"
            write(db.disk / "log", f"{text}, again", sync=os.fsync)

        await db.restart(begin)
        db.crash(silent=True)
        return (db.disk / "log").read_text()

    assert outcomes_of(main, runs=50) == {"one, again", "o, again", ", again", "none, again"}


def test_nothing_is_left_of_a_run() -> None:
    """Its folders are removed, and the functions of `os` are as before."""
    folders: list[Path] = []
    functions = os.fsync, os.fdatasync, os.sync

    async def main() -> None:
        db = aldente.network().host("db")
        assert os.fspath(db.disk) == str(db.disk.path)
        assert repr(db.disk) == f"<disk of 'db': {db.disk.path}>"
        folders.append(db.disk.path)
        write(db.disk / "log", "one", sync=os.fsync)
        raise ValueError

    assert isinstance(in_stock_order(main).error, ValueError)
    assert not folders[0].exists()
    assert not folders[0].parent.exists()
    assert (os.fsync, os.fdatasync, os.sync) == functions


def test_what_others_put_in_the_place_of_a_function_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replacement that outlives the run is not undone by its end."""

    def fsync(fd: Any) -> None:
        raise AssertionError(fd)

    # Has it be as before at the end of the test.
    monkeypatch.setattr(os, "fsync", os.fsync)

    async def main() -> None:
        assert aldente.network().host("db").disk.path.exists()
        os.fsync = fsync

    result_of(main)
    assert os.fsync is fsync


def test_nothing_is_left_of_an_interrupted_run() -> None:
    """Also when the user presses Ctrl-C while the run ends."""
    folders: list[Path] = []

    async def run() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            raise KeyboardInterrupt

    async def main() -> None:
        db = aldente.network().host("db")
        folders.append(db.disk.path)
        db.run(run())
        await asyncio.sleep(1)

    with contextlib.suppress(KeyboardInterrupt):
        in_stock_order(main)
    assert not folders[0].exists()


def test_other_files_are_synced_as_ever(tmp_path: Path) -> None:
    """A file outside of disks goes to the system's function, with its errors."""

    async def main() -> None:
        db = aldente.network().host("db")
        write(db.disk / "log", "one", sync=os.fsync)
        write(tmp_path / "log", "one", sync=os.fsync)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fsync(1_000_000)

    result_of(main)


def test_what_is_lost_stands_in_the_story() -> None:
    """With the file and how it was lost."""

    async def main() -> None:
        db = aldente.network().host("db")
        write(db.disk / "log", "12345678", sync=None)
        db.crash(silent=True)
        left = (db.disk / "log").read_text() if (db.disk / "log").exists() else None
        assert left not in fails_for

    for left, text in (
        (None, "changes of names that were not synced are lost: log"),
        ("", "the changes of log that were not synced are lost"),
        ("1234", "a part of the changes of log that were not synced are lost"),
    ):
        fails_for = [left]
        failure = aldente.search(main, runs=100, seed=1).failure
        assert failure is not None
        assert f"(network)  db: {text}" in failure.story()[0]
