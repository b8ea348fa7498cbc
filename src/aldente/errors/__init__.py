"""Every public exception of aldente.

Each takes facts, keeps them as attributes and builds its message from them: what happened, where,
why it matters and what to do.

``_base``
    Exceptions that any run may need.
``_doubles``, ``_shutdown``, ``_simulation``, ``_time``
    Exceptions that few runs need, by subject; imported on first access.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aldente.errors._base import (
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
    from aldente.errors._doubles import (
        DoubleMisused,
        NoAnswer,
        NoMoreAnswers,
        NoSuchModule,
        NoSuchTarget,
        NotHeld,
        PatchedElsewhere,
        SyncDouble,
    )
    from aldente.errors._shutdown import BlockedEnd, StuckShutdown, StuckTasks
    from aldente.errors._simulation import (
        FoundInRun,
        InvalidToken,
        InvariantBroken,
        LivelockError,
        NotSimulated,
        OutsideSimulation,
        ReplayMismatch,
        UnsupportedPython,
    )
    from aldente.errors._time import EndlessTimeError, MissingExtra, NeverTrue, RealTimeError

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
    "BlockedEnd": "_shutdown",
    "StuckShutdown": "_shutdown",
    "StuckTasks": "_shutdown",
    "DoubleMisused": "_doubles",
    "EndlessTimeError": "_time",
    "FoundInRun": "_simulation",
    "InvalidToken": "_simulation",
    "InvariantBroken": "_simulation",
    "LivelockError": "_simulation",
    "MissingExtra": "_time",
    "NeverTrue": "_time",
    "NoAnswer": "_doubles",
    "NoMoreAnswers": "_doubles",
    "NoSuchModule": "_doubles",
    "NoSuchTarget": "_doubles",
    "NotHeld": "_doubles",
    "NotSimulated": "_simulation",
    "OutsideSimulation": "_simulation",
    "PatchedElsewhere": "_doubles",
    "RealTimeError": "_time",
    "ReplayMismatch": "_simulation",
    "SyncDouble": "_doubles",
    "UnsupportedPython": "_simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
