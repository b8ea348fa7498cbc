"""Finds the tests of a suite that end otherwise with aldente than with pytest-asyncio."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.compat.environments import Pair
from tests.compat.running import Run, run_suite
from tests.compat.suites import Suite

MISSING = "not run"


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A test that did not end alike.

    Attributes:
        nodeid: the test.
        peer: its outcome with pytest-asyncio.
        subject: its outcome with aldente.
        message: what failed with aldente, in one line.
    """

    nodeid: str
    peer: str
    subject: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A suite, run with both.

    Attributes:
        suite: the suite.
        tests: how many tests ran on either side.
        failing: how many of them do not pass with pytest-asyncio.
        expected: differences that the suite's table has a reason for.
        unexpected: the others.
        flaky: tests that do not end alike when run twice in the same environment.
        stale: keys of the table that no test differs by any more.
    """

    suite: Suite
    tests: int
    failing: int
    expected: Sequence[Difference]
    unexpected: Sequence[Difference]
    flaky: Sequence[str]
    stale: Sequence[str]

    @property
    def same(self) -> int:
        """How many tests end alike."""
        return self.tests - len(self.expected) - len(self.unexpected) - len(self.flaky)


def compare(suite: Suite, pair: Pair, archive: Path) -> Comparison:
    """Run a suite in both environments; twice if there is a difference without a reason.

    Raises:
        RunFailed: a run came to no end.
    """

    def run_both() -> tuple[Run, Run]:
        return run_suite(suite, pair.peer, archive), run_suite(suite, pair.subject, archive)

    return judge(suite, run_both)


def judge(suite: Suite, run_both: Callable[[], tuple[Run, Run]]) -> Comparison:
    """Compare what `run_both` gives, calling it again to tell flaky tests from the others."""
    peer, subject = run_both()
    found = differences(peer, subject)
    flaky: set[str] = set()
    if any(_reason_key(suite, difference.nodeid) is None for difference in found):
        for first, second in zip((peer, subject), run_both(), strict=True):
            flaky |= {difference.nodeid for difference in differences(first, second)}
    steady = [difference for difference in found if difference.nodeid not in flaky]
    keys = {difference.nodeid: _reason_key(suite, difference.nodeid) for difference in steady}
    used = set(keys.values()) | {_reason_key(suite, nodeid) for nodeid in flaky}
    return Comparison(
        suite,
        tests=len(peer.outcomes.keys() | subject.outcomes.keys()),
        failing=sum(outcome not in _FINE for outcome in peer.outcomes.values()),
        expected=[difference for difference in steady if keys[difference.nodeid] is not None],
        unexpected=[difference for difference in steady if keys[difference.nodeid] is None],
        flaky=sorted(flaky & (peer.outcomes.keys() | subject.outcomes.keys())),
        stale=[key for key in suite.expected if key not in used],
    )


_FINE = frozenset({"passed", "skipped", "xfailed", "xpassed"})


def differences(one: Run, other: Run) -> list[Difference]:
    """The tests that two runs do not agree on."""
    nodeids = dict.fromkeys((*one.outcomes, *other.outcomes))
    return [
        Difference(nodeid, before, after, _one_line(other.messages.get(nodeid, "")))
        for nodeid in nodeids
        if (before := one.outcomes.get(nodeid, MISSING))
        != (after := other.outcomes.get(nodeid, MISSING))
    ]


def _reason_key(suite: Suite, nodeid: str) -> str | None:
    """The key of the table that gives the reason: a test, all its parameters, or its module."""
    for key in (nodeid, nodeid.partition("[")[0], nodeid.partition("::")[0]):
        if key in suite.expected:
            return key
    return None


def _one_line(message: str) -> str:
    """The first and the last line of a message, which say most of it.

    >>> _one_line("Failed: nomatch\\n  and: a\\nremains unmatched: b")
    'Failed: nomatch ... remains unmatched: b'
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return " ... ".join(dict.fromkeys((*lines[:1], *lines[-1:])))
