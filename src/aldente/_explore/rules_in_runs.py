"""Rules in simulated runs, without pytest, and the exception with which their findings fail a run.

The findings belong to the run: they appear neither in asyncio's log nor in a test that runs the
search.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aldente import _asyncio_compat
from aldente._diagnosis.finding_text import describe, fold
from aldente._own_errors import contained
from aldente._records import Finding, Level, SourcePlace
from aldente._rules import (
    background_error,
    leaked_asyncgen,
    leaked_task,
    never_awaited,
    race,
    rule_named,
)
from aldente._settings import DEFAULT_LEVELS, parse_level
from aldente._simulation.loop import SimulatedLoop
from aldente.errors import FoundInRun, InvalidSetting


def found_in_run(findings: Sequence[Finding]) -> FoundInRun:
    """The exception of a run that fails only because of findings."""
    return FoundInRun(findings, texts_of(findings))


def texts_of(findings: Iterable[Finding]) -> list[str]:
    """The texts of findings for a user: equal ones once, and many folded.

    >>> texts_of([Finding("leaked-task", "a task was left.", "-")] * 2)[0].splitlines()[0]
    'leaked-task: a task was left.'
    """
    return fold((finding.rule, _text_of(finding)) for finding in findings)


def _text_of(finding: Finding) -> str:
    rule = finding.rule
    allow = (
        f'rules={{"{rule}": "off"}} in aldente.search; @aldente.allow("{rule}") on an explored test'
    )
    return describe(finding, rule_named(rule), Path.cwd(), allow=allow)


def besides(error: BaseException, findings: Sequence[Finding]) -> list[str]:
    """The texts of findings beside an exception that the program has raised itself."""
    return [] if isinstance(error, FoundInRun) else texts_of(findings)


def note_besides(error: BaseException, findings: Sequence[Finding]) -> None:
    """Add notes to an exception on what else was found in its run."""
    for text in besides(error, findings):
        error.add_note(f"Found in the same run:\n{text}")


# The rules for runs outside of a test.
_RULES = never_awaited, background_error, leaked_task, leaked_asyncgen, race
_NAMES = tuple(module.RULE.name for module in _RULES)


class RuleWatch:
    """Applies rules to runs, one after the other.

    Args:
        levels: the level of each rule.
    """

    def __init__(self, levels: Mapping[str, Level]) -> None:
        self._levels = levels
        self._failing: list[Finding] = []
        self._warnings: dict[tuple[str, SourcePlace | None], Finding] = {}
        # The collector may come in a run for what its test has dropped.
        self._never_awaited = never_awaited.CoroutineWatch(self._report, passes_on=True)
        self._never_awaited.begin("")
        self._generators = leaked_asyncgen.AsyncGeneratorWatch()
        self._loop: SimulatedLoop | None = None
        self._undo = self._never_awaited.installed()
        self._is_aside = False

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """While entered, what is found in runs is dropped."""
        self._is_aside = True
        try:
            yield
        finally:
            self._is_aside = False

    @property
    def looks_for_races(self) -> bool:
        """Whether the rule `race` is on."""
        return self._levels[race.RULE.name] != "off"

    def report_race(self, finding: Finding) -> bool:
        """Report a lost update; whether it fails the program."""
        self._report(finding)
        failing, self._failing = self._failing, []
        return bool(failing)

    def again(self, token: str) -> str:
        """How to run a schedule again in which an update is lost, in words."""
        return f'Run it again: aldente.replay(main, {token!r}, rules={{"race": "error"}})'

    @property
    def warnings(self) -> Sequence[Finding]:
        """The findings that fail no run; once for each rule and place."""
        return tuple(self._warnings.values())

    def begin(self, loop: SimulatedLoop) -> None:
        """Begin a run: watch dropped coroutines, and errors passed to the exception handler."""
        self._loop = loop
        loop.on_exception = functools.partial(self._receive, loop)
        self._undo = self._never_awaited.installed()
        self._undo.__enter__()

    def failed(self, loop: SimulatedLoop, error: BaseException) -> None:
        """Do nothing: the failure reports everything."""

    def main_ended(self, loop: SimulatedLoop) -> None:
        """Find the tasks and async generators that are left."""
        left = _asyncio_compat.pending_tasks(loop)
        if left:
            with contained("looking for tasks that are left pending"):
                for finding in leaked_task.find(left):
                    self._report(finding)
        if _asyncio_compat.may_have_async_generators(loop):
            with contained("looking for async generators that are left"):
                generators = _asyncio_compat.unfinished_async_generators(loop)
                for finding in self._generators.find(generators):
                    self._report(finding)

    def take(self) -> Sequence[Finding]:
        """The findings that fail the run."""
        if self._loop is not None:
            background_error.report_failed(self._loop)
            look_into_main(self._loop, self._never_awaited)
            self._undo.__exit__(None, None, None)
            self._loop.on_exception = None
            self._loop = None
        taken, self._failing = self._failing, []
        return tuple(dict.fromkeys(taken))

    def _receive(self, loop: SimulatedLoop, context: dict[str, Any]) -> None:
        """Stands in for the loop's default exception handler."""
        finding = background_error.find(context)
        if finding is None or self._levels[finding.rule] == "off":
            background_error.handle_as_asyncio(loop, context)
        else:
            self._report(finding)

    def _report(self, finding: Finding) -> None:
        if self._is_aside:
            return
        level = self._levels[finding.rule]
        finding = finding._replace(made_by=None)
        if level == "error":
            self._failing.append(finding)
        elif level == "warn":
            self._warnings.setdefault((finding.rule, finding.place), finding)


def look_into_main(loop: SimulatedLoop, watch: never_awaited.CoroutineWatch) -> None:
    """Report coroutines that only the exception of a program holds, during its run.

    Args:
        loop: the loop of the run, which is over.
        watch: the rule's watch, which gets them.
    """
    main = loop.main_task
    if main is not None and main.done() and not main.cancelled():
        error = main.exception()
        if error is not None:
            watch.look_into(error)


def parse_levels_in_runs(value: object) -> Mapping[str, Level]:
    """The levels of the rules for runs, after a user's changes.

    Raises:
        InvalidSetting: the value is not a mapping of such rules to levels.

    >>> parse_levels_in_runs({"leaked-task": "error"})["leaked-task"]
    'error'
    """
    levels: dict[str, Level] = {rule: DEFAULT_LEVELS[rule] for rule in _NAMES}
    if value is None:
        return levels
    if not isinstance(value, Mapping):
        allowed = "It must be a mapping of rules to levels, such as {'leaked-task': 'error'}."
        raise InvalidSetting("rules", value, allowed)
    for rule, level in value.items():
        if rule not in levels:
            allowed = f"The rules for simulated runs are: {', '.join(levels)}."
            raise InvalidSetting("rules", rule, allowed)
        levels[rule] = parse_level("rules", value, level)
    return levels
