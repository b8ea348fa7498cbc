"""The mark `aldente.explore`; imported when a test module has it."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from typing import Any, overload

from aldente._explore.arguments import parse_end, parse_rules, parse_strategy
from aldente._plugin.marks import Marked, MarkLike
from aldente._settings import parse_wall
from aldente._simulation.choices import Strategy
from aldente._strategies.registry import is_strategy
from aldente._validation import parse_runs
from aldente.errors import InvalidSetting

# The name of a strategy, or a function that makes one from a seed.
StrategyArgument = str | Callable[[int], Strategy]

_OPTIONS = ("runs", "strategy", "order", "slack", "seed", "max_steps", "max_seconds", "wall")


class Explore(MarkLike):
    """Has an async test run under many schedules, until one fails.

    Every test is still one test to pytest. Its function-scoped fixtures are set up again for every
    run, on that run's loop. An option that a mark leaves out comes from the mark of the class or
    module, else from the configuration.
    """

    # Called with a function or class, or with options.
    @overload  # type: ignore[override]
    def __call__(self, marked: Marked) -> Marked: ...

    @overload
    def __call__(
        self,
        *,
        runs: int = 200,
        strategy: StrategyArgument = "auto",
        order: str = "any",
        slack: float = 1.0,
        seed: int | None = None,
        max_steps: int = 100_000,
        max_seconds: float | None = None,
        wall: bool | str | datetime.datetime = False,
    ) -> Explore: ...

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, marked: Marked | None = None, **options: Any
    ) -> Marked | Explore:
        """Mark a test function or class, or make a mark with other options.

        Args:
            marked: the function or class.
            options: ``runs``, the most schedules to run; ``strategy``, the strategy that chooses
                them, by name or as a function that makes one from a seed; ``order``, ``"any"`` to
                delay any task or ``"io"`` for only those that something outside resumes; ``slack``,
                how much longer a sleep may take, as a fraction of its time; ``seed``, the seed of
                the schedules and of the randomness of the test; ``max_steps``, the most steps of a
                run; ``max_seconds``, the time limit for all runs of a test, in real seconds;
                ``wall``, whether the clocks of the process follow loop time, or the moment at which
                they start.

        Raises:
            InvalidSetting: an option has a wrong value.
            TypeError: there is no such option.
        """
        if marked is not None and not options and callable(marked):
            return self.decorate(marked)
        return Explore(explore={**self.mark.kwargs["explore"], **_checked(marked, **options)})


def _checked(_marked: object = None, /, **options: Any) -> dict[str, Any]:
    if _marked is not None or set(options) - set(_OPTIONS):
        given = [repr(_marked)] * (_marked is not None)
        given += [f"{name}={value!r}" for name, value in options.items()]
        raise TypeError(
            f"aldente.explore takes the options {', '.join(f'{name}=...' for name in _OPTIONS)} "
            f"only. It got {', '.join(given)}."
        )
    if "runs" in options:
        parse_runs("runs", options["runs"])
    if "strategy" in options:
        _check_strategy(options["strategy"])
    parse_end("max_seconds", options.get("max_seconds"))
    of_rules = ("order", "slack", "seed", "max_steps")
    parse_rules(**{name: options[name] for name in of_rules if name in options})
    if "wall" in options:
        options["wall"] = parse_wall("wall", options["wall"])
    return options


def _check_strategy(strategy: object) -> None:
    if is_strategy(strategy):
        raise InvalidSetting(
            "strategy",
            strategy,
            "One object would be shared by all tests with the mark. Give a function that makes "
            "a strategy from a seed, for example lambda seed: Strategy(seed), or a name.",
        )
    if not callable(strategy) or isinstance(strategy, type):
        parse_strategy(strategy, 0)
    elif not _takes_seed(strategy):
        allowed = "A function that makes a strategy must take the seed as its only argument."
        raise InvalidSetting("strategy", strategy, allowed)


def _takes_seed(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0)
    except TypeError:
        return False
    except ValueError:
        # Written in C, without a signature: calling it will show.
        return True
    return True


explore = Explore(explore={})
