"""The findings of races: an update that is lost, and what a task has taken and never put back.

What has to be put back is learnt from tasks that return: these put back what they have taken on a
line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aldente._explore.kept_values import Ending, KeptValues
from aldente._explore.predicted_races import Race, UsesOfRun
from aldente._explore.races import SharedAccess
from aldente._records import Finding, SourcePlace
from aldente._rules import race as rule
from aldente._strategies.steered import Section

_FIX_OF_VALUE = (
    "Hold an asyncio.Lock from the line that reads it to the line that sets it; or read it again "
    "after the await, and set it without an await in between."
)
_FIX_OF_CHECK = (
    "Hold an asyncio.Lock from the check to the action that depends on it; or check again after "
    "the await; or do it once, in a task that all others wait for."
)


def lost_update(race: Race, serial: tuple[SharedAccess, SharedAccess]) -> Finding:
    """The finding of a race in which an update is lost.

    Args:
        race: the race, as it goes in a run.
        serial: the last change in each order of the two tasks, one after the other.
    """
    name, first, other = race.act.use.text, race.act.task, race.change.task
    if race.is_computed:
        what = (
            f"an update of {name} is lost: {first} sets it from a value that it read before "
            f"{other} changed it."
        )
    else:
        what = f"{first} acts on an outdated check of {name}: {other} has changed it since."
    return Finding(
        rule.RULE.name,
        what,
        _FIX_OF_VALUE if race.is_computed else _FIX_OF_CHECK,
        race.act.use.at,
        (*_described(race), _one_after_the_other(race, serial)),
        subject=name,
    )


def _described(race: Race) -> Iterator[str]:
    for access, verb in ((race.read, "reads"), (race.change, "changes"), (race.act, "changes")):
        text, value = access.use.text, access.use.value
        shown = "" if not value else f" = {value}" if verb == "reads" else f" to {value}"
        yield f"{access.task} {verb} {text}{shown} at {access.use.at}"


def _one_after_the_other(race: Race, serial: tuple[SharedAccess, SharedAccess]) -> str:
    """The result of the two tasks one after the other, in words."""
    outer, inner = serial
    name = race.act.use.text
    if not race.is_computed and _is_like(inner, race.change):
        return (
            f"If the tasks run one after the other, {race.act.task} does not do that after "
            f"{inner.task}."
        )
    values = [each.use.value for each in (outer, inner)]
    if not all(values):
        return "If the tasks run one after the other, neither order gives this result."
    if values[0] == values[1]:
        return f"If the tasks run one after the other, in either order, {name} ends as {values[0]}."
    return f"If the tasks run one after the other, {name} ends as {values[0]} or {values[1]}."


def _is_like(access: SharedAccess, other: SharedAccess) -> bool:
    """Whether two accesses are of one line and task."""
    return (access.task, access.use.at) == (other.task, other.use.at)


class NeverPutBack(NamedTuple):
    """Something that a task has taken and not put back.

    Attributes:
        take: the change by which it has taken it.
        ending: how the task has ended.
        put: the change by which a task that returned has put back what it took on the same line.
    """

    take: SharedAccess
    ending: Ending
    put: SharedAccess


class Borrowing(NamedTuple):
    """A task that takes something and puts it back.

    Attributes:
        take, put: its changes.
        section: the part of the task in between.
    """

    take: SharedAccess
    put: SharedAccess
    section: Section


def borrowings(uses: UsesOfRun, ends: Mapping[str, Ending]) -> Iterator[Borrowing]:
    """The tasks of a run that return, and have put back what they have taken."""
    for changes in _countable(uses):
        for task, own in _by_task(changes).items():
            if ends.get(task) == "returned" and len(own) > 1 and not _sum(own):
                (_, first), (_, last) = uses.step_of(own[0]), uses.step_of(own[-1])
                yield Borrowing(own[0], own[-1], Section(task, first, last))


def never_put_back(
    uses: UsesOfRun, kept: KeptValues | None, known: Mapping[SourcePlace, SharedAccess]
) -> Iterator[NeverPutBack]:
    """What tasks of a run have not put back, because they were cancelled or raised.

    It is a finding only if all other tasks have put back what they took, so that one thing is
    missing at the end; if no handler of the exception has done anything about it, such as closing a
    broken connection; and if it is used afterwards, because tasks that are cancelled when a program
    ends need not put it back.

    Args:
        uses: what the tasks have used.
        kept: how each has ended; None if that is not known.
        known: by the line on which something is taken, the change that puts it back.
    """
    if kept is None:
        return
    ends = kept.ends
    for changes in _countable(uses):
        for task, own in _by_task(changes).items():
            ending, take = ends.get(task, "returned"), own[0]
            put = known.get(take.use.at)
            if ending == "returned" or put is None or _sum(own) != take.delta:
                continue
            if any(change.place in kept.handled for change in own):
                continue
            if not uses.is_needed_after(take):
                continue
            first = next(change for change in changes if change.use.at in known)
            since = [change for change in changes if change.place >= first.place]
            if _is_whole(since) and not any(
                _sum(others) for other, others in _by_task(since).items() if other != task
            ):
                yield NeverPutBack(take, ending, put)


def _countable(uses: UsesOfRun) -> Iterator[Sequence[SharedAccess]]:
    """The changes of each thing of which it is known how much each has taken or put back."""
    for accesses in uses.by_thing():
        changes = [access for access in accesses if access.use.is_change]
        # The first one may have made it.
        if all(change.delta is not None for change in changes[1:]):
            yield [change for change in changes if change.delta]


def _by_task(changes: Sequence[SharedAccess]) -> Mapping[str, Sequence[SharedAccess]]:
    found: dict[str, list[SharedAccess]] = {}
    for change in changes:
        found.setdefault(change.task, []).append(change)
    return found


def _sum(changes: Sequence[SharedAccess]) -> int:
    return sum(change.delta or 0 for change in changes)


def _is_whole(changes: Sequence[SharedAccess]) -> bool:
    """Whether no change is missing: each begins with as much as the one before has left."""
    pairs = itertools.pairwise(changes)
    return all(
        later.before is None or later.before == (earlier.before or 0) + (earlier.delta or 0)
        for earlier, later in pairs
    )


_ENDINGS: Mapping[Ending, str] = {"cancelled": "is cancelled", "raised": "raises an exception"}


def not_put_back(found: NeverPutBack) -> Finding:
    """The finding of something that was never put back."""
    take, put = found.take, found.put
    name, end = take.use.text, _ENDINGS[found.ending]
    is_taken = (take.delta or 0) < 0
    verb, back = ("takes from", "puts it back") if is_taken else ("adds to", "takes it back")
    return Finding(
        rule.RULE.name,
        f"{take.task} {verb} {name}, {end}, and never {back}.",
        "Put it back in a 'finally' block, or hold it with a context manager, so that it also "
        "happens after a cancellation or an error.",
        take.use.at,
        (
            f"{take.task} changes {name} by {take.delta:+} at {take.use.at}, and {end}",
            f"A task that returns normally undoes that at {put.use.at}",
        ),
        subject=name,
    )
