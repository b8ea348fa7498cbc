"""The command line and the ini keys of virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from aldente._plugin import pytest_compat
from aldente._settings import Settings, parse_clock, parse_configured_wall
from aldente._validation import parse_seconds


def add_options(parser: pytest.Parser) -> None:
    """Register the options of virtual time."""
    parser.getgroup("aldente").addoption(
        "--aldente-clock",
        dest="aldente_clock",
        default=None,
        metavar="CLOCK",
        help="'virtual' lets loop time jump to the next timer when nothing else can happen; 'real' "
        "is the default",
    )
    parser.addini("aldente_clock", "default of --aldente-clock", default=None)
    parser.addini(
        "aldente_wall",
        "whether time.time() and its like follow virtual time (needs the extra aldente[wall]): "
        "true, or the moment at which they start, as 2030-01-01T00:00Z (default: false)",
        default=None,
    )
    parser.addini(
        "aldente_max_virtual_time",
        "how far virtual time may advance in a test, in seconds (default: ten years)",
        default=None,
    )


def read(config: pytest.Config) -> dict[str, Any]:
    """The fields of `Settings` that are about time.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    given = config.getoption("aldente_clock")
    clock = config.getini("aldente_clock") if given is None else given
    name = "aldente_clock" if given is None else "--aldente-clock"
    wall = pytest_compat.flag_or_text(config, "aldente_wall")
    limit = config.getini("aldente_max_virtual_time")
    return {
        "clock": parse_clock(name, clock) if clock else Settings().clock,
        "wall": parse_configured_wall("aldente_wall", wall or False),
        "max_virtual_time": (
            parse_seconds("aldente_max_virtual_time", limit)
            if limit
            else Settings().max_virtual_time
        ),
    }
