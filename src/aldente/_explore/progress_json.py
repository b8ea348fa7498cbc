"""The progress of a search, as JSON and back: `of_progress` and `progress_of`.

What is read may have been changed, so each value is checked: whatever it is, the result is a
`SearchProgress` with which a search can go on, or a `ValueError`.
"""

from __future__ import annotations

import array
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from aldente import _stored_json as stored
from aldente._explore.batches import BatchResult, FailedRun
from aldente._explore.result import Exploration
from aldente._explore.sharded_search import AHEAD, SearchProgress
from aldente._records import Finding, SourcePlace
from aldente._schedules import Schedule
from aldente._simulation import tokens
from aldente._strategies.shared_coverage import Covered, Covering, Shared, most_level
from aldente.errors import InvalidToken

# Of the numbers of lines and places that were covered.
_MOST_NUMBER = 2**64 - 1
# How many shards a search may have.
_MOST_SHARDS = 10_000


def of_progress(progress: SearchProgress) -> dict[str, Any]:
    """Progress in types that can be written as JSON."""
    failed, number = progress.failure or (None, 0)
    return {
        "next": list(progress.next),
        "exploration": _of_exploration(progress.exploration),
        "shared": [[number, _of_shared(each)] for number, each in progress.shared.items()],
        "covered": _of_shared(progress.covered.shared()),
        "waiting": [[*place, _of_result(each)] for place, each in progress.waiting.items()],
        "findings": _of_findings(progress.findings),
        "races": None if progress.races is None else _of_result(progress.races),
        "failed": _of_failed(failed),
        "number": number,
    }


_KEYS = (
    *("next", "exploration", "shared", "covered", "waiting", "findings", "races"),
    *("failed", "number"),
)


def progress_of(value: object) -> SearchProgress:
    """The progress that `of_progress` wrote.

    Raises:
        ValueError: the value is not progress of a search.
    """
    found = stored.record(value, *_KEYS)
    first, shared = _place(found["next"]), _shared_by_round(found["shared"])
    if sorted(shared) != list(range(max(0, first[0] - AHEAD), first[0])):
        raise stored.Malformed(f"it lacks what was covered before round {first[0]}")
    failed = _failed(found["failed"])
    races = found["races"]
    return SearchProgress(
        first,
        _exploration(found["exploration"]),
        shared,
        Covered(_shared(found["covered"])),
        _waiting(found["waiting"], first),
        list(_findings(found["findings"])),
        None if races is None else _result(races),
        None if failed is None else (failed, stored.whole(found["number"], 1)),
    )


def _place(value: object) -> tuple[int, int]:
    number, shard = stored.array(value, 2)
    return stored.whole(number), stored.whole(shard, most=_MOST_SHARDS)


def _shared_by_round(value: object) -> dict[int, Shared]:
    pairs = (stored.array(each, 2) for each in stored.array(value))
    return {stored.whole(number): _shared(shared) for number, shared in pairs}


def _waiting(value: object, first: tuple[int, int]) -> dict[tuple[int, int], BatchResult]:
    found = {}
    for number, shard, result in (stored.array(each, 3) for each in stored.array(value)):
        place = _place([number, shard])
        if not first <= place < (first[0] + AHEAD, 0):
            raise stored.Malformed(f"a batch at {place} does not wait for one at {first}")
        found[place] = _result(result)
    return found


def _of_choices(choices: Sequence[int]) -> Any:
    return base64.b64encode(choices).decode() if isinstance(choices, bytes) else list(choices)


def _choices(value: object) -> Sequence[int]:
    if isinstance(value, str):
        return base64.b64decode(value, validate=True)
    return tuple(stored.whole(each) for each in stored.array(value))


def _of_coverings(coverings: Sequence[Covering]) -> list[Any]:
    return [
        [_of_choices(each.choices), each.is_record, [list(pair) for pair in each.covered]]
        for each in coverings
    ]


def _coverings(value: object) -> tuple[Covering, ...]:
    return tuple(map(_covering, stored.array(value)))


def _covering(value: object) -> Covering:
    choices, is_record, covered = stored.array(value, 3)
    pairs = tuple(_covered(each) for each in stored.array(covered))
    return Covering(_choices(choices), stored.flag(is_record), pairs)


