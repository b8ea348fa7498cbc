"""aldente: the pytest plugin for testing asyncio code.

A map of the code, from the bottom up; imports go downward only:

``errors``
    Every public exception. Each builds its message from the facts it keeps as attributes.
``_records``, ``_settings``
    Plain values: the scope of an event loop; all settings, their defaults and their validation.
``_asyncio_compat``
    The only module that touches private names of asyncio.
``_loops``
    Runs coroutines on an event loop from synchronous code: the runner, the task that hosts an async
    generator, draining, Ctrl-C, context variables. Knows nothing of pytest.
``_plugin``
    The pytest plugin: which tests and fixtures are aldente's, on which loop they run, and how their
    outcome is shown. ``_plugin.pytest_compat`` is the only module that touches private names of
    pytest.

Nothing heavy is imported here: pytest imports this package on every start, and asyncio itself is
imported only when the first async test or fixture is about to run, or picks a kind of loop.
"""

from aldente._version import __version__
from aldente.errors import (
    AldenteError,
    FixtureCancelled,
    FixtureEnded,
    FixtureYieldError,
    ImpossibleLoopScope,
    InvalidSetting,
    RunningLoopError,
    StuckShutdown,
    StuckTasks,
)

__all__ = [
    "AldenteError",
    "FixtureCancelled",
    "FixtureEnded",
    "FixtureYieldError",
    "ImpossibleLoopScope",
    "InvalidSetting",
    "RunningLoopError",
    "StuckShutdown",
    "StuckTasks",
    "__version__",
]
