"""What the simulated network costs, beside asyncio's own loop over real loopback.

Usage: ``python benchmarks/network.py [--quick]``. README.md beside this file says what the
numbers mean. The exit status is 1 when aldente misses a limit.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import measuring

LIBRARIES = {"aiohttp": "3.14.5"}

# How many times as many as over real loopback there have to be in a second.
LIMITS = {"echo": 2.0, "GET": 1.3}

# All in one process, in turns of some milliseconds, so that they share its luck; the best of each
# counts.
_PROGRAM = """
import asyncio, json, time
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.fifo import Fifo

MESSAGE, ECHOES, GETS = b"x" * 1023 + b"\\n", 2_000, 300

async def echo():
    async def answer(reader, writer):
        while data := await reader.readline():
            writer.write(data)
            await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    began = time.perf_counter()
    for _ in range(ECHOES):
        writer.write(MESSAGE)
        await writer.drain()
        assert await reader.readline() == MESSAGE
    seconds = time.perf_counter() - began
    writer.close()
    server.close()
    return ECHOES / seconds

async def gets():
    from aiohttp import ClientSession, web
    async def answer(request):
        return web.Response(text="hello")
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        began = time.perf_counter()
        for _ in range(GETS):
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                assert await response.text() == "hello"
        seconds = time.perf_counter() - began
    await runner.cleanup()
    return GETS / seconds

def real(main):
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(main())

def simulated(main):
    run = simulate(main, Fifo(), RunSettings())
    if run.error is not None:
        raise run.error
    return run.result

best = {}
for _ in range(10):
    for name, main in (("echo", echo), ("GET", gets)):
        for kind, run in (("real", real), ("simulated", simulated)):
            best[f"{name} {kind}"] = max(run(main), best.get(f"{name} {kind}", 0.0))
print(json.dumps(best))
"""

Rates = dict[str, float]


def prepare_python(python: str) -> Path:
    """Make an environment with aldente and the libraries."""
    libraries = [f"{name}=={version}" for name, version in LIBRARIES.items()]
    environment = measuring.make_environment("network", python, ["pytest", *libraries])
    wheel = measuring.build_wheel(environment)
    measuring.install(environment, ["--force-reinstall", "--no-deps", str(wheel)])
    return environment


def run_once(python: Path) -> Rates:
    """The rates of one process."""
    result = subprocess.run(
        [str(python), "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=measuring.clean_environment(),
    )
    if result.returncode:
        raise measuring.ChildFailed(["python", "-c", "..."], result.returncode, result.stderr)
    rates: Rates = json.loads(result.stdout)
    return rates


def report(rounds: Sequence[Rates]) -> bool:
    """Print the rates of all rounds; whether the limits are kept."""
    rows, is_kept = [], True
    for name, limit in LIMITS.items():
        real, simulated = (
            statistics.median(rates[f"{name} {kind}"] for rates in rounds)
            for kind in ("real", "simulated")
        )
        ratio = statistics.median(
            rates[f"{name} simulated"] / rates[f"{name} real"] for rates in rounds
        )
        is_kept = is_kept and ratio >= limit
        verdict = "kept" if ratio >= limit else "MISSED"
        rows.append([name, f"{real:,.0f}", f"{simulated:,.0f}", f"{ratio:.2f} x", verdict])
    header = ["a second", "real loopback", "simulated", "ratio", "limit"]
    print(measuring.table(header, rows))
    return is_kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and say whether the limits are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = prepare_python(options.python)
    print(f"Python {measuring.python_version(options.python)}, {options.rounds} rounds")
    return 0 if report([run_once(python) for _ in range(options.rounds)]) else 1


if __name__ == "__main__":
    sys.exit(main())
