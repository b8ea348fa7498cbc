"""Whether the tokens that one Python makes replay on all others, or are refused with the reason.

    python tests/compat/tokens.py .venv/3.11/bin/python .venv/3.15/bin/python
    python tests/compat/tokens.py --whole .venv/3.11/bin/python .venv/3.15/bin/python

Each Python, which has aldente installed, searches every third of the programs of ``tests/known_bugs``
that take few runs, and some in which asyncio itself differs; all of them with several seeds if it is
to be done as a whole. Each of the others replays what it has found. A
token may fail as it did, or be refused by a `ReplayMismatch` that names both Pythons; a replay that passes, or fails in another way, would be a
false word. The exit status is 1 if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
# Every how many-th program is searched with one seed, or with how many seeds all of them are.
_PART, _SEEDS = 3, 3
# By the name of a program and a seed: the token of a failure, and what that raises.
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
        made_on: the Python that has made the token.
        kind: ``"failed"`` as it did where it was made, ``"refused"`` with the reason, or a sentence
            on what else has happened.
        name: the program and seed.
    """

    made_on: str
    kind: str
    name: str


def search_all(*, is_whole: bool) -> Tokens:
    """The tokens of the known bugs that are found in few runs, or of a part, with what they raise."""
    import aldente

    found: Tokens = {}
    # The table has them in groups of one kind.
    step, seeds = (1, _SEEDS) if is_whole else (_PART, 1)
    names = [name for name in programs() if name not in VARYING][::step]
    for name in (*names, *VARYING):
        main = programs()[name]
        for seed in range(seeds):
            failure = aldente.search(main, seed=seed).failure
            if failure is None or failure.inexact:
                print(f"{name}: {(failure and failure.inexact) or 'not found'}", file=sys.stderr)
                continue
            raised = type(failure.exception).__name__
            found[f"{name} {seed}"] = {"token": failure.token, "raised": raised}
    return found


def replay_all(tokens: Tokens, made_on: str) -> list[Outcome]:
    """What comes of the tokens of one Python on this one."""
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
        outcomes.append(Outcome(made_on, kind, name))
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


def _report(here: str, outcomes: list[Outcome]) -> int:
    """Print what came of tokens on a Python; return how many were neither."""
    wrong = 0
    for made_on in dict.fromkeys(outcome.made_on for outcome in outcomes):
        of_one = [outcome for outcome in outcomes if outcome.made_on == made_on]
        counts = collections.Counter(outcome.kind for outcome in of_one)
        known = counts.pop("failed", 0), counts.pop("refused", 0)
        print(f"{made_on} on {here}: {known[0]} replayed, {known[1]} refused with the reason")
        for outcome in of_one:
            if outcome.kind not in ("failed", "refused"):
                print(f"    {outcome.name}: {outcome.kind}")
        wrong += sum(counts.values())
    return wrong


def main() -> int:
    """Compare all pairs; 1 if a token is neither replayed nor refused with the reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pythons", nargs="*", help="each with aldente installed")
    parser.add_argument("--whole", action="store_true", help="all programs, with several seeds")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--replay", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # asyncio logs what it does not raise.
    logging.disable(logging.CRITICAL)
    if options.search:
        json.dump(search_all(is_whole=options.whole), sys.stdout)
        return 0
    if options.replay:
        made = json.load(sys.stdin)
        json.dump([each for one in made for each in replay_all(made[one], one)], sys.stdout)
        return 0
    versions = {_version_of(python): python for python in options.pythons}
    search = ["--search", *(["--whole"] if options.whole else [])]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda python: _ask(python, *search), versions.values())
        made = dict(zip(versions, found, strict=True))
        answers = pool.map(
            lambda here: _ask(
                versions[here],
                "--replay",
                given={one: tokens for one, tokens in made.items() if one != here},
            ),
            versions,
        )
        wrong = 0
        for here, answer in zip(versions, answers, strict=True):
            wrong += _report(here, [Outcome(*each) for each in answer])
    print(f"{wrong} of the tokens were neither." if wrong else "All tokens were one or the other.")
    return 1 if wrong or not any(made.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
