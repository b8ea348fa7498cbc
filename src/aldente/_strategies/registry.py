"""Makes strategies by their names, those of other packages included."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any, TypeGuard

from aldente._simulation.choices import Chooser
from aldente._strategies.auto import Auto
from aldente._strategies.dfs import Dfs
from aldente._strategies.fifo import Fifo
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random

# The group of entry points by which other packages give strategies: functions of the seed.
GROUP = "aldente.strategies"

_MAKERS: dict[str, Callable[[int], Chooser]] = {
    "auto": Auto,
    "dfs": lambda seed: Dfs(),
    "fifo": lambda seed: Fifo(),
    "pct": Pct,
    "pos": Pos,
    "random": Random,
}

STRATEGIES = tuple(_MAKERS)


def is_strategy(value: object) -> TypeGuard[Chooser]:
    """Whether an object has the methods of a strategy; a class is none until it is called."""
    return not isinstance(value, type) and all(
        callable(getattr(value, name, None)) for name in ("start", "choose", "end")
    )


def make_strategy(name: str, seed: int) -> Any:
    """The strategy with a name; None if there is none.

    Args:
        name: one of `STRATEGIES`, or the name of an entry point of the group `GROUP`.
        seed: what all of its runs depend on.

    >>> type(make_strategy("auto", 1)).__name__
    'Auto'
    """
    if name in _MAKERS:
        return _MAKERS[name](seed)
    for point in importlib.metadata.entry_points(group=GROUP, name=name):
        return point.load()(seed)
    return None
