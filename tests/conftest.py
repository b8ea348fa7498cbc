"""What all tests share.

A collector that does not look through all of the tests again and again, and examples of Hypothesis
that may take any time on a busy machine.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Generator

import pytest

with contextlib.suppress(ImportError):
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("busy machine")


# What is collected is not garbage, and the collector would look through all of it again and again.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the collector leave out what there is before the first test.

    These are half a million objects. Each run of pytest in this process collects garbage when it
    ends, which would take longer than all else that most of them do.
    """
    # When it is imported, Hypothesis asks the collector what holds some objects of trio's.
    with contextlib.suppress(ImportError):
        import hypothesis  # noqa: F401
    gc.collect()
    gc.freeze()
    gc.enable()


# Of pytest and its plugins.
_threads_before = threading.enumerate()
# How long a thread may take to end, in seconds of real time.
_ENDING = 10.0


def pytest_sessionstart() -> None:
    """Note the threads of the tools that run the tests."""
    _threads_before[:] = threading.enumerate()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """See to it that the tests of a file leave no thread behind.

    In each run that a later test makes in this process, aldente would watch what that thread does:
    a hundred tests would take ten times as long.
    """
    yield
    if nextitem is None or nextitem.path != item.path:
        for thread in set(threading.enumerate()) - {*_threads_before, threading.current_thread()}:
            if isinstance(thread, threading._DummyThread):
                # Of code in C; before Python 3.13 it is listed for ever.
                continue
            thread.join(_ENDING)
            assert not thread.is_alive(), f"a test of {item.path.name} has left {thread} behind"


@pytest.fixture
def only_aldente(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the installed plugins, pytest loads only aldente in new processes, which takes a fifth."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "aldente")
