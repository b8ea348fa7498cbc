"""What the unit tests share."""

from __future__ import annotations

import asyncio


def pytest_runtestloop() -> None:
    """Have aldente look at loops before the first test, as some tests take the place of its rules."""
    asyncio.new_event_loop().close()
