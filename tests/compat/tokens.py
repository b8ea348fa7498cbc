"""Whether the tokens that one Python makes replay on all others, or are refused with the reason.

    python tests/compat/tokens.py .venv/3.11/bin/python .venv/3.15/bin/python

Each Python, which has aldente installed, searches the programs of ``tests/known_bugs`` that take few
runs, and some in which asyncio itself differs. Each of the others replays what it has found. A token may fail as it did, or be refused by a
`ReplayMismatch` that names both Pythons; a replay that passes, or fails in another way, would be a
false word. The exit status is 1 if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
_SEEDS = range(2)

Tokens = dict[str, dict[str, str]]


# Programs in which asyncio takes other steps on some versions, or goes through a set.


async def waited_for() -> None:
    """wait_for makes a task on Python 3.11 only."""
    order: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)

    async def wait(number: int) -> None:
        await asyncio.wait_for(work(number), 5)
        await asyncio.wait_for(work(number), 5)
        order.append(number)

    await asyncio.gather(*map(wait, range(3)))
    assert order != [2, 0, 1]


async def as_completed() -> None:
    """What as_completed gives first."""

    async def work(number: float) -> float:
        await asyncio.sleep(number)
        return number

    found = [await each for each in asyncio.as_completed([work(number) for number in (1, 2, 1.5)])]
    assert found == sorted(found)


async def cancelled_in_order() -> None:
    """A TaskGroup cancels its tasks in the order of a set."""
    order = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            order.append(name)

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError

    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(work(name))
            group.create_task(fail())
    assert order != ["c", "b", "a"]


async def waited_in_sets() -> None:
    """asyncio.wait gives sets of tasks, futures and what gather gives."""
    loop = asyncio.get_running_loop()

    async def work(number: int) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return number

    futures = [loop.create_future() for _ in range(3)]
    waited: list[asyncio.Future[Any]] = [asyncio.gather(work(number)) for number in range(3)]
    waited += [asyncio.ensure_future(work(number)) for number in range(3)]
    for number, future in enumerate(futures):
        loop.call_later(number % 2, future.set_result, number)
    done, _ = await asyncio.wait([*waited, *futures], return_when=asyncio.FIRST_COMPLETED)
    first = [waited.index(each) for each in done if each in waited]
    await asyncio.wait([*waited, *futures])
    # Begun in the other order.
    assert not (4 in first and 3 not in first)


VARYING = {
    main.__name__: main for main in (waited_for, as_completed, cancelled_in_order, waited_in_sets)
}


def programs() -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """All programs by their names."""
    from tests.known_bugs.table import BUGS, SIMPLE

    # Those with faults take long, and their choices are of the same kinds.
    found = [bug for bug in BUGS if bug.runs == SIMPLE and not bug.has_faults]
    return {bug.name: bug.main for bug in found} | VARYING


class Outcome(NamedTuple):
    """What came of a token on another Python.

    Attributes:
        kind: ``"failed"`` as it did where it was made, ``"refused"`` with the reason, or a sentence
            on what else has happened.
        name: the program and seed.
    """

    kind: str
    name: str


def search_all() -> Tokens:
    """The tokens of the known bugs that are found in few runs, with what they raise."""
    import aldente

    found: Tokens = {}
    for name, main in programs().items():
        for seed in _SEEDS:
            failure = aldente.search(main, seed=seed).failure
            if failure is None or failure.inexact:
                print(f"{name}: {(failure and failure.inexact) or 'not found'}", file=sys.stderr)
                continue
            raised = type(failure.exception).__name__
            found[f"{name} {seed}"] = {"token": failure.token, "raised": raised}
    return found


def replay_all(tokens: Tokens, made_on: str) -> list[Outcome]:
    """What comes of tokens on this Python."""
    import aldente

    mains = programs()
    here = f"this is Python {sys.version_info[0]}.{sys.version_info[1]}"
    outcomes = []
    for name, kept in tokens.items():
        try:
            aldente.replay(mains[name.partition(" ")[0]], kept["token"])
        except aldente.ReplayMismatch as mismatch:
            is_reason_given = f"recorded on Python {made_on}" in str(mismatch) and here in str(
                mismatch
            )
            kind = "refused" if is_reason_given else f"refused without the reason: {mismatch}"
        except BaseException as error:
            raised = type(error).__name__
            kind = (
                "failed" if raised == kept["raised"] else f"raised {raised}, not {kept['raised']}"
            )
        else:
            kind = "passed, though it was not refused"
        outcomes.append(Outcome(kind, name))
    return outcomes


def _ask(python: str, *arguments: str, given: object = None) -> Any:
    """Run this script on a Python, and read its answer."""
    answer = subprocess.run(
        [python, "-m", "tests.compat.tokens", *arguments],
        cwd=ROOT,
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout)


def _version_of(python: str) -> str:
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Compare all pairs; 1 if a token is neither replayed nor refused with the reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pythons", nargs="*", help="each with aldente installed")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--replay", metavar="MADE_ON", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        json.dump(search_all(), sys.stdout)
        return 0
    if options.replay:
        json.dump(replay_all(json.load(sys.stdin), options.replay), sys.stdout)
        return 0
    versions = {_version_of(python): python for python in options.pythons}
    with ThreadPoolExecutor(2) as pool:
        made = dict(
            zip(
                versions,
                pool.map(lambda python: _ask(python, "--search"), versions.values()),
                strict=True,
            )
        )
        pairs = [(one, other) for one in versions for other in versions if one != other]
        answers = pool.map(
            lambda pair: _ask(versions[pair[1]], "--replay", pair[0], given=made[pair[0]]), pairs
        )
        wrong = 0
        for (one, other), answer in zip(pairs, answers, strict=True):
            outcomes = [Outcome(*each) for each in answer]
            counts = collections.Counter(outcome.kind for outcome in outcomes)
            known = counts.pop("failed", 0), counts.pop("refused", 0)
            print(f"{one} on {other}: {known[0]} replayed, {known[1]} refused with the reason")
            for outcome in outcomes:
                if outcome.kind not in ("failed", "refused"):
                    print(f"    {outcome.name}: {outcome.kind}")
            wrong += sum(counts.values())
    print(f"{wrong} of the tokens were neither." if wrong else "All tokens were one or the other.")
    return 1 if wrong or not any(made.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
