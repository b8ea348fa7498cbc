"""What real libraries do on the simulated network, tried at length: no schedule breaks them, and
each seed gives the same run in another process.

Usage: ``python benchmarks/library_proofs.py [--quick]``. Tests try a part of it; this takes some
minutes. It measures nothing; the exit status is 1 when a library has failed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import measuring

# How many schedules of each program, plain and with TLS, and of how many seeds two processes'
# runs are compared.
SCHEDULES, SEEDS = 200, 10

_LIBRARIES = [
    *("aiohttp", "fastapi", "python-multipart", "httpx", "uvicorn", "hypercorn", "websockets"),
    *("redis", "nats-py", "aiosmtpd", "aiosmtplib", "grpclib", "asyncssh"),
]

_PROGRAM = """
import json, logging, os, subprocess, sys, time
import aldente
from tests.conformance.bodies.with_connections import certificate
from tests.plugin.coexistence.networked.replaying import what_happens
from tests.plugin.coexistence.networked.table import PROGRAMS, missing_for

schedules, seeds = map(int, sys.argv[1:])
logging.disable(logging.CRITICAL)
broken = False
names = [name for name in PROGRAMS if certificate() or not name.endswith("tls")]
for name in names:
    assert not missing_for(name), missing_for(name)
    began = time.perf_counter()
    exploration = aldente.search(PROGRAMS[name][0], runs=schedules, seed=1)
    failed = exploration.failure is not None or bool(exploration.escaped)
    broken |= failed
    verdict = "FAILED" if failed else "none failed"
    print(f"{name}: {exploration.runs} runs, {exploration.distinct} of them distinct, "
          f"{time.perf_counter() - began:.0f} s: {verdict}", flush=True)
    if exploration.failure is not None:
        print(exploration.failure.report())
module = "tests.plugin.coexistence.networked.replaying"
# With other hashes of strings than here.
there = subprocess.run(
    [sys.executable, "-m", module, str(seeds), *names],
    env=os.environ | {"PYTHONHASHSEED": "2654435769"},
    stdout=subprocess.PIPE, text=True, check=True)
here = {name: what_happens(name, seeds) for name in names}
different = [name for name, runs in json.loads(there.stdout).items() if runs != here[name]]
print(f"{len(names) * seeds} runs, again in another process: "
      f"{'DIFFERENT: ' + ', '.join(different) if different else 'the same'}")
sys.exit(broken or bool(different))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it all, and say whether no library has failed."""
    options = measuring.parse_arguments(__doc__, arguments)
    needed = ["pytest", *_LIBRARIES]
    python = measuring.make_environment("library-proofs", options.python, needed)
    wheel = measuring.build_wheel(python)
    measuring.install(python, ["--force-reinstall", "--no-deps", str(wheel)])
    part = 10 if options.rounds == 3 else 1
    print(f"Python {measuring.python_version(options.python)}")
    child = subprocess.run(
        [str(python), "-c", _PROGRAM, str(SCHEDULES // part), str(SEEDS // part)],
        cwd=measuring.ROOT,
        env=measuring.clean_environment(),
        check=False,
    )
    return min(child.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
