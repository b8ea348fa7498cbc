"""What all tests share: a collector that does not look through all of the tests again and again."""

from __future__ import annotations

import contextlib
import gc

import pytest


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


@pytest.fixture
def only_aldente(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the installed plugins, pytest loads only aldente in new processes, which takes a fifth."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "aldente")
