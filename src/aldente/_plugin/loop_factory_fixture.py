"""The fixture that parametrises tests with several kinds of loop.

A module of its own, so that it can be registered as a plugin when the first test needs it.
"""

from __future__ import annotations

from typing import Any

import pytest

FACTORY_FIXTURE = "_asyncio_loop_factory"


@pytest.fixture(scope="session", name=FACTORY_FIXTURE)
def _loop_factory(request: pytest.FixtureRequest) -> Any:
    """The loop factory that a test is parametrised with."""
    return request.param
