"""Whether a thread stands still because the user looks at it with a debugger."""

from __future__ import annotations

from itertools import takewhile
from types import FrameType

from aldente import _asyncio_compat
from aldente._guards.blocking.frames import DEBUGGERS, module_of
from aldente._stacks import with_callers


def is_in_debugger(frame: FrameType | None) -> bool:
    """Whether a debugger is among the frames of a step of the loop.

    Frames outside the step don't count: a debugger may have started the whole run.

    Args:
        frame: the innermost frame of the loop's thread.
    """
    step = takewhile(lambda each: each.f_code is not _asyncio_compat.STEP_CODE, with_callers(frame))
    return any(is_debugger(module_of(each)) for each in step)


def is_debugger(module: str) -> bool:
    """Whether a module belongs to a debugger, by its name.

    >>> is_debugger("pdb"), is_debugger("test_pdb")
    (True, False)
    """
    return module.partition(".")[0] in DEBUGGERS
