"""Tells whether two runs have failed in the same way: the same type raised at the same place."""

from __future__ import annotations

from typing import Any

from aldente._source import is_own, is_programs
from aldente.errors import FoundInRun, InvariantBroken

# Comparable; a group of exceptions is as its members are.
Kind = tuple[Any, ...]


def kind_of(error: BaseException) -> Kind:
    """What is the same for failures that are the same: never a text, in which may be addresses.

    The place is the innermost line of the program that the exception has come through, or the
    innermost line at all if there is none of the program. What aldente raises of a run, such as a
    deadlock, has no place. What rules have found is known by the rules and places.

    >>> kind_of(ValueError("one")) == kind_of(ValueError("two"))
    True
    """
    if isinstance(error, FoundInRun):
        found = {(finding.rule, repr(finding.place)) for finding in error.findings}
        return (name_of_type(error), tuple(sorted(found)))
    if isinstance(error, InvariantBroken):
        return (type(error), error.check, error.place)
    if isinstance(error, BaseExceptionGroup):
        return (
            name_of_type(error),
            tuple(sorted({repr(kind_of(one)) for one in error.exceptions})),
        )
    place = last = None
    traceback = error.__traceback__
    while traceback is not None:
        path, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        if is_programs(path):
            place = (path, line)
        last = (path, line)
        traceback = traceback.tb_next
    if place is None and last is not None and not is_own(last[0]):
        place = last
    return (name_of_type(error), place)


def name_of_type(error: BaseException) -> str:
    """The type of an exception, by its name: a program may define it anew in every run.

    >>> name_of_type(ValueError("one"))
    'builtins.ValueError'
    """
    return f"{type(error).__module__}.{type(error).__qualname__}"
