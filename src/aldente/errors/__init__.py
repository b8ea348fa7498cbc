"""Every public exception of aldente.

Each takes facts, keeps them as attributes and builds its message from them: what happened, where,
why it matters and what to do.

``_base``
    Exceptions that any run may need.
``_loops``, ``_doubles``, ``_explore``
    Those of event loops and their time, of doubles, of histories, and of searches in several
    processes; imported on first access.

A new exception needs its class and its name in `__all__` below, which `aldente.__all__` takes over.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aldente.errors._base import *  # noqa: F403 # `__all__` says which of these are public
    from aldente.errors._doubles import *  # noqa: F403
    from aldente.errors._explore import *  # noqa: F403
    from aldente.errors._loops import *  # noqa: F403

__all__ = [
    "AldenteError",
    "BlockedEnd",
    "DeadlockError",
    "DoubleMisused",
    "EndlessTimeError",
    "FailedElsewhere",
    "FixtureCancelled",
    "FixtureEnded",
    "FixtureYieldError",
    "FoundInRun",
    "HostCrashed",
    "ImpossibleLoopScope",
    "InvalidSetting",
    "InvalidToken",
    "InvariantBroken",
    "LivelockError",
    "MissingExtra",
    "NeverTrue",
    "NoAnswer",
    "NoMoreAnswers",
    "NoSuchModule",
    "NoSuchTarget",
    "NotAtomic",
    "NotHeld",
    "NotJudged",
    "NotLinearizable",
    "NotSerializable",
    "NotSimulated",
    "OutsideSimulation",
    "PatchedElsewhere",
    "PhaseTimeout",
    "RealTimeError",
    "ReplayMismatch",
    "RunningLoopError",
    "StuckShutdown",
    "StuckTasks",
    "SyncDouble",
    "UnsupportedPython",
    "UnusableState",
    "WorkersFailed",
]

# The modules of the exceptions, imported when a name is in none before: the most needed one first.
_HOMES = ("_base", "_loops", "_doubles", "_explore")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"{__name__}.{home}")
            if name in vars(module):
                found = globals()[name] = vars(module)[name]
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
