"""Libraries that replace the threads of Python, as gevent does."""

from __future__ import annotations

import _thread
import sys
from types import ModuleType, SimpleNamespace

import pytest

from aldente import _system
from tests.plugin.conftest import RunProject


def test_the_threads_of_the_system_are_used(run_project: RunProject) -> None:
    """What watches loops is a thread of the system, though ``_thread`` gives something else by then."""
    result = run_project(
        "--tb=short",
        fresh=True,
        conftest="""
        import _thread
        import threading

        def refuse(*arguments, **keywords):
            raise AssertionError("This is no thread of the system")

        for name in ("start_new_thread", "start_joinable_thread"):
            if hasattr(_thread, name):
                setattr(_thread, name, refuse)
        # As of a greenlet.
        threading.get_ident = lambda: 1
        """,
        test_it="""
        import asyncio
        import aldente

        async def test_it():
            await asyncio.sleep(0)

        @aldente.explore
        async def test_explored():
            await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))

        @aldente.timeout(0.2)
        async def test_limit():
            await asyncio.sleep(60)
        """,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["E *PhaseTimeout: 'test_limit' was still running after 0.2 s*"])


def test_what_gevent_keeps_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gevent came first, it tells which functions Python had."""
    kept = SimpleNamespace(get_original=lambda module, name: f"{module}.{name} of Python")
    monkeypatch.setitem(sys.modules, "gevent.monkey", kept)
    assert _system._of_python("allocate_lock") == "_thread.allocate_lock of Python"


def test_a_stand_in_for_gevent_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty module in its place has patched nothing, so Python's own functions are there."""
    monkeypatch.setitem(sys.modules, "gevent.monkey", ModuleType("gevent.monkey"))
    assert _system._of_python("allocate_lock") is _thread.allocate_lock
