"""The rules: one module per pitfall of async tests. They do not depend on pytest.

The module of a rule has its ``RULE``, what detects it, and ``install``, which joins that to the
loops of tests. It is detected by a context manager that reports an `aldente._records.Finding` for
each pitfall that it sees while entered; a watcher that the watchdog's thread calls; or a function
that inspects what a test has left behind. The other modules are parts of such detectors.

``never_awaited``, ``background_error``, ``blocking_call``, ``nested_loop``, ``plain_mock``
    Report while the test runs.
``deadlock``, ``slow_step``
    The watchdog's thread reports them.
``leaked_task``, ``leaked_asyncgen``, ``leaked_resource``, ``leaked_thread``
    Report at the end of a scope.
``unused_answer``, ``race``, ``schedule_dependent``
    Seen by the doubles themselves; found by running an explored test again; found where all tests
    are explored.
``late_warnings``, ``resource_origins``, ``open_resources``
    What ``leaked_resource`` knows: where and by which test something was made, who closes it, what
    is open on a loop, and what the clients of libraries hold.
``coroutine_makers``, ``dropped_managers``
    Used by ``never_awaited``: who made a coroutine of an AsyncMock or of a function that a loop
    calls; async context managers that are never entered.
``coroutine_origins``, ``new_objects``
    Which test made a coroutine, found among the garbage collector's young objects.
``observation``
    What the module of a rule gets to observe the loops of tests; and which test made a loop or task
    that outlives it.
``watchdog``, ``long_runs``
    The thread that inspects running loops; it ends runs past their limit, and reports those that
    make no progress.
``mock_uses``
    Which mock an awaited expression comes from, for ``plain_mock``.

How a pitfall becomes a finding: before the first loop runs, `LoopWatch` in
``aldente._plugin.run.loop_watch`` calls the ``install`` of each rule that is on in any test. Later
it calls what the rule has put into the lists of `Observation`, and the watchdog calls the rule's
watchers. The rule calls ``observation.report``, which is `Collector.report` in
``aldente._plugin.findings``: it drops the finding if the running code is in a ``with`` block that
allows it. When a phase of the test ends, ``findings.phase`` takes its findings without those that
marks allow, and fails the test, or leaves them to ``findings.summary``.

Each run of an explored test has a loop of its own, for which only ``at_tasks_left`` and
``at_loop_end`` are called; the watchdog does not look at it. A program that `aldente.search` runs
has only the rules that ``aldente._explore.rules_in_runs`` names, without ``install``.

`RULES` below is the table of all rules. Default levels, options, marks, ``--aldente-rules`` and
what is installed derive from it. It imports no rule: each start of pytest reads the table.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from aldente._records import Level, Rule


class RuleRow(NamedTuple):
    """A rule, as known without importing its module.

    Attributes:
        name: its public name, which its module has with underscores.
        level: its level where the user sets none.
        observes_loops: whether its module has a function ``install``, which is called with an
            `aldente._rules.observation.Observation` before the first test runs a loop.
        only_with: the module without which no test can have the pitfall; it is observed only when
            that is imported. None if every test can have it.
        shown_by: the errors that show it when a test fails with them, alone or in a group, or as
            causes of others; its module's function ``find_in_failure`` is called with those.
    """

    name: str
    level: Level
    observes_loops: bool = True
    only_with: str | None = None
    shown_by: type[BaseException] | None = None


# The most severe first, as in lists of rules.
RULES = (
    RuleRow("never-awaited", "error"),
    RuleRow("background-error", "error"),
    # The plugin ends the run, in aldente._plugin.run.stuck_runs.
    RuleRow("deadlock", "error", observes_loops=False),
    RuleRow("plain-mock", "error", only_with="unittest.mock", shown_by=BaseException),
    # The doubles report it.
    RuleRow("unused-answer", "error", observes_loops=False),
    RuleRow("blocking-call", "warn"),
    RuleRow("slow-step", "warn"),
    RuleRow("leaked-task", "warn"),
    RuleRow("leaked-asyncgen", "warn"),
    RuleRow("leaked-resource", "warn"),
    # Sync tests have it too: see aldente._plugin.findings.hooks.
    RuleRow("leaked-thread", "warn", observes_loops=False),
    RuleRow("nested-loop", "warn", shown_by=RuntimeError),
    # Explored tests are run again for it: see aldente._explore.race_search.
    RuleRow("race", "warn", observes_loops=False),
    # Found by --aldente-explore, in aldente._plugin.suite.
    RuleRow("schedule-dependent", "warn", observes_loops=False),
)


def module_of(rule: str) -> Any:
    """Return the module of a rule; import it on first use."""
    name = rule.replace("-", "_")
    # Once imported it is an attribute here, and remains when pytester forgets what tests imported.
    return globals().get(name) or importlib.import_module(f"{__name__}.{name}")


def rule_named(name: str) -> Rule:
    """Return a rule; import its module on first use."""
    rule: Rule = module_of(name).RULE
    return rule
