"""Whether a thread stands still because the user looks at it with a debugger."""

from __future__ import annotations

from types import FrameType

from aldente import _asyncio_compat
from aldente._guards.blocking.frames import DEBUGGERS, module_of


def is_in_debugger(frame: FrameType | None) -> bool:
    """Whether a debugger is among the frames of a step of the loop.

    Frames outside the step don't count: a debugger may have started the whole run.

    Args:
        frame: the innermost frame of the loop's thread.
    """
    while frame is not None and frame.f_code is not _asyncio_compat.STEP_CODE:
        if module_of(frame).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False
