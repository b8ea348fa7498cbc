"""The outcome of an explored test, in its own report; with the lines where a deadlock waits."""

from __future__ import annotations

import contextlib
import inspect
import os
import shlex
import shutil
from collections.abc import Callable
from types import FrameType, FunctionType, TracebackType
from typing import Any

import pytest

from aldente._diagnosis.story import WIDTH, wrapped
from aldente._diagnosis.story_picture import picture_of
from aldente._diagnosis.waits import SuspendedFrame
from aldente._explore.result import Failure
from aldente._plugin import output_files
from aldente._plugin.explore.state import Budget, Outcome
from aldente.errors import DeadlockError

TITLE = "aldente: what happened"

# A terminal that reports a smaller width does not know its width.
_LEAST_WIDTH = 40


def add_to_report(item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
    """Add the story of the failed run to the report of a failed test."""
    failure = outcome.failure
    if failure is None:
        return
    output_files.offer(item.config)
    if is_a_line(item.config):
        return
    text = "\n\n".join(_paragraphs(item, outcome, failure))
    add_section = getattr(report.longrepr, "addsection", None)
    if add_section is not None:
        add_section(TITLE, text)
    else:
        # The report of a failure without a traceback is a string.
        report.longrepr = f"{report.longrepr}\n\n{text}"


def is_a_line(config: pytest.Config) -> bool:
    """Whether to show a failure in one line; the summary then has the command to run it."""
    return bool(config.getoption("tbstyle", "auto") == "line")


def _paragraphs(item: pytest.Item, outcome: Outcome, failure: Failure) -> list[str]:
    config, width = item.config, _width()
    is_whole = config.get_verbosity() > 0
    lines = remarks(item, outcome, failure)
    return [
        *failure.story(config.rootpath, width, is_whole=is_whole),
        # Sentences, which a narrower terminal may break anywhere.
        "\n".join(part for line in lines for part in wrapped("", line, WIDTH)),
        f"Run it again: {command(item, failure.token)}",
    ]


def remarks(item: pytest.Item, outcome: Outcome, failure: Failure) -> list[str]:
    """Which run has failed, and remarks about its schedule; a line each."""
    inside = f"{item.config.rootpath}{os.sep}"
    return [line.replace(inside, "") for line in [_how(outcome, failure), *failure.remarks()]]


def _width() -> int:
    """How long a line may be: the terminal may be narrower, as far as that is known."""
    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    return min(columns, WIDTH) if columns >= _LEAST_WIDTH else WIDTH


def command(item: pytest.Item, token: str) -> str:
    """The command that runs a schedule of a test again."""
    return f"pytest {_argument(item)} --aldente-replay={token}"


def _argument(item: pytest.Item) -> str:
    """A test as an argument of pytest, where it was started."""
    path, separator, name = item.nodeid.partition("::")
    folder = item.config.invocation_params.dir
    with contextlib.suppress(ValueError):
        # A path on another drive, on Windows.
        path = os.path.relpath(item.config.rootpath / path, folder)
    return shlex.quote(f"{path}{separator}{name}")


def _how(outcome: Outcome, failure: Failure) -> str:
    """Which run failed, and what was tried."""
    exploration, budget = outcome.exploration, outcome.budget
    if exploration is None:
        return "This is the schedule of --aldente-replay."
    used = f"strategy {strategy_name(budget)}, seed {failure.schedule.seed}"
    if exploration.known == "failed":
        return f"The schedule that failed last time still fails ({used})."
    limit = f" of at most {budget.runs:,}"
    if outcome.share is not None:
        limit = f" of at most {outcome.share:,} for each example"
    if budget.max_seconds is not None:
        limit += f" in {budget.max_seconds:g} s"
    return f"Run {failure.run:,}{limit} failed, after {outcome.seconds:.2g} s in all ({used})."


def strategy_name(budget: Budget) -> str:
    """The name of the strategy."""
    strategy = budget.strategy
    name: str = (
        strategy if isinstance(strategy, str) else getattr(strategy, "__qualname__", repr(strategy))
    )
    return name


# The attribute of a report with the outcome of its test.
ATTRIBUTE = "aldente_explored"


def note_in_report(item: pytest.Item, report: pytest.TestReport, outcome: Outcome) -> None:
    """Store the outcome of a test in its report, which pytest-xdist sends between processes."""
    exploration = outcome.exploration
    if exploration is None:
        return
    vars(report)[ATTRIBUTE] = described = {
        "runs": outcome.runs,
        # A test that depends on more than its schedule may fail under one that passed.
        "is_exhausted": exploration.exhausted and not exploration.escaped,
        # With a slack of 0 sleeps take as long as they say, so time-outs come when they always do.
        "has_durations": outcome.budget.rules.get("slack", 1.0) > 0,
        "unreached": exploration.unreached_time_outs,
        "faults": dict(exploration.faults),
        "unjudged": dict(exploration.unjudged),
        "coverage": "" if exploration.escaped else exploration.coverage,
        "is_late": exploration.is_late,
        "is_fixed": outcome.is_fixed,
        "escaped": exploration.escaped if outcome.failure is None else "",
        "seconds": outcome.budget.max_seconds,
        # Hypothesis examples have a limit each, and their number is unknown.
        "shard": "" if outcome.budget.shard.of == 1 else str(outcome.budget.shard),
        "limit": outcome.budget.runs if outcome.share is None else 0,
    }
    properties: dict[str, object] = {"aldente.runs": outcome.runs}
    failure = outcome.failure
    if failure is not None:
        properties["aldente.seed"] = failure.schedule.seed
        properties["aldente.token"] = failure.token
        properties["aldente.story"] = "\n\n".join([*failure.story(), *failure.remarks()])
        described["failure"] = {
            "seed": failure.schedule.seed,
            "token": failure.token,
            "story": properties["aldente.story"],
        }
        described["command"] = command(item, failure.token)
        described["picture"] = picture_of(failure.steps, _width())
    # Of the item, as pytest writes those of the tear-down's report; and a test may be run again.
    kept = [each for each in item.user_properties if each[0] not in properties]
    item.user_properties[:] = [*kept, *properties.items()]
    report.user_properties = list(item.user_properties)


def add_stuck_lines(failure: Failure, test: str) -> None:
    """Give a deadlock of a test the traceback of where the test waits.

    Args:
        failure: the failure of the test.
        test: the name of the test's task.
    """
    error = failure.exception
    if not isinstance(error, DeadlockError) or failure.waiting is None:
        return
    for task in failure.waiting.tasks:
        if task.name == test and task.own_frames:
            error.__traceback__ = _traceback_of(task.own_frames)
            return


def _traceback_of(frames: tuple[SuspendedFrame, ...]) -> TracebackType | None:
    traceback: TracebackType | None = None
    for suspended in reversed(frames):
        # Without an instruction, as those of the function here have columns of their own.
        traceback = TracebackType(traceback, _frame_of(suspended), -1, suspended.place.line)
    return traceback


def _this_frame() -> FrameType | None:
    return inspect.currentframe()


def _frame_of(suspended: SuspendedFrame) -> FrameType:
    """A frame of a function of that name and place."""
    code = _this_frame.__code__.replace(
        co_filename=suspended.place.path,
        co_firstlineno=suspended.first_line or suspended.place.line,
        co_name=suspended.function.rpartition(".")[2],
        co_qualname=suspended.function,
    )
    make: Callable[[], Any] = FunctionType(code, {"inspect": inspect})
    frame: FrameType = make()
    return frame
