"""Which races a run has, and which there may be in runs of other schedules."""

from __future__ import annotations

import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from aldente._explore.guards import facts_of
from aldente._explore.races import SharedAccess, races
from aldente._explore.runs import Run
from aldente._records import SourcePlace
from aldente._schedules import Step
from aldente._strategies.steered import Section


class Race(NamedTuple):
    """A race between two tasks for one thing.

    Attributes:
        read, change, act: the uses of it: one task has read it, another changes it, and the first
            changes it according to what it read.
        around: the part of the first task, from its read to its change.
        inside: the part of the other, up to its change.
    """

    read: SharedAccess
    change: SharedAccess
    act: SharedAccess
    around: Section
    inside: Section

    @property
    def places(self) -> tuple[SourcePlace, SourcePlace, SourcePlace]:
        """The lines of the three uses."""
        return self.read.use.at, self.change.use.at, self.act.use.at

    @property
    def is_computed(self) -> bool:
        """Whether the value that the act sets is computed from what was read.

        Else what was read has only decided that the act is reached.
        """
        return self.read.place in self.act.computed_from


class UsesOfRun:
    """What the tasks of a run have read and changed, and in which of their steps.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self.accesses = run.accesses
        self._by_place = {access.place: access for access in run.accesses}
        self._numbers = list(_numbered(run.steps))
        # By task: the number of its first step among those of all, and of its last one.
        self._begun: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        for number, step in enumerate(run.steps):
            self._begun.setdefault(step.task, number)
            self._ended[step.task] = number

    def step_of(self, access: SharedAccess) -> tuple[str, int]:
        """The task of an access, and the number of its step among those of the task, from 0."""
        return self._numbers[access.step]

    def has_begun_before(self, task: str, access: SharedAccess) -> bool:
        """Whether a task had begun when something else was done."""
        return self._begun[task] <= access.step

    def is_needed_after(self, take: SharedAccess) -> bool:
        """Whether what a task has taken is used after the last step of the task.

        To look at it in an assertion is no use: this has passed, so what it is then is right. Nor
        is it one that others put back what they have taken.
        """
        end = self._ended[take.task]
        later = [each for each in self.accesses if each.key == take.key and each.step > end]
        puts = {each.use.at for each in later if (each.delta or 0) * (take.delta or 0) < 0}
        return any(each.use.at not in puts and not _is_asserted(each) for each in later)

    def section_of(self, change: SharedAccess) -> Section:
        """The part of a task that ends with a change, from the first read that the change depends
        on.
        """
        task, last = self.step_of(change)
        steps = map(self.step_of, self.reads_of(change))
        first = min((number for name, number in steps if name == task), default=last)
        return Section(task, first, last)

    def reads_of(self, change: SharedAccess) -> list[SharedAccess]:
        """The reads of the same thing by which a change is made."""
        deciding = (self._by_place[place] for place in change.deciding)
        return [read for read in deciding if read.key == change.key]

    def sources_of(self, change: SharedAccess) -> list[SharedAccess]:
        """The reads of other things, in earlier steps of the task, whose values a change uses."""
        found = (self._by_place[place] for place in change.computed_from)
        task, step = self.step_of(change)
        return [
            read
            for read in found
            if read.key != change.key
            and self.step_of(read)[0] == task
            and self.step_of(read)[1] < step
        ]

    def by_thing(self) -> list[list[SharedAccess]]:
        """The accesses of each thing, without those that only depend on an earlier one."""
        found: dict[Hashable, list[SharedAccess]] = defaultdict(list)
        for access in self.accesses:
            if access.of < 0:
                found[access.key].append(access)
        return list(found.values())

    def count_of_reads(self, read: SharedAccess, before: SharedAccess, section: Section) -> int:
        """How often a task has read on the line of a read before it has made a change.

        Args:
            read: the read, which may be of another run.
            before: the change.
            section: the part of the task; looks from its begin on.
        """
        kind, count = _kind_of(read.key), 0
        for each in self.accesses:
            is_like = not each.use.is_change and each.of < 0 and each.use.at == read.use.at
            if is_like and _kind_of(each.key) == kind and each.place < before.place:
                task, step = self.step_of(each)
                count += task == section.task and step >= section.first
        return count

    def change_like(self, change: SharedAccess, section: Section) -> SharedAccess | None:
        """The first change of a task at the line of a change of another run; None without one.

        Args:
            change: the change of the other run.
            section: the part of the task that ends with it there; looks from its begin on.
        """
        kind = _kind_of(change.key)
        for each in self.accesses:
            if each.use.is_change and each.use.at == change.use.at and _kind_of(each.key) == kind:
                task, step = self.step_of(each)
                if task == section.task and step >= section.first:
                    return each
        return None


def _is_asserted(access: SharedAccess) -> bool:
    facts = facts_of(access.use.at.path).get(access.use.at.line)
    return facts is not None and facts.asserts


def _kind_of(key: Hashable) -> Hashable:
    """What a key is about; the rest of it may be another in each run."""
    return key[0] if isinstance(key, tuple) else key


def _numbered(steps: Sequence[Step]) -> Iterator[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for step in steps:
        yield step.task, counts[step.task]
        if step.task and not step.event:
            counts[step.task] += 1


def observed(uses: UsesOfRun) -> Iterator[Race]:
    """The races that a run has, in which a task acts by what it has read."""
    for read, change, act in races(uses.accesses):
        (task, last), (reader, first) = uses.step_of(act), uses.step_of(read)
        other, _ = uses.step_of(change)
        # Outside of tasks nothing can be led into another order.
        if act.use.is_by_read and task == reader != other and other:
            yield Race(read, change, act, Section(task, first, last), uses.section_of(change))
    yield from _overwriting_by_stale(uses, is_observed=True)


# Three lines of a race.
_Lines = tuple[SourcePlace, SourcePlace, SourcePlace]


def predicted(uses: UsesOfRun, most: int) -> Iterator[Race]:
    """The races that there may be in other schedules than that of a run.

    A task that has read the thing, and did not act on that, might have done what another task does
    that reads it on the same line.

    Args:
        uses: what the tasks of the run have used.
        most: how many races to return of the same three lines.
    """
    counts: Counter[_Lines] = Counter()
    found = itertools.chain(_predicted_of_things(uses, counts, most), _overwriting_by_stale(uses))
    for race in found:
        if counts[race.places] < most:
            counts[race.places] += 1
            yield race


def _predicted_of_things(uses: UsesOfRun, counts: Counter[_Lines], most: int) -> Iterator[Race]:
    for accesses in uses.by_thing():
        changes = [access for access in accesses if access.use.is_change]
        if len({access.task for access in accesses}) < 2:
            continue
        lines = {change.use.at for change in changes}
        for act in changes:
            task, last = uses.step_of(act)
            for read in uses.reads_of(act):
                reader, first = uses.step_of(read)
                # In a long loop there are very many of the same lines.
                is_enough = all(counts[read.use.at, line, act.use.at] >= most for line in lines)
                if reader == task and first < last and not is_enough:
                    for like in _reads_like(read, accesses, uses):
                        yield from _races_around(like, act, last - first, changes, uses)


def _reads_like(
    read: SharedAccess, accesses: Sequence[SharedAccess], uses: UsesOfRun
) -> Iterator[SharedAccess]:
    """A read, and those on the same line by other tasks."""
    for other in accesses:
        is_other = uses.step_of(other)[0] != uses.step_of(read)[0]
        if other is read or (is_other and not other.use.is_change and other.use.at == read.use.at):
            yield other


def _races_around(
    read: SharedAccess,
    act: SharedAccess,
    length: int,
    changes: Sequence[SharedAccess],
    uses: UsesOfRun,
) -> Iterator[Race]:
    task, first = uses.step_of(read)
    around = Section(task, first, first + length)
    for change in changes:
        is_others = uses.step_of(change)[0] not in (task, "")
        if is_others and change.may_meet(read) and uses.has_begun_before(task, change):
            yield Race(read, change, act, around, uses.section_of(change))


def _overwriting_by_stale(uses: UsesOfRun, *, is_observed: bool = False) -> Iterator[Race]:
    """Where a task sets one thing according to what it read of another, and a second task changes
    both.

    That is a race if the other task changes them in between, as one that fills a cache while
    another changes both what is stored and the cache.

    Args:
        uses: what the tasks have used.
        is_observed: whether to return only those in which it does so in this run.
    """

    def may_be_between(read: SharedAccess, act: SharedAccess, other: SharedAccess) -> bool:
        return not is_observed or read.place < other.place < act.place

    things = {accesses[0].key: accesses for accesses in uses.by_thing()}
    for accesses in things.values():
        # What is only added to a container overwrites nothing.
        changes = [
            access
            for access in accesses
            if access.use.is_change and (access.element is not None or not access.is_in_place)
        ]
        for act in changes:
            for read in uses.sources_of(act):
                between = functools.partial(may_be_between, read, act)
                sources = [each for each in things[read.key] if each.use.is_change]
                for source in filter(between, sources):
                    for change in filter(between, changes):
                        if _are_of_one_other(source, change, read, act, uses):
                            yield _overwriting(read, source, change, act, uses)


def _are_of_one_other(
    source: SharedAccess,
    change: SharedAccess,
    read: SharedAccess,
    act: SharedAccess,
    uses: UsesOfRun,
) -> bool:
    """Whether one task changes what another has read, and what that sets by it."""
    task, other = uses.step_of(act)[0], uses.step_of(change)[0]
    return (
        uses.step_of(source)[0] == other != task
        and bool(other)
        and source.may_meet(read)
        and change.may_meet(act)
        and uses.has_begun_before(task, source)
        and uses.has_begun_before(task, change)
    )


def _overwriting(
    read: SharedAccess,
    source: SharedAccess,
    change: SharedAccess,
    act: SharedAccess,
    uses: UsesOfRun,
) -> Race:
    both = uses.section_of(source), uses.section_of(change)
    (task, first), (_, last) = uses.step_of(read), uses.step_of(act)
    inside = Section(
        both[1].task, min(each.first for each in both), max(each.last for each in both)
    )
    return Race(read, change, act, Section(task, first, last), inside)
