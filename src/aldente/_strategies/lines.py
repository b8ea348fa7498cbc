"""`LineCounter`: how often each line of the program was reached in a run."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from aldente._source import is_programs

# A line: the identity of its function, and its number.
Line = tuple[int, int]

# Those that others take by convention are left to them: debuggers, coverage, profilers.
_TOOL_NUMBERS = (3, 4)


class LineCounter:
    """Counts lines between `start` and `stop`.

    It uses `sys.monitoring`, which asks once for each line that is none of the program's. On Python
    3.11 it is the function of `sys.settrace`, unless somebody else has one there: then, and when
    other tools have all numbers, nothing is counted.
    """

    def __init__(self) -> None:
        self.counts: dict[Line, int] = {}
        self._number: int | None = None
        self._is_tracing = False

    def start(self) -> None:
        """Count from 0."""
        self.counts = {}
        if sys.version_info >= (3, 12):
            self._number = free_tool_number()
            if self._number is not None:
                event = sys.monitoring.events.LINE
                sys.monitoring.register_callback(self._number, event, self._note)
                sys.monitoring.set_events(self._number, event)
        elif sys.gettrace() is None:
            self._is_tracing = True
            sys.settrace(self._trace)

    def stop(self) -> None:
        """Count no more."""
        if sys.version_info >= (3, 12):
            if self._number is not None:
                sys.monitoring.set_events(self._number, 0)
                sys.monitoring.register_callback(self._number, sys.monitoring.events.LINE, None)
                sys.monitoring.free_tool_id(self._number)
                self._number = None
        elif self._is_tracing:
            self._is_tracing = False
            sys.settrace(None)

    def _note(self, code: CodeType, line: int) -> Any:
        counts = self.counts
        key = (id(code), line)
        if key in counts:
            counts[key] += 1
        elif is_programs(code.co_filename):
            counts[key] = 1
        elif sys.version_info >= (3, 12):
            return sys.monitoring.DISABLE
        return None

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self._note(frame.f_code, frame.f_lineno)
        elif event == "call" and not is_programs(frame.f_code.co_filename):
            return None
        return self._trace


def free_tool_number() -> int | None:
    if sys.version_info >= (3, 12):
        for number in _TOOL_NUMBERS:
            if sys.monitoring.get_tool(number) is None:
                sys.monitoring.use_tool_id(number, "aldente")
                return number
    return None
