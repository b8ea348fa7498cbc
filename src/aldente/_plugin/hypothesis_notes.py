"""What Hypothesis notes with an error, without lines of aldente."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aldente._source import is_own

# The lines of an explanation: its title, a sentence, places, and that there are more.
_TITLE = "Explanation:"
_PLACE = re.compile(r"\s+\S.*:\d+")
_MORE = "(and "


def forget_own_lines(error: BaseException) -> None:
    """Leave lines of aldente's out of what Hypothesis has noted with an error or those in it."""
    notes = getattr(error, "__notes__", None)
    if notes:
        # Python shows notes of any type.
        error.__notes__ = without_own_lines(map(str, notes))
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            forget_own_lines(each)


def without_own_lines(notes: Iterable[str]) -> list[str]:
    """The notes of an exception, without the lines of aldente's that only failing examples run.

    What aldente does when a test has failed is run by failing examples only, and explains nothing.
    """
    lines = [line for note in notes for line in note.splitlines() or [""]]
    kept = [line for line in lines if not is_own(line.strip())]
    if len(kept) == len(lines):
        return lines
    kept = [line for line in kept if not line.strip().startswith(_MORE)]
    return _without_empty_explanations(kept)


def _without_empty_explanations(lines: list[str]) -> list[str]:
    """The lines of notes, without the title and the sentence that are followed by no place."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        places = lines[number + 2 : number + 3]
        if lines[number].strip() == _TITLE and not any(map(_PLACE.fullmatch, places)):
            number += 2
            continue
        kept.append(lines[number])
        number += 1
    return kept
