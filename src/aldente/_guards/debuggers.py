"""Whether a thread stands still because the user looks at it with a debugger."""

from __future__ import annotations

from types import FrameType

_FILES = ("pdb.py", "bdb.py", "pydevd.py", "pydevd_frame.py")
_FOLDERS = ("debugpy", "pydevd")


def is_in_debugger(frame: FrameType | None) -> bool:
    """Whether a debugger is among the frames of a thread, from its innermost frame outwards."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.endswith(_FILES) or any(folder in path for folder in _FOLDERS):
            return True
        frame = frame.f_back
    return False
