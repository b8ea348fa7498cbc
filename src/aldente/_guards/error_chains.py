"""What belongs to an error: the errors around it, and whose code its frames are."""

from __future__ import annotations

from collections.abc import Iterator

from aldente._source import is_users


def errors_within(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from or for, and the members of groups, each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            pending.extend(current.exceptions)
        pending.append(current.__cause__)
        if not current.__suppress_context__:
            pending.append(current.__context__)


def has_type_error(error: BaseException) -> bool:
    """Whether an error is, comes of or holds a TypeError."""
    return any(type(inner) is TypeError for inner in errors_within(error))


def is_users_code(path: str) -> bool:
    """As `is_users`, of a traceback's entry: those of Cython name sources that are not here."""
    return is_users(path) and not path.endswith((".pyx", ".pxi", ".pxd"))
