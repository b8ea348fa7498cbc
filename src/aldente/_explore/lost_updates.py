"""The finding of a lost update, in words."""

from __future__ import annotations

from collections.abc import Iterator

from aldente._explore.predicted_races import Race
from aldente._explore.races import Access
from aldente._records import Finding
from aldente._rules import race as rule

_FIX_OF_VALUE = (
    "Hold an asyncio.Lock from the line that reads it to the line that sets it; or read it again "
    "after the await, and set it without an await in between."
)
_FIX_OF_CHECK = (
    "Hold an asyncio.Lock from the check to what it decides; or check again after the await; or do "
    "it once, in a task that all others wait for."
)


def finding_of(race: Race, serial: tuple[Access, Access]) -> Finding:
    """The finding of a race in which an update is lost.

    Args:
        race: the race, as it goes in a run.
        serial: the last change in each order of the two tasks, one after the other.
    """
    name, first, other = race.act.use.text, race.act.task, race.change.task
    if race.is_computed:
        what = f"an update of {name} is lost: {first} sets it by what it read before {other} did."
    else:
        what = f"a check of {name} is acted on when it is out of date: {other} has changed it."
    return Finding(
        rule.RULE.name,
        what,
        _FIX_OF_VALUE if race.is_computed else _FIX_OF_CHECK,
        race.act.use.at,
        (*_told(race), _one_after_the_other(race, serial)),
        subject=name,
    )


def _told(race: Race) -> Iterator[str]:
    for access, verb in ((race.read, "reads"), (race.change, "changes"), (race.act, "changes")):
        text, value = access.use.text, access.use.value
        shown = "" if not value else f" = {value}" if verb == "reads" else f" to {value}"
        yield f"{access.task} {verb} {text}{shown} at {access.use.at}"


def _one_after_the_other(race: Race, serial: tuple[Access, Access]) -> str:
    """What the two tasks give one after the other."""
    outer, inner = serial
    name = race.act.use.text
    if not race.is_computed and _is_like(inner, race.change):
        return f"One after the other, {race.act.task} does not do that once {inner.task} has."
    values = [each.use.value for each in (outer, inner)]
    if not all(values):
        return "One after the other, in either order, that is not what comes out."
    if values[0] == values[1]:
        return f"One after the other, in either order, they leave {name} at {values[0]}."
    return f"One after the other, they leave {name} at {values[0]} or at {values[1]}."


def _is_like(access: Access, other: Access) -> bool:
    """Whether two accesses are of one line and task."""
    return (access.task, access.use.at) == (other.task, other.use.at)
