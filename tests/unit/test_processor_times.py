"""How long threads have run, read from files that stay open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aldente._rules.slow_step import ProcessorTimes

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this system records no waiting times"
)


@pytest.fixture
def opened() -> Iterator[ProcessorTimes]:
    """Times whose files are open, as read on the main thread."""
    times = ProcessorTimes()
    times.open()
    yield times
    times.close()


def _descriptors() -> dict[str, str]:
    """The open descriptors of this process, and what they refer to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            # That of the listing itself.
            continue
    return found


def _work() -> None:
    end = time.thread_time() + 0.01
    while time.thread_time() < end:
        pass


def test_times_grow(opened: ProcessorTimes) -> None:
    """What is read is what the thread has run by now, not when its file was opened."""
    before = opened.of(threading.get_ident())
    _work()
    after = opened.of(threading.get_ident())
    assert after.ran - before.ran > 0.009
    assert after.waited >= before.waited >= 0
    assert opened.of_this_thread() >= after


def test_of_another_thread(opened: ProcessorTimes) -> None:
    """Times of any thread that runs can be read; there are none of one that has ended."""
    has_worked, may_end = threading.Event(), threading.Event()

    def work() -> None:
        _work()
        has_worked.set()
        may_end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    assert thread.ident is not None
    try:
        has_worked.wait()
        assert opened.of(thread.ident).ran > 0.009
    finally:
        may_end.set()
        thread.join()
    assert opened.of(thread.ident) == (0, 0)


def test_reading_opens_nothing(opened: ProcessorTimes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the times of the main thread and of the one that opened the files opens no file."""
    before = _descriptors()
    monkeypatch.setattr("builtins.open", lambda *arguments: pytest.fail(str(arguments)))
    assert opened.of(threading.main_thread().ident or 0).ran > 0
    assert opened.of_this_thread().ran > 0
    assert _descriptors() == before


def test_closing() -> None:
    """Closing leaves no descriptor, and times can be read without kept files, too."""
    before = _descriptors()
    times = ProcessorTimes()
    times.open()
    assert len(_descriptors()) > len(before)
    times.close()
    times.close()
    assert _descriptors() == before
    assert times.of_this_thread().ran > 0


def test_code_that_closes_all_descriptors(tmp_path: Path) -> None:
    """A file that got the number of a closed one is neither read nor closed."""
    before = set(_descriptors())
    opened = ProcessorTimes()
    opened.open()
    taken = [int(name) for name in set(_descriptors()) - before]
    assert taken
    for descriptor in taken:
        os.close(descriptor)
    (tmp_path / "numbers").write_text("1 2 3")
    files = [(tmp_path / "numbers").open() for _ in taken]
    assert sorted(file.fileno() for file in files) == sorted(taken)
    assert opened.of_this_thread().ran > 1e-6
    opened.close()
    for file in files:
        assert file.read() == "1 2 3"
        file.close()
