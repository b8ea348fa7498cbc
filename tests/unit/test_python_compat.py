"""What is known of Python's own workings, whichever of its options are on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest

from aldente import _python_compat

RECORDING = """
import warnings
from aldente import _python_compat

with warnings.catch_warnings(record=True):
    warnings.simplefilter("ignore", ResourceWarning)
    of_run = _python_compat.receiver()
    assert _python_compat.receiver() is of_run
    assert _python_compat.warning_filters()[0][:3] == ("ignore", None, ResourceWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BytesWarning)
        assert _python_compat.receiver() is of_run
        assert _python_compat.warning_filters()[0][:3] == ("error", None, BytesWarning)
    with warnings.catch_warnings(record=True):
        assert _python_compat.receiver() is not of_run
    assert _python_compat.receiver() is of_run
    assert _python_compat.warning_filters()[0][:3] == ("ignore", None, ResourceWarning)
"""


@pytest.mark.parametrize("is_in_context", ["0", "1"])
def test_who_receives_warnings(is_in_context: str) -> None:
    """Whoever records warnings is told from those around, and filters are those that hold now."""
    environment = {**os.environ, "PYTHON_CONTEXT_AWARE_WARNINGS": is_in_context}
    subprocess.run([sys.executable, "-c", RECORDING], env=environment, timeout=60, check=True)


def test_filters_are_those_of_warnings() -> None:
    """Without that option filters are found where code assigns them."""
    if getattr(sys.flags, "context_aware_warnings", False):
        pytest.skip("they are in a context variable")
    assert _python_compat.warning_filters() is warnings.filters


def test_a_hidden_thread() -> None:
    """It is none of threading's, runs its function and can be waited for, more than once."""
    may_end = threading.Event()
    before = threading.enumerate()
    thread = _python_compat.HiddenThread(may_end.wait)
    assert threading.enumerate() == before
    began = time.monotonic()
    assert not thread.join(0.01)
    assert time.monotonic() - began >= 0.01
    may_end.set()
    assert thread.join(60)
    assert thread.join(60)


def test_helper_processes() -> None:
    """There are none before multiprocessing has started any."""
    code = """
from aldente import _python_compat
assert _python_compat.helper_processes() == set()
import multiprocessing.forkserver, multiprocessing.resource_tracker
assert _python_compat.helper_processes() == set()
multiprocessing.resource_tracker.ensure_running()
assert len(_python_compat.helper_processes()) == 1
"""
    if sys.platform == "win32":
        pytest.skip("it has no helpers there")
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_the_newest_thread_while_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that starts or ends meanwhile does not disturb the look for the newest one."""
    looks: list[str] = []

    class Threads(dict[int, object]):
        def values(self) -> Any:
            if not looks:
                looks.append("disturbed")
                values = reversed(super().values())
                self[3] = "third"
                return _Reversible(values)
            return super().values()

    monkeypatch.setattr(_python_compat, "_ACTIVE_THREADS", Threads({1: "first", 2: "second"}))
    assert _python_compat.newest_thread() == "third"  # type: ignore[comparison-overlap]
    assert looks == ["disturbed"]


class _Reversible:
    def __init__(self, values: Any) -> None:
        self._values = values

    def __reversed__(self) -> Any:
        return self._values
