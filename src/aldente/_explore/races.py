"""Finds what raced in a run: a value that one task read and another changed before the first was
done with it.

A value is out of date for a task that has read it, and then changes it, uses the variable that
keeps it, or goes on under the condition that it has decided, while another task has changed it in
between and the first has not read it again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from aldente._records import SourcePlace
from aldente._schedules import Role, SharedUse, Step

# How many other uses of shared things a step shows.
_MOST_OTHERS = 3

# How many changes of what the failing line reads are shown, at least.
_MOST_BEFORE_FAILURE = 3


class SharedAccess(NamedTuple):
    """A use of something that tasks may share.

    Attributes:
        place: its place among all of the run.
        step: the number of the step in which it happens.
        task: the name of the task.
        key: what is used: equal for two uses of the same thing.
        use: for the story.
        of: for an act by what was read before, the place of that access; else -1.
        deciding: for a change, the places of the reads by which it is made.
        is_in_place: whether a container is changed, rather than what a name stands for.
        element: which element of a dictionary is used; None if that is not known, or all.
        value: for a change, something that is equal for equal values, if these are kept.
        computed_from: for a change, those of `deciding` whose value it uses.
        resource: for a change that sets something which has to be closed, its number, if values
            are kept.
        before, delta: for a change of a count or container, how much there was, and how much it has
            added, if values are kept.
        changes_nothing: whether the line surely leaves what it changes as it was, if that is kept.
    """

    place: int
    step: int
    task: str
    key: Hashable
    use: SharedUse
    of: int = -1
    deciding: frozenset[int] = frozenset()
    is_in_place: bool = False
    element: Any = None
    value: Hashable = None
    computed_from: frozenset[int] = frozenset()
    resource: Hashable = None
    before: int | None = None
    delta: int | None = None
    changes_nothing: bool = False

    def may_meet(self, other: SharedAccess) -> bool:
        """Whether both may be about the same element."""
        return self.element is None or other.element is None or self.element == other.element


class TaskCall(NamedTuple):
    """A call by which a task acts on others.

    Attributes:
        place: how many accesses there were before it.
        step: the number of the step in which it happens.
        use: for the story.
    """

    place: int
    step: int
    use: SharedUse


class RaisedAt(NamedTuple):
    """Where the exception that fails a run was raised, or where tasks wait in a deadlock.

    Attributes:
        step: the number of the step; -1 if it is not known, or a deadlock.
        lines: the user's lines that it has passed, or at which tasks wait.
        last_steps: in a deadlock, the number of the last step of each task.
    """

    step: int
    lines: Collection[SourcePlace] = ()
    last_steps: Mapping[str, int] = {}


# A read, a change by another task, and what the reader does by what it has read.
ThreeUses = tuple[SharedAccess, SharedAccess, SharedAccess]

_ROLES: tuple[Role, ...] = ("read", "change", "act")


def mark(
    steps: list[Step],
    accesses: Sequence[SharedAccess],
    calls: Sequence[TaskCall],
    raised: RaisedAt,
) -> None:
    """Give the steps of a run what raced, and what they do that other tasks notice.

    Args:
        steps: the steps.
        accesses: all uses of what tasks share.
        calls: the calls by which tasks act on others.
        raised: where the exception that fails the run was raised.
    """
    race = next(races(accesses), None) or next(stale_uses(accesses, raised), None) or ()
    described: list[SharedAccess | TaskCall] = [
        *(
            access._replace(use=access.use._replace(role=role))
            for access, role in zip(race, _ROLES, strict=False)
        ),
        *(
            access._replace(use=access.use._replace(is_about_failure=True))
            for access in _changes_before_failure(accesses, raised)
        ),
        *_shared_changes(accesses),
        *calls,
        *_reads_of_others(accesses, raised, race[0].key if race else None),
    ]
    counts: Counter[int] = Counter()
    uses: dict[int, dict[SourcePlace, SharedAccess | TaskCall]] = defaultdict(dict)
    for each in described:
        is_needed = each.use.role or each.use.is_about_failure
        if each.use.at not in uses[each.step] and (is_needed or counts[each.step] < _MOST_OTHERS):
            counts[each.step] += not is_needed
            uses[each.step][each.use.at] = each
    for number, found in uses.items():
        ordered = sorted(found.values(), key=lambda each: each.place)
        steps[number] = replace(steps[number], shared=tuple(each.use for each in ordered))


def _changes_before_failure(
    accesses: Sequence[SharedAccess], raised: RaisedAt
) -> Iterator[SharedAccess]:
    """The last changes of what the failing line reads."""
    read = {
        access.key
        for access in accesses
        if access.step == raised.step and access.use.at in raised.lines and access.of < 0
    }
    for places in _by_key(accesses):
        if accesses[places[0]].key in read:
            found = _changes_after_making([accesses[place] for place in places])
            yield from found[-_MOST_BEFORE_FAILURE:]


def _changes_after_making(uses: Sequence[SharedAccess]) -> list[SharedAccess]:
    """The changes of something, but for its first use if that has made it."""
    return [
        access
        for number, access in enumerate(uses)
        if access.use.is_change and (number or access.is_in_place)
    ]


def _shared_changes(accesses: Sequence[SharedAccess]) -> Iterator[SharedAccess]:
    """The changes of what more than one task uses, after it was made."""
    for places in _by_key(accesses):
        found = [accesses[place] for place in places]
        if len({access.task for access in found}) > 1:
            yield from (access for access in _changes_after_making(found) if access.of < 0)


def _reads_of_others(
    accesses: Sequence[SharedAccess], raised: RaisedAt, raced: Hashable
) -> Iterator[SharedAccess]:
    """The reads of what another task has changed last, after it was made; of what raced, all reads
    but those of what the task has changed itself.
    """
    for places in _by_key(accesses):
        changer = ""
        for number, place in enumerate(places):
            access = accesses[place]
            if access.use.is_change:
                changer = access.task if number or access.key == raced else ""
                continue
            is_failing = access.step == raised.step and access.use.at in raised.lines
            is_others = changer != access.task and (changer or access.key == raced)
            if is_others and access.of < 0 and not is_failing:
                yield access


def _by_key(accesses: Sequence[SharedAccess]) -> list[list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for place, access in enumerate(accesses):
        found[access.key].append(place)
    return list(found.values())


def races(accesses: Sequence[SharedAccess]) -> Iterator[ThreeUses]:
    """The races of a run, the last one first: a read, a change by another, a change by the reader.

    The reader changes the thing in a later step than that in which it has read it, by what is out
    of date then.
    """
    found = [
        race
        for places in _by_key(accesses)
        for race in _races_of([accesses[place] for place in places if accesses[place].of < 0])
    ]
    yield from sorted(found, key=lambda race: (race[2].use.is_by_read, race[2].step), reverse=True)


def _races_of(uses: Sequence[SharedAccess]) -> Iterator[ThreeUses]:
    # By task: its reads that it may act on; the change that has made those out of date; and what it
    # has read since.
    reads: dict[str, list[SharedAccess]] = {}
    changed: dict[str, SharedAccess] = {}
    fresh: dict[str, list[SharedAccess]] = {}
    for access in uses:
        task = access.task
        if not access.use.is_change:
            (fresh if task in changed else reads).setdefault(task, []).append(access)
            continue
        if task in changed:
            yield from _race_of(reads[task], changed[task], fresh.get(task, []), access)
        for known in (reads, fresh):
            known.pop(task, None)
        changed.pop(task, None)
        reads.update(fresh)
        for other in reads.keys() - (changed.keys() - fresh.keys()):
            if any(read.may_meet(access) for read in reads[other]):
                changed[other] = access
        fresh.clear()


def _race_of(
    reads: Sequence[SharedAccess],
    change: SharedAccess,
    fresh: Sequence[SharedAccess],
    act: SharedAccess,
) -> Iterator[ThreeUses]:
    """The race of a task that changes what is not what it has read; none if it has looked again.

    To read it on the very line of the change, as ``+=`` does, is no look, if an earlier read has
    decided that the line is reached.
    """
    on_line = [
        read for read in fresh if read.step == act.step and read.use.at.line == act.use.at.line
    ]
    if len(on_line) < len(fresh):
        return
    if not act.may_meet(change):
        return
    deciding = [read for read in reads if read.place in act.deciding and read.may_meet(change)]
    if deciding:
        yield deciding[-1], change, act
    elif not on_line and not act.is_in_place:
        yield reads[-1], change, act._replace(use=act.use._replace(is_by_read=False))


def stale_uses(accesses: Sequence[SharedAccess], raised: RaisedAt) -> Iterator[ThreeUses]:
    """The uses of what was out of date that have to do with the failure, the last one first.

    One has to do with it if the failing line is a part of it, or reads what its line has changed.
    """
    found = [
        race
        for places in _by_key(accesses)
        for race in _stale_uses_of(accesses, places)
        if _is_about(race[2], accesses, raised)
    ]
    yield from sorted(found, key=lambda race: race[2].step, reverse=True)


def _stale_uses_of(accesses: Sequence[SharedAccess], places: Sequence[int]) -> Iterator[ThreeUses]:
    for index, place in enumerate(places):
        act = accesses[place]
        if act.of < 0:
            continue
        between = [each for each in places[:index] if each > act.of and accesses[each].of < 0]
        changes = [
            each
            for each in between
            if accesses[each].use.is_change and accesses[each].may_meet(accesses[act.of])
        ]
        if not changes or accesses[changes[-1]].task == act.task:
            continue
        is_read = any(accesses[each].task == act.task for each in between if each > changes[-1])
        # The very line that acts may look again.
        following = (accesses[each] for each in places[index + 1 :])
        is_read = is_read or any(
            (each.task, each.step, each.use.at) == (act.task, act.step, act.use.at)
            for each in following
        )
        if not is_read:
            yield accesses[act.of], accesses[changes[-1]], act


def _is_about(act: SharedAccess, accesses: Sequence[SharedAccess], raised: RaisedAt) -> bool:
    if raised.step < 0:
        is_last = raised.last_steps.get(act.task) == act.step
        return is_last and act.use.at in raised.lines
    if act.step == raised.step and act.use.at in raised.lines:
        return True
    changed = {
        access.key
        for access in accesses
        if access.use.is_change and access.step == act.step and access.use.at == act.use.at
    }
    return any(
        access.key in changed and access.step == raised.step and access.use.at in raised.lines
        for access in accesses
    )
