"""The results of a search: `Exploration` and `Failure`."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from aldente._diagnosis.story import WIDTH, describe_steps, wrapped
from aldente._diagnosis.waits import AwaitGraph
from aldente._schedules import Schedule, Shrinking, Step
from aldente._source import is_programs


class KeptFailure(NamedTuple):
    """A failure of an earlier search, whose schedule is tried first.

    Attributes:
        schedule: the schedule.
        kind: identifies how it failed, if its schedule was shrunk then; else empty.
    """

    schedule: Schedule
    kind: str


# The result of a schedule that had failed before.
Known = Literal["failed", "passed"]


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A run that failed.

    Attributes:
        exception: what the program raised, or the error that ended the run.
        schedule: the choices of the run; after shrinking, those of the smallest one.
        token: the schedule in printable form, for `aldente.replay`.
        run: the number of the run that failed first, from 1.
        inexact: why a replay may not fail in the same way; empty if it did.
        shrinking: how its schedule was shrunk; None without shrinking.
        steps: the steps of the run up to its failure.
        reach: whether ``order="io"`` finds it too, in words; empty if that was not tried.
        waiting: which task waited for which, in a deadlock; else None.
        findings: what rules have found in its run besides, each with its place and fix.
        hint: what may help, in words; else empty.
        stock_order: the steps of the run in asyncio's own order, up to its end; empty if that was
            not asked for, or is what failed.
    """

    # The repr is short, for prompts: all of a run may take megabytes, and `report` tells it.
    exception: BaseException
    schedule: Schedule = field(repr=False)
    token: str
    run: int
    inexact: str = ""
    shrinking: Shrinking | None = None
    steps: tuple[Step, ...] = field(default=(), repr=False)
    reach: str = ""
    waiting: AwaitGraph | None = field(default=None, repr=False)
    findings: tuple[str, ...] = ()
    hint: str = ""
    stock_order: tuple[Step, ...] = field(default=(), repr=False)

    def report(self) -> str:
        """The failure as text: the exception, what happened, and how to see it again."""
        lines = [f"Run {self.run:,} failed (seed {self.schedule.seed}).", *self.remarks(WIDTH)]
        lines.append(f"Run it again: aldente.replay(main, {self.token!r})")
        paragraphs = [text_of(self.exception), *self.story()]
        paragraphs += [f"Found in the same run:\n{text}" for text in self.findings]
        return "\n\n".join([*paragraphs, "\n".join(lines)])

    def story(
        self, folder: Path | None = None, width: int = WIDTH, *, is_whole: bool = False
    ) -> list[str]:
        """What happened, as one paragraph; empty without recorded steps.

        Args:
            folder: paths within it are shown relative to it; None for the current one.
            width: how long a line may be.
            is_whole: whether to show all steps, not only the few that matter.
        """
        story = describe_steps(self.steps, folder or Path.cwd(), width, is_whole=is_whole)
        return ["\n".join(story)] if story else []

    def remarks(self, width: int | None = None) -> list[str]:
        """Remarks about its schedule.

        Args:
            width: how long a line may be; None for a line each.
        """
        lines = []
        if self.shrinking is not None:
            lines += _words_about(self.shrinking)
        if self.reach:
            lines.append(self.reach)
        if self.inexact:
            lines.append(f"Not exact: {self.inexact}")
        if self.hint:
            lines.append(self.hint)
        if width is None:
            return lines
        return [part for line in lines for part in wrapped("", line, width)]


def text_of(error: BaseException) -> str:
    """An exception with its traceback, from the first line of the program on."""
    begin = error.__traceback__
    while begin is not None and not is_programs(begin.tb_frame.f_code.co_filename):
        begin = begin.tb_next
    return "".join(traceback.format_exception(type(error), error, begin)).rstrip()


def _words_about(shrinking: Shrinking) -> list[str]:
    tried = f"{shrinking.runs:,} more run{'s' * (shrinking.runs != 1)}"
    after = _switches(shrinking.after)
    if shrinking.outcome == "unrepeatable":
        return [
            (
                f"The program did not fail in the same way again in {tried}, so the schedule was "
                "not shrunk."
            )
        ]
    if not shrinking.after:
        return ["It fails in asyncio's default order; no special schedule is needed."]
    if shrinking.outcome == "kept":
        return [
            "The schedule is the one kept from last time, and was shrunk then.",
            f"Its schedule has {after} away from stock order.",
        ]
    start = (
        f"Its schedule has {after} away from stock order; it had {shrinking.before:,} before "
        "shrinking."
    )
    if shrinking.outcome == "least":
        return [start, f"{tried} confirmed that this is the minimum."]
    if shrinking.outcome == "local":
        return [start, f"{tried} showed that none of them can be left out."]
    return [start, f"The budget of {tried} ended before it was known whether fewer are enough."]


def _switches(count: int) -> str:
    return f"{count:,} context switch{'' if count == 1 else 'es'}"


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """The results of many runs of a program.

    Attributes:
        runs: how many runs there were, without those of shrinking.
        distinct: how many of them had different choices.
        exhausted: whether no schedule was left to try, except those equivalent to one that was
            tried.
        failure: the first run that failed; None if all passed.
        escaped: what the program depends on besides its schedule, as far as that was noticed; else
            empty.
        coverage: which schedules were tried, in words.
        known: the result of the schedule that had failed before and was tried first; None if there
            was none.
        is_late: whether the search ended because its real time was over.
        findings: what rules have found that fails no run, each with its place and fix; once for
            each place.
        unreached_time_outs: how many time-outs a run has set, at most, if none has fired in any
            run: what they limit always ended before, by however much it may take longer. Else 0.
        faults: how often each kind of fault of the network has happened in all runs; 0 for those
            that were allowed, and have not.
        unjudged: how many runs were not judged by `aldente.serializable`, by the reason: it is not
            known whether a serial order of the operations has the same outcome.
    """

    runs: int
    distinct: int
    exhausted: bool
    failure: Failure | None = field(default=None)
    escaped: str = ""
    coverage: str = ""
    known: Known | None = None
    is_late: bool = False
    findings: tuple[str, ...] = ()
    unreached_time_outs: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    unjudged: Mapping[str, int] = field(default_factory=dict)
