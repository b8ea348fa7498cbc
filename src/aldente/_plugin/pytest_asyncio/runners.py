"""The fixtures ``_function_scoped_runner`` to ``_session_scoped_runner`` of pytest-asyncio.

They are private there, but looptime and some test suites use them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from aldente import _asyncio_compat
from aldente._plugin import pytest_compat
from aldente._plugin.loop_scopes import LoopHome, node_of_scope
from aldente._plugin.options import settings_of
from aldente._plugin.run.loops import registry_of
from aldente._records import LoopScope


def provide(request: pytest.FixtureRequest, scope: str) -> Iterator[asyncio.Runner]:
    """A real `asyncio.Runner` on the loop of a scope, current while the fixture lives.

    The runner is not closed, as aldente closes the loop at the end of its scope.
    """
    item = pytest_compat.item_of(request)
    home = LoopHome(LoopScope(scope), node_of_scope(item, LoopScope(scope)))
    loop = registry_of(request.session).runner(home, item).loop
    debug = True if settings_of(request.config).debug else None
    runner = asyncio.Runner(loop_factory=lambda: loop, debug=debug)
    _asyncio_compat.make_current(runner.get_loop())
    yield runner
    _asyncio_compat.forget_current_loop()
