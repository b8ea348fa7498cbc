"""Raises what async code has raised, as pytest and the user should see it."""

from __future__ import annotations

from typing import NoReturn

import pytest

from aldente._plugin.options import settings_of
from aldente._plugin.outcomes import unwrapped
from aldente._plugin.tracebacks import hide_frames


def reraise(error: BaseException, config: pytest.Config) -> NoReturn:
    """Raise an exception as the outcome it means, without the frames of asyncio and aldente."""
    __tracebackhide__ = True
    outcome = unwrapped(error)
    if not settings_of(config).full_trace:
        hide_frames(outcome)
    if outcome is error:
        raise error
    raise outcome from None
