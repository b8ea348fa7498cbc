"""The story of a simulated run: the few steps that matter, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from aldente._records import SourcePlace
from aldente._schedules import EXPLORER, SharedUse, Step
from aldente._source import source_line

# Up to this number, the story has all steps of the tasks that take part in a switch.
_FEW = 16

# The greatest number of steps in a story: the first and the last ones.
_MOST = 40

# And of those that other tasks take while one waits for longer than it has to.
_MOST_MEANWHILE = 8


def describe_steps(steps: Sequence[Step], folder: Path) -> list[str]:
    """Lines about the steps of a run: where it left stock order, cancellations, and how it ended.

    Args:
        steps: all steps of the run, up to its failure.
        folder: paths within it are shown relative to it.

    >>> describe_steps([], Path.cwd())
    []
    """
    told = _select(steps)
    if not told:
        return []
    switches = sum(_is_switch(step) for step in steps)
    lines = _race(steps, folder)
    lines += [
        f"What happened, in {_count(steps, told)} of {_count(steps, range(len(steps))):,} steps"
        + ("; > marks where the schedule left stock order:" if switches else ", in stock order:")
    ]
    width = max(len(_who(steps[number])) for number in told)
    before = -1
    for number in told:
        left_out = _count(steps, range(before + 1, number))
        if left_out:
            lines.append(f"      ... {left_out:,} other step{'s' * (left_out > 1)}")
        lines += _lines_of(steps, number, width, folder)
        before = number
    if before + 1 < len(steps):
        lines.append("      ... until the exception was raised")
    return lines


def _count(steps: Sequence[Step], numbers: Iterable[int]) -> int:
    """How many of some entries are steps."""
    return sum(not steps[number].event for number in numbers)


def _is_switch(step: Step) -> bool:
    return step.is_explorers or (step.choice is not None and step.choice.is_switch)


def _select(steps: Sequence[Step]) -> list[int]:
    """The numbers of the steps that matter, in order."""
    chosen: set[int] = set()
    tasks: set[str] = set()
    events = {number for number, step in enumerate(steps) if step.event}
    for number, step in enumerate(steps):
        if number in events:
            # An event of the loop itself belongs to the step before it.
            if not step.task and not step.is_explorers:
                chosen.update({number - 1} - {-1})
            tasks.add(step.task)
            if step.until:
                meanwhile = _meanwhile(steps, number)
                chosen.update(meanwhile)
                tasks.update(steps[place].task for place in meanwhile)
            continue
        if _is_switch(step):
            held = step.choice.instead_of if step.choice is not None else ""
            chosen.add(number)
            tasks.update((step.task, held))
            chosen.update(_step_after(steps, number, held))
        elif not step.is_cancelled:
            continue
        chosen.add(number)
        tasks.add(step.task)
        chosen.update(_waker(steps, number))
    last = next((n for n in reversed(range(len(steps))) if steps[n].at and n not in events), None)
    if last is not None:
        chosen.add(last)
        chosen.update(_waker(steps, last))
    if not chosen.difference([last]) and not any(steps[number].is_explorers for number in events):
        # It fails in stock order: no task stands out.
        tasks = {step.task for step in steps}
    tasks.discard("")
    involved = {number for number, step in enumerate(steps) if step.task in tasks and step.at}
    if len(chosen | involved) <= _FEW:
        chosen |= involved
    raced = {number for number, step in enumerate(steps) if step.shared}
    found = sorted(chosen | events | raced)
    return found if len(found) <= _MOST else found[: _MOST // 2] + found[-_MOST // 2 :]


def _waker(steps: Sequence[Step], number: int) -> list[int]:
    """The step in which another task has woken the task of a step, if it is known."""
    step = steps[number]
    for place in reversed(range(number)):
        if step.woken_by not in ("", step.task) and steps[place].task == step.woken_by:
            return [place]
    return []


def _meanwhile(steps: Sequence[Step], number: int) -> list[int]:
    """What other tasks do while one waits for longer than it has to, and its own next step."""
    late, found = steps[number], list[int]()
    for place in range(number + 1, len(steps)):
        step = steps[place]
        if step.task == late.task and not step.event:
            return [*found[: _MOST_MEANWHILE // 2], *found[-_MOST_MEANWHILE // 2 :], place]
        if step.time > late.time and (step.task or _is_timers(step)):
            found.append(place)
    return found[:_MOST_MEANWHILE]


def _is_timers(step: Step) -> bool:
    """Whether a step is the callback of a timer other than a sleep's: no step has made it ready."""
    return not step.task and not step.woken_by and not step.place.startswith("_set_result")


