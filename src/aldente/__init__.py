"""aldente: the pytest plugin for testing asyncio code.

A map of the code, from the bottom up; imports go downward only:

``errors``
    Every public exception. Each builds its message from the facts it keeps as attributes.
``_version``
    The version.
``_validation``, ``_stored_json``
    Checks values that users give, and those that are read from files.
``_records``, ``_schedules``, ``_settings``
    Plain values: the scope of an event loop, rules and findings; what determines the run of a
    simulated loop, and what happened in it; all settings, their defaults and their validation. The
    settings read the table of rules, which is in the package module of ``_rules``.
``_system``
    The clocks, threads and locks of the system, even if a library or a test has replaced them.
``_source``
    Which code is the user's, the place of a frame or function in it, warnings with that place, and
    the frame of a caller.
``_checked_pythons``, ``_python_compat``
    The private names that aldente relies on, and the Pythons on which they were checked; the only
    module that touches private names of the standard library, except asyncio's.
``_imports``
    Resolves lazy imports, acts as soon as a library is imported, and imports aldente's own modules
    past pytest's hook.
``_own_errors``
    Keeps errors in aldente's own watching away from the code that it watches.
``_doubles``
    Test doubles for async collaborators, and patching them in. Does not depend on the loops below,
    nor on pytest.
``_histories``
    Histories of operations, and whether they are linearizable or serializable. Depends on nothing
    else here but ``_validation`` and ``errors``.
``_asyncio_compat``
    The only package that touches private names of asyncio.
``_stacks``
    The stack of a thread at one moment, read while no other thread runs.
``_runner``
    Runs coroutines on an event loop from synchronous code: the runner, the task that hosts an async
    generator, the shutdown of a loop, Ctrl-C, context variables. Does not depend on pytest.
``_virtual_time``
    The loop whose clock jumps to the next timer when nothing else can happen.
``_simulation``
    The loop whose schedule a strategy chooses.
``_rules``
    The rules: one module per pitfall, which reports findings; and the thread that watches running
    loops for hangs. Does not depend on pytest.
``_diagnosis``
    Describes what tasks wait for and what rules found. Does not depend on the rules.
``_strategies``
    The strategies that choose the schedules of the simulated loop; one module each.
``_explore``
    Runs whole programs: once, under many schedules, or again under one. Does not depend on pytest.
``_report``
    The page of a run for the browser. Does not depend on pytest.
``_command_line``, ``__main__``
    The command line ``python -m aldente``. Does not depend on pytest.
``_plugin``
    The pytest plugin: which tests and fixtures are aldente's, on which loop they run, how their
    outcome is shown, and how findings are reported. Only ``_plugin.pytest_compat`` and
    ``_plugin.runtime_compat`` touch private names of pytest.

Nothing heavy is imported here: pytest imports this package on every start, and asyncio itself is
imported only when the first async test or fixture is about to run, or picks a kind of loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aldente import _system as _system
from aldente._version import __version__

if TYPE_CHECKING:
    from aldente import errors
    from aldente._doubles.assertions import assert_order, assert_overlap
    from aldente._doubles.calls import Call
    from aldente._doubles.collection import Doubles
    from aldente._doubles.double import Double
    from aldente._doubles.gates import Gate
    from aldente._doubles.patch import patch
    from aldente._explore.api import replay, run, search
    from aldente._explore.check_class import check_class
    from aldente._explore.result import Exploration, Failure
    from aldente._histories import models
    from aldente._histories.history import History, history
    from aldente._histories.operations import Operation, Transaction
    from aldente._plugin.explore.mark import explore
    from aldente._plugin.marks import allow, real_time, rule, timeout, virtual_time
    from aldente._runner.settle import eventually, settle
    from aldente._simulation.api import (
        choose,
        invariant,
        may_be_cancelled,
        maybe_timeout,
        note,
        serializable,
    )
    from aldente._simulation.host_api import Host
    from aldente._simulation.network_api import Connection, Network, network
    from aldente._simulation.streams import stream_pair
    from aldente._virtual_time.clock import Clock
    from aldente.errors import *  # noqa: F403 # as `errors.__all__` says
else:
    # Python 3.15 may make an import statement lazy, and this name would then lead to itself.
    errors = importlib.import_module(f"{__name__}.errors")

# The modules of names that need pytest or asyncio, which are imported on first use.
_HOMES = {
    "Call": "aldente._doubles.calls",
    "Connection": "aldente._simulation.network_api",
    "Clock": "aldente._virtual_time.clock",
    "Double": "aldente._doubles.double",
    "Doubles": "aldente._doubles.collection",
    "Exploration": "aldente._explore.result",
    "Failure": "aldente._explore.result",
    "Gate": "aldente._doubles.gates",
    "History": "aldente._histories.history",
    "Host": "aldente._simulation.host_api",
    "Network": "aldente._simulation.network_api",
    "Operation": "aldente._histories.operations",
    "Transaction": "aldente._histories.operations",
    "allow": "aldente._plugin.marks",
    "assert_order": "aldente._doubles.assertions",
    "assert_overlap": "aldente._doubles.assertions",
    "check_class": "aldente._explore.check_class",
    "choose": "aldente._simulation.api",
    "eventually": "aldente._runner.settle",
    "explore": "aldente._plugin.explore.mark",
    "history": "aldente._histories.history",
    "invariant": "aldente._simulation.api",
    "may_be_cancelled": "aldente._simulation.api",
    "maybe_timeout": "aldente._simulation.api",
    "models": "aldente._histories",
    "network": "aldente._simulation.network_api",
    "note": "aldente._simulation.api",
    "patch": "aldente._doubles.patch",
    "real_time": "aldente._plugin.marks",
    "replay": "aldente._explore.api",
    "rule": "aldente._plugin.marks",
    "run": "aldente._explore.api",
    "search": "aldente._explore.api",
    "serializable": "aldente._simulation.api",
    "settle": "aldente._runner.settle",
    "stream_pair": "aldente._simulation.streams",
    "timeout": "aldente._plugin.marks",
    "virtual_time": "aldente._plugin.marks",
}


def __getattr__(name: str) -> Any:
    if name in errors.__all__:
        home: Any = errors
    elif name in _HOMES:
        home = importlib.import_module(_HOMES[name])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Call",
    "Clock",
    "Connection",
    "Double",
    "Doubles",
    "Exploration",
    "Failure",
    "Gate",
    "History",
    "Host",
    "Network",
    "Operation",
    "Transaction",
    "__version__",
    "allow",
    "assert_order",
    "assert_overlap",
    "check_class",
    "choose",
    "eventually",
    "explore",
    "history",
    "invariant",
    "may_be_cancelled",
    "maybe_timeout",
    "models",
    "network",
    "note",
    "patch",
    "real_time",
    "replay",
    "rule",
    "run",
    "search",
    "serializable",
    "settle",
    "stream_pair",
    "timeout",
    "virtual_time",
]
__all__ += errors.__all__
