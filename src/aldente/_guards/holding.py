"""Coroutines that nobody can await any more, as only the frames of an exception hold them."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Collection
from types import CoroutineType, FrameType
from typing import Any


def look_into_frames(
    error: BaseException, report: Callable[[CoroutineType[Any, Any, Any]], object]
) -> None:
    """Find the coroutines that have not started, and that only the frames of an exception hold.

    They are closed then, or Python would warn of them when they are freed.

    Args:
        error: the exception; a group of them is looked into as well.
        report: called with each coroutine.
    """
    # Not a generator, which would hold what it looks at. Before CPython 3.13 frames keep these.
    all_variables: list[object] = []
    entry = error.__traceback__
    while entry is not None:
        variables = entry.tb_frame.f_locals
        all_variables.append(variables)
        values = list(variables.values())
        for value in values:
            if (
                type(value) is CoroutineType
                and inspect.getcoroutinestate(value) == inspect.CORO_CREATED
                and _is_held_by_frames(value, [id(each) for each in (values, *all_variables)])
            ):
                report(value)
                value.close()
        entry = entry.tb_next
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            look_into_frames(each, report)


def _is_held_by_frames(value: object, looking: Collection[int]) -> bool:
    """Whether no task holds an object that has not had its turn yet, nor a list, nor anything else.

    Args:
        value: the object.
        looking: the identities of what holds it only because it is looked at.
    """
    # No variable is in a closure here, whose cell would hold what it is about.
    referrers = gc.get_referrers(value)
    ours = (*looking, id(referrers))
    for referrer in referrers:
        if isinstance(referrer, FrameType) or id(referrer) in ours:
            continue
        # Else the arguments of a function that takes any number of them.
        if type(referrer) is not tuple or not _are_frames(gc.get_referrers(referrer), ours):
            return False
    return True


def _are_frames(referrers: list[object], ours: Collection[int]) -> bool:
    return all(isinstance(each, FrameType) or id(each) in ours for each in referrers)
