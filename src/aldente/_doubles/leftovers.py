"""What tests left undone with doubles; and the receiver of these findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aldente._doubles import mock_compat
from aldente._doubles.answers import Each
from aldente._doubles.calls import Call, shown
from aldente._doubles.spec import ResultKind
from aldente._doubles.state import ByArgument, is_double, name_of, state_of
from aldente._records import Finding, receivers
from aldente.errors import DoubleMisused


def has_receiver() -> bool:
    """Whether a test runner receives findings."""
    return bool(receivers)


def report(findings: Sequence[Finding], error: BaseException | None) -> None:
    """Pass findings to the receiver; without one raise them, or add them to a current error.

    Raises:
        DoubleMisused: there are findings, no receiver and no error.
    """
    if not findings:
        return
    if receivers:
        for finding in findings:
            receivers[-1](finding)
        return
    misuse = DoubleMisused([_in_words(finding) for finding in findings])
    if error is None:
        raise misuse
    error.add_note(str(misuse))


def _in_words(finding: Finding) -> str:
    place = f" ({finding.place})" if finding.place is not None else ""
    lines = [f"{finding.rule}: {finding.what}{place}", *finding.details, f"Fix: {finding.fix}"]
    return "\n".join(lines)


# What a call returns, what should have been done with it, and how.
_UNDONE = {
    ResultKind.COROUTINE: (
        "coroutine",
        "awaited",
        "Await it, or pass it to asyncio.create_task() and await the task.",
    ),
    ResultKind.STREAM: ("stream", "iterated", "Iterate it with 'async for'."),
    ResultKind.CONTEXT: ("context manager", "entered", "Enter it with 'async with'."),
}

# How many lines of a double's calls a finding shows.
_LINES = 8


def findings_of(
    doubles: Iterable[Any], *, strict: bool, seen: set[int] | None = None
) -> list[Finding]:
    """The findings about doubles, and about the doubles that they have made.

    Args:
        doubles: the doubles.
        strict: whether unused answers count.
        seen: the identities of doubles already checked; the function adds these.
    """
    found: list[Finding] = []
    for double in _with_their_own(doubles, set() if seen is None else seen):
        kind = state_of(double).kind
        found += [_never_awaited(call, kind) for call in _forgotten(double)]
        if strict:
            found += _unused_answers(double)
    return found


def _with_their_own(doubles: Iterable[Any], seen: set[int]) -> Iterator[Any]:
    """Doubles, and the doubles that are their attributes and results."""
    waiting = list(doubles)
    while waiting:
        double = waiting.pop()
        if id(double) in seen:
            continue
        seen.add(id(double))
        if is_double(double):
            yield double
            waiting += _given_by(double)
        waiting += mock_compat.related(double)


def _given_by(double: Any) -> Iterator[Any]:
    """The mocks among a double's answers."""
    sources = [answer.source for answer in state_of(double).answers]
    effects = [mock_compat.side_effect_of(double), *(source.side_effect for source in sources)]
    values = [source.value for source in sources]
    for effect in effects:
        if isinstance(effect, Each):
            values += effect.values
    return filter(mock_compat.is_mock, values)


def _forgotten(double: Any) -> Iterator[Call]:
    """The calls that were never awaited, and can't be any more.

    A coroutine that is still referenced may be awaited yet. When it is dropped, the rule
    never-awaited reports it to the test runner, or Python warns.
    """
    for call in state_of(double).log.calls:
        if call.outcome != "never awaited" or call.is_reported:
            continue
        if call.is_coroutine and (call.given is not None or has_receiver()):
            continue
        call.is_reported = True
        yield call


def _never_awaited(call: Call, kind: ResultKind) -> Finding:
    given, done, fix = _UNDONE[kind]
    what = f"the {given} of the double {call} was never {done}."
    return Finding("never-awaited", what, fix, call.place)


def _unused_answers(double: Any) -> Iterator[Finding]:
    name = name_of(double)
    calls = _shown(state_of(double).log.calls)
    yield from _left_of(name, mock_compat.side_effect_of(double), calls)
    for answer in state_of(double).answers:
        if answer.uses:
            yield from _left_of(answer.asked, answer.source.side_effect, calls)
        else:
            yield _no_use_of(answer, calls)


def _shown(calls: Sequence[Call]) -> tuple[str, ...]:
    """The calls of a double as lines, without those in the middle if there are many."""
    lines = ["The calls were:" if calls else "There were no calls."]
    lines += [f"  {call}" for call in calls]
    if len(lines) > _LINES:
        hidden = len(lines) - _LINES + 1
        lines[_LINES // 2 : _LINES // 2 + hidden] = [f"  ... {hidden} more ..."]
    return tuple(lines)


def _left_of(name: str, side_effect: Any, calls: tuple[str, ...]) -> Iterator[Finding]:
    if isinstance(side_effect, Each) and (unused := side_effect.unused):
        count = len(unused)
        answers = f"the last {count} answers" if count > 1 else "the last answer"
        were = "were" if count > 1 else "was"
        yield Finding(
            "unused-answer",
            f"{answers} of {name} {were} never used: {', '.join(map(_short, unused))}.",
            "Give returns_each() as many answers as there are calls, or pass strict=False.",
            side_effect.place,
            calls,
        )


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _no_use_of(answer: ByArgument, calls: tuple[str, ...]) -> Finding:
    return Finding(
        "unused-answer",
        f"the answer to {answer.asked} was never used.",
        "Correct its arguments, remove it, or pass strict=False.",
        answer.place,
        calls,
    )
