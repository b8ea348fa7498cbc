"""Every public exception of aldente.

Each takes facts, keeps them as attributes and builds its message from them: what happened, where,
why it matters and what to do.

``_base``
    Exceptions that any run may need.
``_loops``, ``_doubles``, ``_explore``
    Those of event loops and their time, of doubles, of histories, and of searches in several
    processes; imported on first access.
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
    from aldente.errors._explore import (
        FailedElsewhere,
        NotAtomic,
        NotJudged,
        NotLinearizable,
        NotSerializable,
        UnusableState,
        WorkersFailed,
    )
    from aldente.errors._loops import (
        BlockedEnd,
        EndlessTimeError,
        FoundInRun,
        HostCrashed,
        InvalidToken,
        InvariantBroken,
        LivelockError,
        MissingExtra,
        NeverTrue,
        NotSimulated,
        OutsideSimulation,
        RealTimeError,
        ReplayMismatch,
        StuckShutdown,
        StuckTasks,
        UnsupportedPython,
    )

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


# The modules of the exceptions that are imported on first access.
_LATER = {
    "BlockedEnd": "_loops",
    "StuckShutdown": "_loops",
    "StuckTasks": "_loops",
    "DoubleMisused": "_doubles",
    "EndlessTimeError": "_loops",
    "FailedElsewhere": "_explore",
    "FoundInRun": "_loops",
    "HostCrashed": "_loops",
    "InvalidToken": "_loops",
    "InvariantBroken": "_loops",
    "LivelockError": "_loops",
    "MissingExtra": "_loops",
    "NeverTrue": "_loops",
    "NoAnswer": "_doubles",
    "NoMoreAnswers": "_doubles",
    "NoSuchModule": "_doubles",
    "NoSuchTarget": "_doubles",
    "NotAtomic": "_explore",
    "NotHeld": "_doubles",
    "NotJudged": "_explore",
    "NotLinearizable": "_explore",
    "NotSerializable": "_explore",
    "NotSimulated": "_loops",
    "OutsideSimulation": "_loops",
    "PatchedElsewhere": "_doubles",
    "RealTimeError": "_loops",
    "ReplayMismatch": "_loops",
    "SyncDouble": "_doubles",
    "UnsupportedPython": "_loops",
    "UnusableState": "_explore",
    "WorkersFailed": "_explore",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
