"""What has stopped the clocks of the process, if anything."""

from __future__ import annotations

import sys
from typing import Any

_NOTE = (
    "freezegun has frozen the clocks: what waits until one has gone on waits for ever. "
    "freeze_time(..., real_asyncio=True) leaves asyncio's own clock alone. On virtual time "
    "(@aldente.virtual_time(wall=True)) the clocks follow the time of the loop, and sleeps take "
    "no time."
)


def note() -> list[str]:
    """A paragraph for a report of what does not end, if somebody has frozen the clocks."""
    api: Any = sys.modules.get("freezegun.api")
    return [_NOTE] if getattr(api, "freeze_factories", None) else []
