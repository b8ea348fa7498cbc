"""The same programs on stock asyncio and on virtual time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

import aldente
from aldente._virtual_time.loop import VirtualTimeLoop
from tests.conformance.bodies import BODIES, Body
from tests.conformance.bodies.with_connections import certificate

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="virtual time needs a selector event loop"
)

# On a busy machine stock asyncio may come late, and do first what should be last.
TRIES = 5


def trace_of(body: Body, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> list[str]:
    """What a program notes on a loop."""
    trace: list[str] = []

    def note(*what: object) -> None:
        trace.append(" ".join(each if isinstance(each, str) else repr(each) for each in what))

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(body(note))  # type: ignore[arg-type]
    return trace


# What some programs do on purpose.
@aldente.allow("nested-loop", "blocking-call")
@pytest.mark.parametrize("name", BODIES)
def test_a_program_does_the_same_as_on_stock_asyncio(name: str) -> None:
    """What a program does, and in which order, is the same on virtual time as on stock asyncio."""
    if name == "streams_over_tls" and not certificate():
        pytest.skip("this Python was installed without its tests, which have a certificate")
    for _ in range(TRIES):
        # Jobs in threads take real time on both, and on a busy machine the loop may come too late
        # to see which of two is over first.
        on_virtual_time = trace_of(BODIES[name], VirtualTimeLoop)
        assert on_virtual_time
        on_stock = trace_of(BODIES[name], asyncio.SelectorEventLoop)
        if on_stock == on_virtual_time:
            break
    assert on_virtual_time == on_stock
