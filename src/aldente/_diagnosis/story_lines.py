"""Lines of limited width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

# A part of a line: words, a place, or its source. If it does not fit behind the part before it, it
# gets a line of its own.
Part = str

# Between two parts of a line.
_GAP = "  "

# A line of source that is cut has as many columns at least; else it has a line of its own.
_LEAST_OF_SOURCE = 24

# The end of a place, behind which stands its source.
_PLACE = re.compile(r":\d+$")

# What is indented further than this would have no room.
_LEAST_ROOM = 30


def line_of(head: str, parts: Sequence[Part], width: int) -> Iterator[str]:
    """A line with some parts; one that is too long becomes several, or is cut.

    Args:
        head: what the first line begins with; the others are indented as far.
        parts: the parts; what stands behind a place is its source, and cut if it does not fit; the
            others are wrapped.
        width: how long a line may be.

    >>> list(line_of("at: ", ["here", "and there"], 40))
    ['at: here  and there']
    >>> list(line_of("at: ", ["a place that is rather far", "there"], 34))
    ['at: a place that is rather far', '      there']
    """
    room = max(width - len(head), _LEAST_ROOM)
    indent = " " * len(head)
    lines = [""]
    for index, part in enumerate(parts):
        start = f"{lines[-1]}{_GAP}" if lines[-1] else ""
        is_source = index > 0 and _PLACE.search(parts[index - 1]) is not None
        if len(start + part) <= room:
            lines[-1] = start + part
        elif is_source and room - len(start) >= _LEAST_OF_SOURCE:
            # Its beginning says the most.
            lines[-1] = f"{start}{_cut(part, room - len(start))}"
        elif is_source:
            lines.append(f"{_GAP}{_cut(part, room - len(_GAP))}")
        else:
            found = textwrap.wrap(
                part,
                room,
                initial_indent=_GAP if start else "",
                subsequent_indent=_GAP,
                break_on_hyphens=False,
            )
            lines = [line for line in [*lines, *found] if line]
    yield f"{head}{lines[0]}".rstrip()
    for line in lines[1:]:
        yield f"{indent}{line}".rstrip()


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 3]}..."


def wrapped(head: str, text: str, width: int, indent: str = "  ") -> list[str]:
    """Break a text into lines.

    Args:
        head: what the first line begins with.
        text: the text.
        width: how long a line may be; a longer word is left whole, as it may be a path.
        indent: what the other lines begin with.

    >>> wrapped("- ", "one two three four five six seven", 30)
    ['- one two three four five six', '  seven']
    """
    return textwrap.wrap(
        text,
        max(width, _LEAST_ROOM),
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
