"""What the judges of histories promise, tried at length: they say what trying all orders says.

Usage: ``python benchmarks/history_proofs.py [--quick]``. Tests try a part of it; this takes some
minutes. It measures nothing; the exit status is 1 when a promise is broken. Transactions that are
not serializable and not reported are counted: for single values that is no broken promise.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import measuring

# How many histories of operations, of transactions, and of transactions that read of any other one.
HISTORIES = 100_000

_PROGRAM = """
import sys, time
from collections import Counter
import aldente
from tests.conformance.histories import (
    INITIAL, KINDS, is_of_lists, random_operations, random_transactions, some_order_explains,
    some_serial_order_explains, wired_transactions)

count = int(sys.argv[1])

def holds(judge, error):
    try:
        return judge()
    except error as raised:
        assert max(map(len, raised.timeline.splitlines())) <= 100
        return False

def report(kind, verdicts, began, broken):
    wrong, missed = verdicts[True, False], verdicts[False, True]
    print(f"{sum(verdicts.values()):,} histories of {kind}, {verdicts[False, False] + missed:,} of "
          f"them wrong, {time.perf_counter() - began:.0f} s: {wrong} false alarms, {missed} missed"
          f"{' BROKEN' if broken else ''}", flush=True)

began, verdicts = time.perf_counter(), Counter()
for seed in range(count):
    history, model = random_operations(seed)
    said = holds(lambda: history.linearizable(model), aldente.NotLinearizable)
    verdicts[some_order_explains(history, model), said] += 1
broken = verdicts[True, False] or verdicts[False, True]
report(f"operations on {', '.join(KINDS)}", verdicts, began, broken)

def transactions(kind, make, of_lists):
    began, verdicts = time.perf_counter(), Counter()
    seed = 0
    while sum(verdicts.values()) < count:
        history = make(seed)
        seed += 1
        if of_lists is None or is_of_lists(history) is of_lists:
            said = holds(lambda: history.serializable(initial=INITIAL), aldente.NotSerializable)
            verdicts[some_serial_order_explains(history), said] += 1
    broken = verdicts[True, False] or (of_lists and verdicts[False, True])
    report(kind, verdicts, began, broken)
    return broken

broken = transactions("transactions on lists", random_transactions, True) or broken
broken = transactions("transactions on values and lists", random_transactions, False) or broken
broken = transactions("transactions that read of any other", wired_transactions, None) or broken
sys.exit(bool(broken))
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try it all, and say whether all promises are kept."""
    options = measuring.parse_arguments(__doc__, arguments)
    python = measuring.make_environment("simulation-proofs", options.python, ["pytest"])
    wheel = measuring.build_wheel(python)
    measuring.install(python, ["--force-reinstall", "--no-deps", str(wheel)])
    part = 10 if options.rounds == 3 else 1
    print(f"Python {measuring.python_version(options.python)}")
    child = subprocess.run(
        [str(python), "-c", _PROGRAM, str(HISTORIES // part)],
        cwd=measuring.ROOT,
        env=measuring.clean_environment(),
        check=False,
    )
    return min(child.returncode, 1)


if __name__ == "__main__":
    sys.exit(main())
