"""Every public exception of aldente.

Each takes facts, keeps them as attributes and builds its message from them: what happened, where,
why it matters and what to do.

``base``
    Exceptions that any run may need.
``doubles``, ``shutdown``, ``simulation``, ``time``
    Exceptions that few runs need, by subject; imported on first access.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aldente.errors.base import (
    AldenteError,
    DeadlockError,
    FixtureCancelled,
    FixtureEnded,
    FixtureYieldError,
    ImpossibleLoopScope,
    InvalidSetting,
    PhaseTimeout,
    RunningLoopError,
)

if TYPE_CHECKING:
    from aldente.errors.doubles import (
        DoubleMisused,
        NoAnswer,
        NoMoreAnswers,
        NoSuchModule,
        NoSuchTarget,
        NotHeld,
        PatchedElsewhere,
        SyncDouble,
    )
    from aldente.errors.shutdown import BlockedEnd, StuckShutdown, StuckTasks
    from aldente.errors.simulation import (
        FoundInRun,
        InvalidToken,
        InvariantBroken,
        LivelockError,
        NotSimulated,
        OutsideSimulation,
        ReplayMismatch,
        UnsupportedPython,
    )
    from aldente.errors.time import EndlessTimeError, MissingExtra, NeverTrue, RealTimeError

__all__ = [
    "AldenteError",
    "BlockedEnd",
    "DeadlockError",
    "DoubleMisused",
    "EndlessTimeError",
    "FixtureCancelled",
    "FixtureEnded",
    "FixtureYieldError",
    "FoundInRun",
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
    "NotHeld",
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
]


# The modules of the exceptions that are imported on first access.
_LATER = {
    "BlockedEnd": "shutdown",
    "StuckShutdown": "shutdown",
    "StuckTasks": "shutdown",
    "DoubleMisused": "doubles",
    "EndlessTimeError": "time",
    "FoundInRun": "simulation",
    "InvalidToken": "simulation",
    "InvariantBroken": "simulation",
    "LivelockError": "simulation",
    "MissingExtra": "time",
    "NeverTrue": "time",
    "NoAnswer": "doubles",
    "NoMoreAnswers": "doubles",
    "NoSuchModule": "doubles",
    "NoSuchTarget": "doubles",
    "NotHeld": "doubles",
    "NotSimulated": "simulation",
    "OutsideSimulation": "simulation",
    "PatchedElsewhere": "doubles",
    "RealTimeError": "time",
    "ReplayMismatch": "simulation",
    "SyncDouble": "doubles",
    "UnsupportedPython": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
