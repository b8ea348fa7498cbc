"""The story of a simulated run: the few steps that matter, in words and lines of limited width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from aldente._diagnosis.story_choice import ChosenSteps, Words, choose, is_switch
from aldente._records import SourcePlace
from aldente._schedules import SharedUse, Step
from aldente._source import source_line

# The greatest width of a story, in columns.
WIDTH = 100

# The greatest width of the names of tasks.
_MOST_OF_NAME, _LEAST_OF_NAME = 24, 8

# How many columns a line needs beside the name.
_REST = 48

# Where the lines that are about no step begin.
_ASIDE = "      ... "


def describe_steps(
    steps: Sequence[Step], folder: Path, width: int = WIDTH, *, is_whole: bool = False
) -> list[str]:
    """Lines about the steps of a run: where it left stock order, cancellations, and how it ended.

    Args:
        steps: all steps of the run, up to its failure.
        folder: paths within it are shown relative to it.
        width: how long a line may be.
        is_whole: whether to show all steps.

    >>> describe_steps([], Path.cwd())
    []
    """
    chosen = choose(steps, is_whole=is_whole)
    return list(_Story(steps, chosen, folder, width).lines()) if chosen.shown else []


class _Story:
    """The story of some steps.

    Args:
        steps: all steps of the run.
        chosen: which ones to show.
        folder: paths within it are shown relative to it.
        width: how long a line may be.
    """

    def __init__(
        self, steps: Sequence[Step], chosen: ChosenSteps, folder: Path, width: int
    ) -> None:
        self._steps = steps
        self._chosen = chosen
        self._folder = folder
        self._width = width
        self._words = Words(steps, chosen.shown)
        names = [self._words.who(steps[number]) for number in chosen.shown]
        most = min(_MOST_OF_NAME, max(width - _REST, _LEAST_OF_NAME))
        self._name_width = min(max(map(len, names)), most)

    def lines(self) -> Iterator[str]:
        """All lines."""
        yield from self._race()
        switches = any(is_switch(step) for step in self._steps)
        order = (
            "; > marks where the schedule left stock order:" if switches else ", in stock order:"
        )
        shown, count = self._chosen.shown, self._chosen.count
        shown_steps = count(shown) + sum(len(more) for more in self._chosen.repeated.values())
        happened = f"in {shown_steps:,} of {count(range(len(self._steps))):,} steps{order}"
        yield from wrapped("What happened, ", happened, self._width)
        before, waiting = -1, list[str]()
        for number in shown:
            if not self._is_within(number, before):
                yield from waiting
                waiting = []
            left_out = count(range(before + 1, number))
            if left_out:
                yield f"{_ASIDE}{_counted(left_out, 'other step')}"
            yield from self._lines_of(number)
            waiting = waiting or list(self._lines_about_end(number))
            before = max([number, *self._chosen.repeated.get(number, ())])
        yield from waiting
        yield from self._end(before)

    def _end(self, before: int) -> Iterator[str]:
        after = self._chosen.after_failure
        if after:
            count = self._chosen.count(after)
            cancelled = dict.fromkeys(
                self._steps[number].task for number in after if self._steps[number].is_cancelled
            )
            names = ", ".join(list(cancelled)[:3]) + (
                f" and {len(cancelled) - 3:,} more" if len(cancelled) > 3 else ""
            )
            yield from self._aside(
                f"{_counted(count, 'step')} after the exception was raised, in which tasks were "
                f"cancelled: {names}"
            )
        else:
            left_out = self._chosen.count(range(before + 1, len(self._steps)))
            if left_out:
                yield f"{_ASIDE}{_counted(left_out, 'other step')} until the run failed"

    def _aside(self, text: str) -> Iterator[str]:
        yield from wrapped(_ASIDE, text, self._width, " " * len(_ASIDE))

    def _is_within(self, number: int, before: int) -> bool:
        """Whether an event happens in the step before it."""
        event = self._steps[number]
        is_of_task = before >= 0 and event.task == self._steps[before].task
        return bool(event.event) and is_of_task and not event.until

    def _lines_of(self, number: int) -> Iterator[str]:
        head = self._head(number)
        indent = " " * len(head)
        for index, parts in enumerate(self._rows(number)):
            yield from line_of(head if index == 0 else indent, parts, self._width)

    def _lines_about_end(self, number: int) -> Iterator[str]:
        """The lines that say where a step stopped, or how it ended."""
        step, stop = self._steps[number], self._words.stop(number)
        if not stop:
            return
        is_elsewhere = step.stopped_at is not None and step.stopped_at != step.at
        place = self._place(step.stopped_at, step.at) if is_elsewhere else ()
        if "sleep(" in stop or stop.endswith("the same exception"):
            # Its source says nothing new.
            place = place[: "sleep(" in stop]
        yield from line_of(" " * len(self._head(number)), (stop, *place), self._width)

    def _head(self, number: int) -> str:
        """What the line of a step begins with."""
        step = self._steps[number]
        mark = ">" if is_switch(step) else " "
        who = self._words.who(step)
        if len(who) > self._name_width:
            who = f"{who[: self._name_width - 3]}..."
        return f"  {mark} {self._time(step)}{who:<{self._name_width}}  "

    def _rows(self, number: int) -> Iterator[Sequence[Part]]:
        """The lines that say what a step did, each as its parts."""
        step, words = self._steps[number], self._words
        place = self._place(step.at) if step.at is not None else ()
        if step.event:
            yield (step.event,)
            if place:
                yield place
            return
        if step.task:
            yield place or (step.place,)
            yield (words.about(number),)
        else:
            yield (words.about(number),)
        for use in step.shared:
            yield words.use(use), *self._place(use.at, step.at)
        more = len(self._chosen.repeated.get(number, ()))
        if more:
            yield (f"and so on, {_counted(more, 'more time')}",)

    def _place(self, at: SourcePlace | None, before: SourcePlace | None = None) -> tuple[Part, ...]:
        """A place with its source; only the name of the file if the line before has its path."""
        if at is None:
            return ()
        place = str(SourcePlace.relative_to(at.path, at.line, self._folder))
        if before is not None and before.path == at.path:
            place = f"{Path(at.path).name}:{at.line}"
        source = source_line(at)
        return (place, source) if source else (place,)

    def _time(self, step: Step) -> str:
        """The time of a step; empty if time never moved in the run."""
        return f"{step.time:>8g} s  " if self._steps[-1].time else ""

    def _race(self) -> Iterator[str]:
        """A paragraph on what raced, if that is known."""
        found = [(step, use) for step in self._steps for use in step.shared if use.role]
        if len(found) != 3:
            return
        (reader, read), (other, change), (_, act) = found
        yield f"What raced: {read.text}."
        yield from self._sentence(
            f"{self._words.introduced(reader.task)} "
            + (
                f"kept {read.text} as {act.kept}"
                if act.kept
                else f"read {self._words.valued(read)}"
            ),
            read,
            ";",
        )
        yield from self._sentence(
            f"{self._words.introduced(other.task)} changed {self._words.valued(change)}",
            change,
            ";",
        )
        if act.is_change:
            what = f"then {reader.task} changed {self._words.valued(act)}"
            by = (
                ", based on what it had read before."
                if act.is_by_read
                else ", and had not read it again."
            )
            yield from self._sentence(what, act, by)
        elif act.kept:
            again = f", and had not read {read.text} again."
            yield from self._sentence(f"then {reader.task} used {act.kept}", act, again)
        else:
            again = (
                f", under the condition in line {read.at.line}, and had not read {read.text} again."
            )
            yield from self._sentence(f"then {reader.task} went on", act, again)
        yield ""

    def _sentence(self, what: str, use: SharedUse, end: str) -> Iterator[str]:
        place = SourcePlace.relative_to(use.at.path, use.at.line, self._folder)
        yield from wrapped("  ", f"{what} at {place}{end}", self._width, "    ")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


# A part of a line: words, a place, or its source. If it does not fit behind the part before it, it
# gets a line of its own.
Part = str

# Between two parts of a line.
_GAP = "  "

# A line of source that is cut has as many columns at least; else it has a line of its own.
_LEAST_OF_SOURCE = 24

# The end of a place, behind which stands its source.
_PLACE = re.compile(r":\d+$")

# What is indented further than this would have no room.
_LEAST_ROOM = 30


def line_of(head: str, parts: Sequence[Part], width: int) -> Iterator[str]:
    """A line with some parts; one that is too long becomes several, or is cut.

    Args:
        head: what the first line begins with; the others are indented as far.
        parts: the parts; what stands behind a place is its source, and cut if it does not fit; the
            others are wrapped.
        width: how long a line may be.

    >>> list(line_of("at: ", ["here", "and there"], 40))
    ['at: here  and there']
    >>> list(line_of("at: ", ["a place that is rather far", "there"], 34))
    ['at: a place that is rather far', '      there']
    """
    room = max(width - len(head), _LEAST_ROOM)
    indent = " " * len(head)
    lines = [""]
    for index, part in enumerate(parts):
        start = f"{lines[-1]}{_GAP}" if lines[-1] else ""
        is_source = index > 0 and _PLACE.search(parts[index - 1]) is not None
        if len(start + part) <= room:
            lines[-1] = start + part
        elif is_source and room - len(start) >= _LEAST_OF_SOURCE:
            # Its beginning says the most.
            lines[-1] = f"{start}{_cut(part, room - len(start))}"
        elif is_source:
            lines.append(f"{_GAP}{_cut(part, room - len(_GAP))}")
        else:
            found = textwrap.wrap(
                part,
                room,
                initial_indent=_GAP if start else "",
                subsequent_indent=_GAP,
                break_on_hyphens=False,
            )
            lines = [line for line in [*lines, *found] if line]
    yield f"{head}{lines[0]}".rstrip()
    for line in lines[1:]:
        yield f"{indent}{line}".rstrip()


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 3]}..."


def wrapped(head: str, text: str, width: int, indent: str = "  ") -> list[str]:
    """Break a text into lines.

    Args:
        head: what the first line begins with.
        text: the text.
        width: how long a line may be; a longer word is left whole, as it may be a path.
        indent: what the other lines begin with.

    >>> wrapped("- ", "one two three four five six seven", 30)
    ['- one two three four five six', '  seven']
    """
    return textwrap.wrap(
        text,
        max(width, _LEAST_ROOM),
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
