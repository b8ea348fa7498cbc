"""Random programs of clients and servers: simulated, they see what they see on real sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from typing import Any

import pytest

from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.fifo import Fifo
from tests.conformance.generated_network import network_program

# benchmarks/simulation_proofs.py tries more.
PROGRAMS = 40
# What has not arrived yet on the system's sockets makes a try differ; it then gets more time.
SECONDS = (0.002, 0.01, 0.05)

Notes = dict[str, list[str]] | str


def on_system(seed: int, seconds: float = SECONDS[0]) -> Notes:
    """What the parties of a program see on the system's sockets."""

    def make() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop()
        loop.set_exception_handler(lambda *_: None)
        return loop

    try:
        with asyncio.Runner(loop_factory=make) as runner:
            return runner.run(network_program(seed, seconds=seconds)())
    except Exception as error:
        return repr(error)


def on_simulated(seed: int) -> Notes:
    """What they see in a simulated run in stock order."""
    run = simulate(network_program(seed), Fifo(), RunSettings())
    result: Any = run.result
    return result if run.error is None else repr(run.error)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """asyncio logs what it does not raise."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    gc.collect()


# Programs leave transports behind that they do not close.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's network that is simulated")
def test_parties_see_what_they_see_on_real_sockets() -> None:
    """Data, its order, ends, errors and their numbers are those of Linux."""
    seen = 0
    for seed in range(PROGRAMS):
        simulated = on_simulated(seed)
        for seconds in SECONDS:
            real = on_system(seed, seconds)
            if real == simulated:
                break
        assert simulated == real, seed
        assert isinstance(real, dict)
        seen += sum(map(len, real.values()))
    # They are programs of some size.
    assert seen > 10 * PROGRAMS
