"""Checks users' arguments for runs of whole programs."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

from aldente import _asyncio_compat
from aldente._explore.runs import RunSettings
from aldente._schedules import ORDERS, Order
from aldente._settings import Settings, parse_wall
from aldente._simulation.choices import Option, Strategy
from aldente._strategies.registry import GROUP, STRATEGIES, is_strategy, make_strategy
from aldente._validation import parse_seconds, parse_seed, parse_whole
from aldente.errors import InvalidSetting


def check_program(function: str, main: object) -> None:
    """Check that the program is a coroutine function, and that no loop is running.

    Args:
        function: the name of aldente's function.
        main: the user's argument.

    Raises:
        InvalidSetting: the program is not a coroutine function.
        RuntimeError: an event loop is running in this thread.
    """
    if not inspect.iscoroutinefunction(main):
        if inspect.iscoroutine(main):
            # The error reports it, so Python need not warn that it was never awaited.
            main.close()
        raise InvalidSetting(
            "main",
            main,
            (
                "It must be a coroutine function without arguments: pass the function, without "
                "calling it."
            ),
        )
    if _asyncio_compat.is_loop_running_here():
        raise RuntimeError(
            f"aldente.{function}() cannot be called from a running event loop.\n"
            "Fix: await the function instead, or run it in a thread of its own: "
            f"await asyncio.to_thread(aldente.{function}, main)."
        )


def parse_rules(
    *,
    order: object = "any",
    slack: object = 1.0,
    seed: object = None,
    max_steps: object = 100_000,
    wall: object = False,
    max_virtual_time: float = Settings().max_virtual_time,
    debug: bool | None = None,
) -> RunSettings:
    """The `Rules` for a user's arguments.

    Raises:
        InvalidSetting: an argument has a wrong value.

    >>> parse_rules(order="io").order
    'io'
    """
    return RunSettings(
        order=_parse_order(order),
        slack=_parse_slack(slack),
        seed=0 if seed is None else parse_seed("seed", seed),
        max_steps=parse_whole("max_steps", max_steps, 1, 10**9),
        wall=parse_wall("wall", wall),
        max_virtual_time=max_virtual_time,
        debug=debug,
    )


def parse_strategy(value: object, seed: int) -> Strategy:
    """The strategy that a user has named or made.

    Raises:
        InvalidSetting: the value is not a strategy.

    >>> type(parse_strategy("random", 1)).__name__
    'Random'
    """
    if isinstance(value, str):
        found = make_strategy(value, seed)
        if is_strategy(found):
            return found
    elif is_strategy(value):
        return _Checked(value)
    elif callable(value) and not isinstance(value, type):
        made = value(seed)
        if is_strategy(made):
            return _Checked(made)
    allowed = (
        f"Strategies are: {', '.join(STRATEGIES)}; those of other packages, by their entry points "
        f"in the group {GROUP}; an object with start, choose and end, or a function that makes one "
        "from a seed."
    )
    raise InvalidSetting("strategy", value, allowed)


def parse_end(name: str, value: object) -> float | None:
    """A user's limit in real seconds; None for no limit.

    Raises:
        InvalidSetting: the value is not a number greater than 0.

    >>> parse_end("max_seconds", 2)
    2.0
    """
    if isinstance(value, str):
        raise InvalidSetting(name, value, "It must be a number of seconds greater than 0.")
    return None if value is None else parse_seconds(name, value)


class _Checked:
    """Wraps a user's strategy and checks its choices.

    Args:
        strategy: the strategy.
    """

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self.start = strategy.start
        self.end = strategy.end

    def __getattr__(self, name: str) -> Any:
        # The optional attributes of a strategy, such as `coverage`.
        return getattr(self._strategy, name)

    def choose(self, count: int, options: Sequence[Option]) -> int:
        """The strategy's choice.

        Raises:
            InvalidSetting: there is no such option.
        """
        index = self._strategy.choose(count, options)
        if isinstance(index, int) and 0 <= index < count:
            return index
        name = f"choice of {type(self._strategy).__name__}"
        raise InvalidSetting(name, index, f"The options were 0 to {count - 1}.")


def _parse_order(value: object) -> Order:
    for order in ORDERS:
        if value == order:
            return order
    raise InvalidSetting("order", value, f"Orders are: {', '.join(ORDERS)}.")


def _parse_slack(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise InvalidSetting("slack", value, "It must be a number, 0 or greater.")
