"""Collects findings, and assigns them to the phase they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

import pytest

from aldente._plugin.marks import is_allowed_here, level_in
from aldente._records import Finding, Level
from aldente._rules import rule_named


class Collector:
    """Keeps the findings until a phase takes them.

    Args:
        levels: the level of each rule.
        set_rules: the rules whose level the user set.

    Attributes:
        watched: the rules that are on in at least one test.
        found: findings that no phase of a test has taken yet.
        late: findings of tests that had ended, which fail the run.
        reported: findings that the phase's own failure reports.
        listeners: called with each finding when it is made.
    """

    def __init__(self, levels: Mapping[str, Level], set_rules: Set[str] = frozenset()) -> None:
        self.levels = levels
        self._set_rules = set_rules
        self.watched = {rule for rule, level in levels.items() if level != "off"}
        self.found: list[Finding] = []
        self.late: list[Finding] = []
        self.reported: set[Finding] = set()
        self.listeners: list[Callable[[Finding], object]] = []
        # Failed tests, and findings of which other findings may be consequences.
        self._failed: set[str] = set()
        self._explaining: set[tuple[str, str | None, object]] = set()

    def report(self, finding: Finding) -> None:
        """Add a finding, on any thread, unless the running code allows it."""
        if finding.rule in self.watched and not is_allowed_here(finding.rule):
            self.found.append(finding)
            for listener in self.listeners:
                listener(finding)

    def report_of_runs(
        self, test: str, findings: Iterable[Finding], *, is_reported: bool = False
    ) -> None:
        """Add findings of the runs of an explored test, unless the session is over.

        Args:
            test: its node id.
            findings: the findings that were not allowed.
            is_reported: whether the failure of the test reports them itself.
        """
        taken = [finding for finding in findings if finding.rule in self.watched]
        # If a run ended the session, no phase of the test will take them.
        self.found += [finding._replace(made_by=test) for finding in taken]
        if is_reported:
            self.reported.update(finding._replace(made_by=None) for finding in taken)

    def begin(self, test: str) -> None:
        """Begin a test, given by its node id; it may be a rerun after a failure."""
        self._failed.discard(test)

    def note_failure(self, test: str) -> None:
        """Record that a test failed by itself: what it leaves behind is not a finding then."""
        self._failed.add(test)

    def stop(self) -> None:
        """Accept no more findings, as the session is over."""
        self.watched = set()
        self.found.clear()

    def take(self, item: pytest.Item) -> list[Finding]:
        """Take the test's findings since the last call, without repeats and what its marks allow.

        Findings of other tests, which have ended, become late ones.
        """
        # Another thread or the garbage collector may add more at any moment.
        count = len(self.found)
        found = self.found[:count]
        del self.found[:count]
        # Set the test on all, as the same finding may come with its test and without.
        taken: dict[Finding, None] = {}
        for finding in dict.fromkeys(found):
            if finding.made_by not in (None, item.nodeid):
                self.late.append(finding)
            elif self.level_in(item, finding.rule) != "off":
                taken[finding._replace(made_by=None)] = None
        return self._without_consequences(item.nodeid, _without_repeats(taken))

    def _without_consequences(self, test: str, findings: list[Finding]) -> list[Finding]:
        """Leave out findings that another one at the same place, or the test's failure, explains.

        A blocking call makes its step slow, and a coroutine for a nested loop that could not run is
        never awaited; a connection of aiosqlite has a thread.
        """
        self._note_explaining(findings, test)
        return [finding for finding in findings if not self._is_consequence(test, finding)]

    def _note_explaining(self, findings: Iterable[Finding], test: str = "") -> None:
        """Note the findings that explain others, of one test or of those that made them."""
        self._explaining.update(
            (finding.made_by or test, finding.rule, finding.place) for finding in findings
        )

    def _is_consequence(self, test: str, finding: Finding) -> bool:
        rule = rule_named(finding.rule)
        if rule.is_left_behind and test in self._failed:
            return True
        return (test, rule.explained_by, finding.place) in self._explaining

    def level_in(self, item: pytest.Item | None, rule: str) -> Level:
        """The level of a rule in a test, or outside of all tests."""
        level = self.levels[rule]
        return level if item is None else level_in(item, rule, level)

    def level_of(self, item: pytest.Item | None, finding: Finding) -> Level:
        """The level of a finding in a test, or outside of all tests."""
        level = self.level_in(item, finding.rule)
        if finding.rule in self._set_rules:
            return level
        if finding.is_grave and level == "warn":
            is_marked = item is not None and level_in(item, finding.rule, "off") == "warn"
            return level if is_marked else "error"
        if level != "error" or not finding.is_mild:
            return level
        is_marked = item is not None and level_in(item, finding.rule, "off") == "error"
        return level if is_marked else "warn"

    def take_late(self, session: pytest.Session) -> list[tuple[Finding, Level]]:
        """Take the late findings with their levels, without those that are off."""
        self._note_explaining([*self.late, *self.found])
        late = [
            finding
            for finding in dict.fromkeys([*self.late, *self.found])
            if not self._is_consequence(finding.made_by or "", finding)
        ]
        makers = {finding.made_by for finding in late}
        items = {
            item.nodeid: item
            for item in (getattr(session, "items", ()) if late else ())
            if item.nodeid in makers
        }
        leveled: list[tuple[Finding, Level]] = [
            (finding, self.level_of(items.get(finding.made_by or ""), finding)) for finding in late
        ]
        return [(finding, level) for finding, level in leveled if level != "off"]


def _without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """For rules that measure, keep the last finding per place, or per call without a place."""
    kept: dict[object, Finding] = {}
    for finding in findings:
        cause: object = finding
        if rule_named(finding.rule).is_measured:
            cause = finding.rule, finding.place or finding.what.partition("(")[0]
        kept[cause] = finding
    return list(kept.values())
