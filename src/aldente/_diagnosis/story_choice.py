"""Which steps of a run a story shows, and the words for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aldente._schedules import EXPLORER, SharedUse, Step

# Up to this number, the story has all steps of the tasks that take part in a switch.
_FEW = 16

# The greatest number of steps in a story: the first and the last ones.
_MOST = 40

# And of those that other tasks take while one waits for longer than it has to.
_MOST_MEANWHILE = 8

# And of the last steps of tasks that wait for something at the end.
_MOST_STUCK = 10

# Callbacks by which asyncio passes on what has happened; the step that follows shows it.
_PASSED_ON = frozenset(
    {
        "_set_result_unless_cancelled",
        "_release_waiter",
        "_run_until_complete_cb",
        "_chain_future.<locals>._call_set_state",
        "_chain_future.<locals>._call_check_cancel",
        "_chain_future.<locals>._set_state",
        "_wait.<locals>._on_completion",
        "_AsCompletedIterator._handle_completion",
        "as_completed.<locals>._on_completion",
        "_discard_awaited_by",
        "gather.<locals>._done_callback",
        "shield.<locals>._clear_awaited_by_callback",
        "shield.<locals>._inner_done_callback",
        "shield.<locals>._outer_done_callback",
        "TaskGroup._on_task_done",
    }
)


@dataclass(slots=True)
class ChosenSteps:
    """The steps of a story.

    Attributes:
        steps: all steps of the run.
        shown: the numbers of the steps that the story shows, in order.
        repeated: by a step that is shown, the steps that follow it and are just like it.
        after_failure: the steps of the clean-up after the exception was raised, which are not shown
            one by one.
    """

    steps: Sequence[Step]
    shown: list[int]
    repeated: dict[int, list[int]] = field(default_factory=dict)
    after_failure: range = range(0)

    def count(self, numbers: Iterable[int]) -> int:
        """How many of some entries are steps."""
        return sum(is_counted(self.steps[number]) for number in numbers)


def is_counted(step: Step) -> bool:
    """Whether an entry is a step that means something to the user."""
    return not step.event and (bool(step.task) or step.place not in _PASSED_ON)


def is_switch(step: Step) -> bool:
    """Whether the schedule left stock order with a step."""
    return step.is_explorers or (step.choice is not None and step.choice.is_switch)


def is_job(step: Step) -> bool:
    """Whether a step is one of a thread of an executor."""
    return not step.task and step.place.endswith(_IN_A_THREAD)


_IN_A_THREAD = " in a thread"


def choose(steps: Sequence[Step], *, is_whole: bool = False) -> ChosenSteps:
    """Choose the steps to show.

    Args:
        steps: all steps of the run.
        is_whole: whether to show all.
    """
    if is_whole:
        return ChosenSteps(
            steps, [number for number, step in enumerate(steps) if step.event or is_counted(step)]
        )
    after = _after_failure(steps)
    last = after.start if after else len(steps)
    chosen = ChosenSteps(steps, _select(steps[:last]), after_failure=after)
    _fold_repeated(chosen)
    if len(chosen.shown) > _MOST:
        chosen.shown = _most_relevant(steps, chosen.shown)
        chosen.repeated = {
            number: more for number, more in chosen.repeated.items() if number in chosen.shown
        }
    return chosen


def _after_failure(steps: Sequence[Step]) -> range:
    """The steps after the one that raised the exception, if they cancel what is left."""
    failing = next((number for number, step in enumerate(steps) if step.is_failing), None)
    if failing is None:
        return range(0)
    after = range(failing + 1, len(steps))
    cancelled = [steps[number] for number in after if steps[number].is_cancelled]
    is_clean_up = cancelled and all(step.cancelled_by != EXPLORER for step in cancelled)
    return after if is_clean_up else range(0)


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
        if is_switch(step):
            held = step.choice.instead_of if step.choice is not None else ""
            chosen.add(number)
            tasks.update((step.task, held))
            chosen.update(_step_after(steps, number, held))
        elif not step.is_cancelled and not (is_job(step) and step.outcome):
            continue
        chosen.add(number)
        tasks.add(step.task)
        chosen.update(_waker(steps, number))
    last = next((n for n in reversed(range(len(steps))) if steps[n].at and n not in events), None)
    if last is not None:
        chosen.add(last)
        chosen.update(_waker(steps, last))
    if not any(is_switch(step) or step.is_cancelled for step in steps):
        # It fails in stock order: no task stands out.
        tasks = {step.task for step in steps}
    tasks.discard("")
    involved = {
        number
        for number, step in enumerate(steps)
        if (step.task in tasks and step.at) or is_job(step)
    }
    if len(chosen | involved) <= _FEW:
        chosen |= involved
    telling = {
        number
        for number, step in enumerate(steps)
        if step.is_failing or any(use.role or use.is_about_failure for use in step.shared)
    }
    if not any(step.is_failing for step in steps):
        telling.update(_where_stuck(steps))
    found = chosen | events | telling
    return sorted(number for number in found if number in events or is_counted(steps[number]))


def _where_stuck(steps: Sequence[Step]) -> list[int]:
    """The last steps of tasks that wait at the end for something other than time or tasks."""
    last = {step.task: number for number, step in enumerate(steps) if step.task and not step.event}
    waiting = [
        number
        for number in last.values()
        if steps[number].outcome.startswith("waits") and not _is_for_time_or_tasks(steps[number])
    ]
    return waiting if len(waiting) <= _MOST_STUCK else []


def _is_for_time_or_tasks(step: Step) -> bool:
    return "sleep(" in step.outcome or step.outcome.startswith(
        ("waits for '", "waits for one of '")
    )


def _most_relevant(steps: Sequence[Step], shown: Sequence[int]) -> list[int]:
    """The first and last steps of many, and those that the others are about."""
    kept = {*shown[: _MOST // 2], *shown[-_MOST // 2 :]}
    kept.update(number for number in shown if any(use.role for use in steps[number].shared))
    return sorted(kept)


def _fold_repeated(chosen: ChosenSteps) -> None:
    """Show only the first of several steps that follow each other and are alike."""
    shown: list[int] = []
    for number in chosen.shown:
        if shown:
            more = chosen.repeated.get(shown[-1], [])
            before = [shown[-1], *more][-1]
            between = chosen.count(range(before + 1, number))
            if not between and _is_alike(chosen.steps[before], chosen.steps[number]):
                chosen.repeated.setdefault(shown[-1], []).append(number)
                continue
        shown.append(number)
    chosen.shown = shown


def _is_alike(before: Step, step: Step) -> bool:
    """Whether a step shows nothing that the one before it does not show."""
    return (
        bool(step.task)
        and not (step.event or before.event or step.shared or step.is_cancelled)
        and not (is_switch(step) or step.is_failing or before.shared)
        and (step.task, step.at, step.waited_for, step.time)
        == (before.task, before.at, before.waited_for, before.time)
        and step.stopped_at == before.stopped_at
        and step.outcome == before.outcome
        and not before.is_cancelled
    )


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
        # A thread's job is not a task; its place identifies it.
        if task and (step.task or step.place.removesuffix(_IN_A_THREAD)) == task:
            return [place]
    return []


# How long the callers of a step may be, in columns.
_MOST_OF_CALLERS = 48


_ENDS_WITH = "ends with "


class Words:
    """Words for some steps of a run.

    Args:
        steps: all steps.
        shown: the numbers of the steps that the story shows.
    """

    def __init__(self, steps: Sequence[Step], shown: Sequence[int]) -> None:
        self._steps = steps
        # The steps whose task takes its next one in a step that is shown.
        self._next: set[int] = set()
        last: dict[str, int] = {}
        is_shown = set(shown)
        for number, step in enumerate(steps):
            if step.task and not step.event:
                if step.task in last and number in is_shown:
                    self._next.add(last[step.task])
                last[step.task] = number

    def who(self, step: Step) -> str:
        """Who takes a step."""
        if step.task or step.is_explorers:
            return step.task or "(explorer)"
        return "(thread)" if is_job(step) and step.call != "ends" else "(loop)"

    def introduced(self, task: str) -> str:
        """A task's name, with the call that has made its coroutine if that is known."""
        call = next((step.call for step in self._steps if step.task == task and step.call), "")
        return f"{task}, {call}," if call else task

    def about(self, number: int) -> str:
        """What caused a step, which task it has overtaken, and in which functions it goes on."""
        step = self._steps[number]
        parts = [self._cause(step)]
        if is_switch(step) and step.choice is not None:
            held = step.choice.instead_of
            parts.append(
                f"before {short_name(held)!r}, which has been ready longer"
                if held
                else "out of turn"
            )
        if step.task and len(step.callers) > 1:
            parts.append(f"in {callers_in_short(step.callers)}")
        if not step.task and step.outcome:
            parts.append(f"and {step.outcome}")
        return ", ".join(parts)

    def _cause(self, step: Step) -> str:
        if not step.task:
            name = short_name(step.place)
            return {
                "goes on": f"goes on with {name}",
                "ends": f"is notified that {name} has ended",
            }.get(step.call, f"calls {name}")
        if step.is_cancelled:
            by = f" by {_named(step.cancelled_by)}" if step.cancelled_by else ""
            return f"is cancelled{by}" + (f" in {step.waited_for}" if step.waited_for else "")
        if step.waited_for:
            is_woken = step.woken_by != step.task and _is_task_name(step.woken_by)
            by = f", woken by {step.woken_by!r}" if is_woken else ""
            return f"goes on after {step.waited_for}{by}"
        return f"begins {step.call}" if step.call else "begins"

    def stop(self, number: int) -> str:
        """What a task waits for at the end of its step; empty if that says nothing new."""
        step = self._steps[number]
        if not step.task or step.outcome in ("", "ends"):
            return ""
        is_same_line = step.stopped_at == step.at
        if step.outcome == "lets other tasks run" and (number in self._next or is_same_line):
            return ""
        if step.outcome.startswith("waits for sleep(") and is_same_line and step.waited_for:
            return ""
        if step.outcome.startswith(_ENDS_WITH) and self._is_passed_on(number):
            return f"{_ENDS_WITH.replace('ends', 'then ends')}the same exception"
        # Else its next step says it.
        is_shown = len(step.stopped_in) < 2 or number in self._next
        return f"then {step.outcome}" + (
            "" if is_shown else f", in {callers_in_short(step.stopped_in)}"
        )

    def _is_passed_on(self, number: int) -> bool:
        """Whether a task ends with the exception that fails the run, and another has raised it."""
        outcome = self._steps[number].outcome
        return any(step.is_failing and step.outcome == outcome for step in self._steps[:number])

    def use(self, use: SharedUse) -> str:
        """A use of something that tasks share."""
        if use.role == "act" and not use.is_change:
            return f"uses {use.kept}" if use.kept else f"goes on without reading {use.text} again"
        if use.is_call:
            return f"calls {use.text}"
        return f"{'changes' if use.is_change else 'reads'} {self.valued(use)}"

    def valued(self, use: SharedUse) -> str:
        """What is used, with its value."""
        if not use.value:
            return use.text
        if " of " in use.value:
            # A container, of which one element may have been used.
            return f"{use.text} ({use.value})"
        return f"{use.text} {'to' if use.is_change else '='} {use.value}"


def short_name(name: str) -> str:
    """The name of a task or function, without the functions in which it is defined.

    >>> short_name("test_it.<locals>.Shop.load"), short_name("Task-2")
    ('Shop.load', 'Task-2')
    """
    return name.rpartition("<locals>.")[2]


def callers_in_short(callers: Sequence[str]) -> str:
    """A chain of functions, the outermost first; those in the middle may be left out.

    >>> callers_in_short(["trip", "delete", "release"])
    'trip < delete < release'
    """
    shown = list(callers)
    if len(" < ".join(shown)) <= _MOST_OF_CALLERS:
        return " < ".join(shown)
    while len(shown) > 3 and len(" < ".join([shown[0], "...", *shown[2:]])) > _MOST_OF_CALLERS:
        del shown[1]
    return " < ".join([shown[0], "...", *shown[2:]])


def _named(cause: str) -> str:
    return cause if cause == EXPLORER else repr(cause)


def _is_task_name(cause: str) -> bool:
    # Callbacks have the names of functions of asyncio and of the program.
    return bool(cause) and cause != EXPLORER and "." not in cause and not cause.startswith("_")