def _covered(value: object) -> tuple[int, int]:
    what, level = stored.array(value, 2)
    number = stored.whole(what, most=_MOST_NUMBER)
    return number, stored.whole(level, most=most_level(number))


def _of_shared(shared: Shared) -> Any:
    levels = {str(what): f"{level:x}" for what, level in shared.levels.items()}
    return [_of_coverings(shared.schedules), levels]


def _shared(value: object) -> Shared:
    schedules, levels = stored.array(value, 2)
    found = {}
    for what, bits in stored.record(levels).items():
        number = stored.whole(int(what), most=_MOST_NUMBER)
        found[number] = _bits(bits, most_level(number))
    return Shared(_coverings(schedules), found)


def _bits(value: object, most: int) -> int:
    bits = int(stored.string(value), 16)
    if bits < 0 or bits.bit_length() > most + 1:
        raise stored.Malformed(f"levels of up to {bits.bit_length() - 1}, where {most} is the most")
    return bits


def _of_findings(findings: Sequence[Finding]) -> list[Any]:
    return [list(each._replace(made_by=None)) for each in findings]


def _findings(value: object) -> tuple[Finding, ...]:
    return tuple(map(_finding, stored.array(value)))


def _finding(value: object) -> Finding:
    rule, what, fix, place, details, _, is_mild, is_grave, subject, token = stored.array(value, 10)
    return Finding(
        stored.string(rule),
        stored.string(what),
        stored.string(fix),
        None if place is None else _source_place(place),
        tuple(map(stored.string, stored.array(details))),
        is_mild=stored.flag(is_mild),
        is_grave=stored.flag(is_grave),
        subject=stored.string(subject),
        token=stored.string(token),
    )


def _source_place(value: object) -> SourcePlace:
    path, line = stored.array(value, 2)
    return SourcePlace(stored.string(path), stored.whole(line))


def _of_failed(failed: FailedRun | None) -> Any:
    return None if failed is None else [tokens.encode(failed.schedule), *failed[1:]]


def _failed(value: object) -> FailedRun | None:
    if value is None:
        return None
    token, number, text, is_lost_update, timed_out = stored.array(value, 5)
    return FailedRun(
        _schedule(token),
        stored.whole(number),
        stored.string(text),
        stored.flag(is_lost_update),
        None if timed_out is None else _time_out(timed_out),
    )


def _schedule(token: object) -> Schedule:
    try:
        return tokens.decode(stored.string(token))
    except InvalidToken as error:
        # Without what it says to a user who has copied a token.
        raise stored.Malformed(
            f"its failure has no valid token of a schedule. {error.reason}"
        ) from None


def _time_out(value: object) -> tuple[str, float, str]:
    running, seconds, state = stored.array(value, 3)
    return stored.string(running), stored.number(seconds), stored.string(state)


_COUNTS = "runs", "distinct", "unreached_time_outs"
_FLAGS = "exhausted", "is_late"
_TEXTS = "escaped", "coverage"
_SUMS = "faults", "unjudged"


def _of_exploration(exploration: Exploration) -> dict[str, Any]:
    names = *_COUNTS, *_FLAGS, *_TEXTS, *_SUMS
    return {name: getattr(exploration, name) for name in names}


def _exploration(value: object) -> Exploration:
    found = stored.record(value, *_COUNTS, *_FLAGS, *_TEXTS, *_SUMS)
    fields: dict[str, Any] = {name: stored.whole(found[name]) for name in _COUNTS}
    fields |= {name: stored.flag(found[name]) for name in _FLAGS}
    fields |= {name: stored.string(found[name]) for name in _TEXTS}
    fields |= {name: _sums(found[name]) for name in _SUMS}
    return Exploration(**fields)


def _sums(value: object) -> Mapping[str, int]:
    return {name: stored.whole(count) for name, count in stored.record(value).items()}


def _of_result(result: BatchResult) -> Any:
    return [
        _of_exploration(result.exploration),
        _of_failed(result.failed),
        _of_coverings(result.news),
        _of_findings(result.findings),
    ]


def _result(value: object) -> BatchResult:
    exploration, failed, news, findings = stored.array(value, 4)
    return BatchResult(
        _exploration(exploration),
        array.array("q"),
        _failed(failed),
        _coverings(news),
        findings=_findings(findings),
    )
