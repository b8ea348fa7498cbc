"""Has the rules look at event loops from the first one on that a run without async tests comes to.

Sync tests run loops too, by themselves or through unittest. That asyncio is imported says nothing
of that: from Python 3.14 on pytest itself imports it, with the debugger.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aldente._plugin.collection import ASYNC_CALLS


def watch_from_first_loop(config: pytest.Config) -> None:
    """Have loops be watched once one is made, or a loop that was made before is run.

    asyncio is imported. Where loops are not asyncio's own (uvloop), nothing tells of the first one,
    and they are watched from now on; so are they already where there are async tests.
    """
    if config.pluginmanager.has_plugin(ASYNC_CALLS):
        return
    if _has_other_loops():
        _watch(config)
        return
    first = _FirstLoop(functools.partial(_watch, config))
    first.install()
    config.add_cleanup(first.uninstall)


def stop_waiting() -> None:
    """Have all runs of pytest in this process look at loops that have waited for the first.

    A run within another one looks at its loops last, and gets what is found there.
    """
    for first in list(_waiting):
        first.begin()


_waiting: list[_FirstLoop] = []


def _watch(config: pytest.Config) -> None:
    from aldente._plugin.run.rules import watch_of

    watch_of(config)


def _has_other_loops() -> bool:
    """Whether there are classes of loops that do not build on asyncio's own."""
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
        """Wait for a loop."""
        _waiting.append(self)
        # Every way of making a loop comes to the one, and every way of running it to the other.
        for name in ("__init__", "run_forever"):
            self._originals[name] = vars(self._owner)[name]
            self._replacements[name] = self._replacement(name)
            setattr(self._owner, name, self._replacements[name])

    def uninstall(self) -> None:
        """Wait no longer."""
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
            # What looks at loops from now on has replaced it too, and is to see this one; unless
            # somebody has put back what was there before.
            outermost = vars(self._owner)[name]
            is_replaced = is_outermost and outermost is not self._replacements[name]
            return (outermost if is_replaced else original)(*args, **kwargs)

        return method

    def begin(self) -> None:
        """There is a loop."""
        with self._lock:
            if self not in _waiting:
                return
            self.uninstall()
        try:
            self._on_first()
        except pytest.UsageError as error:
            pytest.exit(f"ERROR: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
