"""Starts the rules with the first event loop of a run without async tests.

Sync tests run loops too, by themselves or through unittest. That asyncio is imported does not show
this: from Python 3.14 on pytest itself imports it, with the debugger.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest


def watch_from_first_loop(config: pytest.Config) -> None:
    """Have the rules watch loops from when one is made, or an older one is run.

    Requires that asyncio is imported. Where loops are not asyncio's own (uvloop), the first one
    can't be seen, so the rules watch from now on.
    """
    if _has_other_loops():
        _watch(config, opens_files=True)
        return
    # The first loop is made or run in the middle of a test.
    first = _FirstLoop(functools.partial(_watch, config, opens_files=False))
    first.install()
    config.add_cleanup(first.uninstall)


def stop_waiting() -> None:
    """Have all runs of pytest in this process that wait for a loop watch loops now.

    A run inside another one starts last, and so gets the findings of its own loops.
    """
    for first in list(_waiting):
        first.begin()


_waiting: list[_FirstLoop] = []


def _watch(config: pytest.Config, *, opens_files: bool) -> None:
    from aldente._plugin.run.loop_watch import watch_of

    watch_of(config, opens_files=opens_files)


def _has_other_loops() -> bool:
    """Whether there are loop classes that do not derive from asyncio's own."""
    asyncio: Any = sys.modules["asyncio"]
    return any(
        not issubclass(loops, asyncio.BaseEventLoop)
        for loops in asyncio.AbstractEventLoop.__subclasses__()
    )


class _FirstLoop:
    """Calls a function before the first loop is made or run.

    Args:
        on_first: the function.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self._on_first = on_first
        self._owner: Any = sys.modules["asyncio"].BaseEventLoop
        self._originals: dict[str, Any] = {}
        self._replacements: dict[str, Any] = {}
        self._lock = threading.Lock()

    def install(self) -> None:
        """Start waiting for a loop."""
        _waiting.append(self)
        # Every way of making a loop calls the first, every way of running one the second.
        for name in ("__init__", "run_forever"):
            self._originals[name] = vars(self._owner)[name]
            self._replacements[name] = self._replacement(name)
            setattr(self._owner, name, self._replacements[name])

    def uninstall(self) -> None:
        """Stop waiting."""
        if self in _waiting:
            _waiting.remove(self)
        for name, replacement in self._replacements.items():
            # A later replacement by something else must stay.
            if vars(self._owner)[name] is replacement:
                setattr(self._owner, name, self._originals[name])

    def _replacement(self, name: str) -> Callable[..., Any]:
        original = self._originals[name]

        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            is_outermost = vars(self._owner)[name] is self._replacements[name]
            self.begin()
            # A rule that watches from now on has replaced it too, and has to see this call; unless
            # other code has restored the original.
            outermost = vars(self._owner)[name]
            is_replaced = is_outermost and outermost is not self._replacements[name]
            return (outermost if is_replaced else original)(*args, **kwargs)

        return method

    def begin(self) -> None:
        """Stop waiting, and call the function."""
        with self._lock:
            if self not in _waiting:
                return
            self.uninstall()
        try:
            self._on_first()
        except pytest.UsageError as error:
            pytest.exit(f"ERROR: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