def _step_after(steps: Sequence[Step], number: int, task: str) -> list[int]:
    for place in range(number + 1, len(steps)):
        step = steps[place]
        # A thread's job is no task; its place identifies it.
        if task and (step.task or step.place.removesuffix(" in a thread")) == task:
            return [place]
    return []


def _who(step: Step) -> str:
    return step.task or ("(explorer)" if step.is_explorers else "(loop)")


def _lines_of(steps: Sequence[Step], number: int, width: int, folder: Path) -> list[str]:
    step = steps[number]
    mark = ">" if _is_switch(step) else " "
    if step.at is not None:
        where = _where(step.at, folder)
    else:
        where = step.place if step.task else _words_about(step)
    first, second = where, _words_about(step) if step.task else ""
    if step.event:
        first, second = step.event, where if step.at is not None else ""
    lines = [f"  {mark} {_time(steps, number)}{_who(step):<{width}}  {first}".rstrip()]
    indent = f"{'':<{width + 6 + len(_time(steps, number))}}"
    if second:
        lines.append(f"{indent}{second}")
    for use in step.shared:
        verb = "changes" if use.is_change else "reads"
        lines.append(f"{indent}{verb} {_valued(use)}  {_where(use.at, folder)}")
    return lines


def _where(at: SourcePlace, folder: Path) -> str:
    place = SourcePlace.relative_to(at.path, at.line, folder)
    source = source_line(at)
    return f"{place}  {source}" if source else str(place)


def _valued(use: SharedUse) -> str:
    if not use.value:
        return use.text
    if " of " in use.value:
        # A container, of which one element may have been used.
        return f"{use.text} ({use.value})"
    return f"{use.text} {'to' if use.is_change else '='} {use.value}"


def _introduced(steps: Sequence[Step], task: str) -> str:
    """A task's name, with the call that has made its coroutine if that is known."""
    call = next((step.call for step in steps if step.task == task and step.call), "")
    return f"{task}, {call}," if call else task


def _race(steps: Sequence[Step], folder: Path) -> list[str]:
    """A paragraph on what raced, if that is known."""
    uses = [(step.task, use) for step in steps for use in step.shared]
    if len(uses) != 3:
        return []
    (reader, read), (other, change), (_, act) = uses
    names = {task: _introduced(steps, task) for task in (reader, other)}
    places = [SourcePlace.relative_to(use.at.path, use.at.line, folder) for _, use in uses]
    return [
        f"What raced: {read.text}.",
        f"  {names[reader]} read {_valued(read)} at {places[0]};",
        f"  {names[other]} changed {_valued(change)} at {places[1]};",
        f"  then {reader} changed {_valued(act)} at {places[2]}, by what it had read before.",
        "",
    ]


def _time(steps: Sequence[Step], number: int) -> str:
    """The time of a step; empty if time never moved in the run."""
    return f"{steps[number].time:>8g} s  " if steps[-1].time else ""


def _words_about(step: Step) -> str:
    """What caused a step, and which task it has overtaken."""
    parts = []
    if not step.task:
        parts.append(f"calls {step.place}")
    elif step.is_cancelled:
        by = f" by {_named(step.cancelled_by)}" if step.cancelled_by else ""
        parts.append(f"is cancelled{by}" + (f" in {step.waited_for}" if step.waited_for else ""))
    elif step.waited_for:
        is_told = step.woken_by != step.task and _is_task_name(step.woken_by)
        by = f", woken by {step.woken_by!r}" if is_told else ""
        parts.append(f"goes on after {step.waited_for}{by}")
    else:
        parts.append(f"begins {step.call}" if step.call else "begins")
    if _is_switch(step) and step.choice is not None:
        held = step.choice.instead_of
        parts.append(f"before {held!r}, which is ready for longer" if held else "out of turn")
    return ", ".join(parts)


def _named(cause: str) -> str:
    return cause if cause == EXPLORER else repr(cause)


def _is_task_name(cause: str) -> bool:
    # Callbacks have the names of functions of asyncio and of the program.
    return bool(cause) and cause != EXPLORER and "." not in cause and not cause.startswith("_")
