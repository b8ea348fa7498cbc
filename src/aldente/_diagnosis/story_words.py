"""The words for the steps of a story."""

from __future__ import annotations

from collections.abc import Sequence

from aldente._diagnosis.story_choice import is_job, is_switch
from aldente._schedules import EXPLORER, SharedUse, Step

# How long the callers of a step may be, in columns.
_MOST_OF_CALLERS = 48


_ENDS_WITH = "ends with "


class Words:
    """Words for some steps of a run.

    Args:
        steps: all steps.
        told: the numbers of those that are told.
    """

    def __init__(self, steps: Sequence[Step], told: Sequence[int]) -> None:
        self._steps = steps
        # The steps whose task takes its next one in a step that is told.
        self._next: set[int] = set()
        last: dict[str, int] = {}
        is_told = set(told)
        for number, step in enumerate(steps):
            if step.task and not step.event:
                if step.task in last and number in is_told:
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
                f"before {short_name(held)!r}, which is ready for longer" if held else "out of turn"
            )
        if step.task and len(step.callers) > 1:
            parts.append(f"in {callers_in_short(step.callers)}")
        if not step.task and step.outcome:
            parts.append(f"and {step.outcome}")
        return ", ".join(parts)

    def _cause(self, step: Step) -> str:
        if not step.task:
            name = short_name(step.place)
            return {"goes on": f"goes on with {name}", "ends": f"learns of the end of {name}"}.get(
                step.call, f"calls {name}"
            )
        if step.is_cancelled:
            by = f" by {_named(step.cancelled_by)}" if step.cancelled_by else ""
            return f"is cancelled{by}" + (f" in {step.waited_for}" if step.waited_for else "")
        if step.waited_for:
            is_told = step.woken_by != step.task and _is_task_name(step.woken_by)
            by = f", woken by {step.woken_by!r}" if is_told else ""
            return f"goes on after {step.waited_for}{by}"
        return f"begins {step.call}" if step.call else "begins"

    def stop(self, number: int) -> str:
        """What a task waits for at the end of its step; empty if that says nothing new."""
        step = self._steps[number]
        if not step.task or step.outcome in ("", "ends"):
            return ""
        is_same_line = step.stopped_at == step.at
        if step.outcome == "lets others go on" and (number in self._next or is_same_line):
            return ""
        if step.outcome.startswith("waits for sleep(") and is_same_line and step.waited_for:
            return ""
        if step.outcome.startswith(_ENDS_WITH) and self._is_passed_on(number):
            return f"{_ENDS_WITH.replace('ends', 'then ends')}the same exception"
        # Else its next step says it.
        is_said = len(step.stopped_in) < 2 or number in self._next
        return f"then {step.outcome}" + (
            "" if is_said else f", in {callers_in_short(step.stopped_in)}"
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
