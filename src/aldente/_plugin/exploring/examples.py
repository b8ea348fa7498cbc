"""What Hypothesis says of an example that fails."""

from __future__ import annotations

from collections.abc import Iterable

from aldente._places import is_own

# The lines of an explanation: its title, a sentence, places, and that there are more.
_TITLE = "Explanation:"
_MORE = "(and "


def without_own_lines(notes: Iterable[str]) -> list[str]:
    """The notes of an exception, without the lines of aldente's that only failing examples run.

    What follows when a run has failed is run by failing examples only, and explains nothing.
    """
    lines = [line for note in notes for line in note.splitlines()]
    kept = [line for line in lines if not is_own(line.strip())]
    if len(kept) == len(lines):
        return lines
    kept = [line for line in kept if not line.strip().startswith(_MORE)]
    titles = [number for number, line in enumerate(kept) if line.strip() == _TITLE]
    if titles and len(kept) <= titles[0] + 2:
        # No place is left to tell.
        del kept[titles[0] :]
    return kept
