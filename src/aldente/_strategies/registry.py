"""Makes strategies by their names, including those of other packages."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any, TypeGuard

from aldente._simulation.choices import Strategy
from aldente._strategies.auto import Auto
from aldente._strategies.dfs import Dfs
from aldente._strategies.fifo import Fifo
from aldente._strategies.pct import Pct
from aldente._strategies.pos import Pos
from aldente._strategies.random import Random

# The group of entry points for strategies of other packages: callables that take the seed.
GROUP = "aldente.strategies"

_MAKERS: dict[str, Callable[[int], Strategy]] = {
    "auto": Auto,
    "dfs": lambda seed: Dfs(),
    "fifo": lambda seed: Fifo(),
    "pct": Pct,
    "pos": Pos,
    "random": Random,
}

STRATEGIES = tuple(_MAKERS)


def is_strategy(value: object) -> TypeGuard[Strategy]:
    """Whether an object has the methods of a strategy; a class is not a strategy itself."""
    return not isinstance(value, type) and all(
        callable(getattr(value, name, None)) for name in ("start", "choose", "end")
    )


def make_strategy(name: str, seed: int) -> Any:
    """A new strategy by its name; None if the name is unknown.

    Args:
        name: one of `STRATEGIES`, or the name of an entry point of the group `GROUP`.
        seed: the seed of all its runs.

    >>> type(make_strategy("auto", 1)).__name__
    'Auto'
    """
    if name in _MAKERS:
        return _MAKERS[name](seed)
    for point in importlib.metadata.entry_points(group=GROUP, name=name):
        return point.load()(seed)
    return None
