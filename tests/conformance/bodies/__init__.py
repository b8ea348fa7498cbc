"""Programs that note what they do, to be run on stock asyncio and on virtual time.

What they note is in an order that asyncio promises, or keeps to on one machine.
"""

from tests.conformance.bodies import (
    of_the_loop,
    of_time,
    with_connections,
    with_others,
    with_threads,
)
from tests.conformance.bodies.table import BODIES, Body

__all__ = [
    "BODIES",
    "Body",
    "of_the_loop",
    "of_time",
    "with_connections",
    "with_others",
    "with_threads",
]
