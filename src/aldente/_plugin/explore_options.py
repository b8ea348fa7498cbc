"""The command line and the ini keys of exploration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aldente.errors import InvalidSetting

if TYPE_CHECKING:
    from aldente._schedules import Schedule


def add_options(parser: pytest.Parser) -> None:
    """Register the options of exploration."""
    group = parser.getgroup("aldente")
    group.addoption(
        "--aldente-runs",
        dest="aldente_runs",
        default=None,
        metavar="N",
        help="how many schedules each test marked with aldente.explore is run under at most, "
        "whatever its mark says",
    )
    group.addoption(
        "--aldente-seed",
        dest="aldente_seed",
        default=None,
        metavar="N",
        help="the seed of the schedules of explored tests, whatever their marks say",
    )
    group.addoption(
        "--aldente-replay",
        dest="aldente_replay",
        default=None,
        metavar="TOKEN",
        help="run one explored test once more, under the schedule that the report of its failure "
        "has named",
    )
    parser.addini(
        "aldente_runs",
        "how many schedules to run explored tests under whose mark sets no number (default: 200)",
        default=None,
    )


def read(config: pytest.Config) -> dict[str, Any]:
    """The fields of `Settings` that are about exploration.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    default = config.getini("aldente_runs")
    runs, seed = config.getoption("aldente_runs"), config.getoption("aldente_seed")
    found: dict[str, Any] = {"replay": _schedule(config.getoption("aldente_replay"))}
    if default or runs is not None or seed is not None:
        # Imported here, as most suites do not set these.
        from aldente._validation import parse_runs, parse_seed, whole_if_written

        if default:
            found["runs"] = parse_runs("aldente_runs", whole_if_written(default))
        if runs is not None:
            found["forced_runs"] = parse_runs("--aldente-runs", whole_if_written(runs))
        if seed is not None:
            found["forced_seed"] = parse_seed("--aldente-seed", whole_if_written(seed))
    return found


def _schedule(token: str | None) -> Schedule | None:
    if token is None:
        return None
    from aldente._simulation import tokens
    from aldente.errors import InvalidToken

    try:
        return tokens.decode(token)
    except InvalidToken as error:
        allowed = f"{error.reason} Copy the token as it was printed, all of it."
        raise InvalidSetting("--aldente-replay", token, allowed) from None
