"""Takes the frames of asyncio and aldente out of tracebacks, so that the user's are seen."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType

_HIDDEN_FOLDERS = (
    f"{Path(asyncio.__file__).parent}{os.sep}",
    f"{Path(__file__).parents[1]}{os.sep}",
)


def hide_frames(error: BaseException) -> None:
    """Take the frames of asyncio and aldente out of an exception, its causes and its group.

    An exception that has no other frames keeps them all.
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = _shortened(current.__traceback__)
        waiting += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    current = traceback
    while current is not None:
        if not current.tb_frame.f_code.co_filename.startswith(_HIDDEN_FOLDERS):
            kept.append(current)
        current = current.tb_next
    if not kept:
        return traceback
    shortened = None
    for entry in reversed(kept):
        shortened = TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shortened
