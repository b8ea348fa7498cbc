"""Methods that a simulated loop refuses, because they need real I/O."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from types import FrameType
from typing import Any

from aldente._records import SourcePlace
from aldente._source import caller, is_own, place_of, users_frame
from aldente.errors import OutsideSimulation

STREAMS = (
    "connect both ends in memory: aldente.stream_pair() gives two connected pairs of a "
    "StreamReader and a StreamWriter; or put a double in the place of the client"
)
IN_A_THREAD = (
    "in a thread sockets are real, and reach no server of the run: connect in the thread of the "
    "loop, by asyncio's streams or a client for asyncio; or put a double in the place of the client"
)
_PROCESS = "put a double in the place of what starts the process"
_SIGNAL = "call the handler itself, or have a task cancelled as the handler would"
CLIENT = (
    "put a double in the place of the client (aldente.Double, httpx.MockTransport, "
    "httpx.ASGITransport); with real sockets, time can be virtual but not simulated"
)
NAMES = "give the address as it would be found, or put a double in the place of the look-up"

# What methods of event loops would touch: the fix for the test, and the names of the methods.
_REFUSED = {
    "a real pipe": (STREAMS, "connect_read_pipe connect_write_pipe"),
    "another process": (_PROCESS, "subprocess_exec subprocess_shell"),
    "a signal": (_SIGNAL, "add_signal_handler remove_signal_handler"),
}

# Called during shutdown, so they must not fail.
_HARMLESS = {"remove_signal_handler"}


class NoOutside:
    """The methods of event loops that do real I/O; each raises `OutsideSimulation`."""


def _library_frame(frame: FrameType | None) -> FrameType | None:
    """The caller's frame if that is not the user's code: a library calls in a task of its own."""
    while frame is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def place_that_called(frame: FrameType | None, job: SourcePlace | None = None) -> str:
    """Where the program did what is refused; empty when that is not known.

    Args:
        frame: the frame of the call.
        job: where the program has submitted the job that the thread does; None if it does none.
    """
    users = users_frame(frame)
    if users is None and job is not None:
        return str(job)
    found = users or _library_frame(frame)
    return "" if found is None else str(place_of(found))


def _refusal(method: str, touched: str, fix: str) -> Callable[..., Any]:
    def refuse(self: object, *args: object, **kwargs: object) -> Any:
        # Searched among the frames that await this one: the line is where the user awaits.
        raise OutsideSimulation(f"loop.{method}()", touched, place_that_called(caller()), fix)

    async def refuse_when_awaited(self: object, *args: object, **kwargs: object) -> Any:
        return refuse(self, *args, **kwargs)

    def ignore(self: object, *args: object, **kwargs: object) -> bool:
        return False

    original = getattr(asyncio.AbstractEventLoop, method, None)
    if method in _HARMLESS:
        return ignore
    return refuse_when_awaited if inspect.iscoroutinefunction(original) else refuse


for _touched, (_fix, _methods) in _REFUSED.items():
    for _method in _methods.split():
        setattr(NoOutside, _method, _refusal(_method, _touched, _fix))
