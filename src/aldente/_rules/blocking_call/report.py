"""A blocking call, its finding, and the watchers that receive it."""

from __future__ import annotations

import contextlib
import enum
import reprlib
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any, NamedTuple

from aldente import _asyncio_compat
from aldente._own_errors import contained, containing
from aldente._records import Finding
from aldente._rules.blocking_call.caller import (
    Caller,
    WrittenCall,
    call_in,
    find_caller,
    is_awaited,
    is_standard,
    module_of,
)
from aldente._source import place_of, source_line


class Topic(enum.Enum):
    """What a call waits for, which decides the fix."""

    SLEEP = enum.auto()
    NETWORK = enum.auto()
    NAMES = enum.auto()
    SUBPROCESS = enum.auto()
    INPUT = enum.auto()
    DATABASE = enum.auto()
    FILE_LOCK = enum.auto()
    THREADS = enum.auto()
    DESCRIPTORS = enum.auto()
    FILES = enum.auto()
    CONFIGURED = enum.auto()


class BlockingCall(NamedTuple):
    """A call that blocks its thread.

    Attributes:
        name: the function's public name.
        topic: what it waits for.
        arguments: the arguments that help to recognise the call, as source text.
    """

    name: str
    topic: Topic
    arguments: str = ""


def written(value: object) -> str:
    """A value as source text, shortened.

    >>> written(0.5)
    '0.5'
    """
    return _SHORTENED.repr(value)


_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = 60


RULE_NAME = "blocking-call"

_NETWORK = (
    "Use asyncio's streams (asyncio.open_connection) or an async client such as "
    "httpx.AsyncClient; or run it in a thread: {to_thread}."
)
_SUBPROCESS = (
    "Start the process with 'await asyncio.create_subprocess_exec(...)' and await its wait() or "
    "communicate(); or run it in a thread: {to_thread}."
)
_BY_TOPIC = {
    Topic.SLEEP: "Await asyncio's: 'await asyncio.sleep({arguments})'.",
    Topic.NETWORK: _NETWORK,
    Topic.NAMES: (
        "Await the loop's look-up: 'await asyncio.get_running_loop().getaddrinfo(...)'; or run it "
        "in a thread: {to_thread}."
    ),
    Topic.SUBPROCESS: _SUBPROCESS,
    Topic.INPUT: "Run it in a thread: {to_thread}.",
    Topic.DATABASE: (
        "Use an async driver such as aiosqlite; or run the connection in a thread: {to_thread}."
    ),
    Topic.FILE_LOCK: "Run it in a thread: {to_thread}.",
    Topic.THREADS: (
        "Wait for an asyncio primitive, which other threads set with loop.call_soon_threadsafe(); "
        "or wait in a thread: {to_thread}."
    ),
    Topic.DESCRIPTORS: (
        "Let the event loop watch the descriptor: loop.add_reader(), or asyncio's streams; or run "
        "it in a thread: {to_thread}."
    ),
    Topic.FILES: "Run it in a thread: {to_thread}; or use aiofiles.",
    Topic.CONFIGURED: "Use its async counterpart; or run it in a thread: {to_thread}.",
}
_PRIMITIVE = (
    "Use {primitive}, which other threads reach through loop.call_soon_threadsafe(); or wait in a "
    "thread: {to_thread}."
)
# By the function that the user's code called, or its class.
_BY_NAME = {
    "threading.Barrier": _PRIMITIVE.replace("{primitive}", "an asyncio.Barrier"),
    "threading.Condition": _PRIMITIVE.replace("{primitive}", "an asyncio.Condition"),
    "threading.Event": _PRIMITIVE.replace("{primitive}", "an asyncio.Event"),
    "threading.Semaphore": _PRIMITIVE.replace("{primitive}", "an asyncio.Semaphore"),
    "threading.Thread": "Wait for it in another thread: {to_thread}.",
    "queue.Queue": _PRIMITIVE.replace("{primitive}", "an asyncio.Queue"),
    "concurrent.futures.Future": "Await it: 'await asyncio.wrap_future(future)'.",
    "concurrent.futures": (
        "Use 'await loop.run_in_executor(executor, function)' and asyncio.gather() or "
        "asyncio.wait(); or wait in a thread: {to_thread}."
    ),
}
_OF_PACKAGE = (
    "Use the async interface of {package} if it has one; or run it in a thread: {to_thread}."
)
_OF_NETWORK_PACKAGE = (
    "Use the async interface of {package} if it has one, or an async client such as "
    "httpx.AsyncClient; or run it in a thread: {to_thread}."
)
# Starlette's and FastAPI's client for sync tests, which runs the app on a loop of its own.
_TEST_CLIENTS = ("starlette.testclient", "fastapi.testclient")
_OF_TEST_CLIENT = (
    "Call the app on the loop that runs: 'async with httpx.AsyncClient(transport="
    'httpx.ASGITransport(app), base_url="http://test") as client:\'; or make the test sync.'
)
# For a call inside a library's coroutine, which neither a thread nor an async counterpart helps.
_OF_COROUTINE = (
    "{name}() is a coroutine function and blocks all the same, in {call}(): look for a setting of "
    "{package} that avoids it, make the blocking call before the loop runs, or report it to "
    "{package}."
)
_OF_BLOCK = (
    "Use the async interface of {package} if it has one ('async with'); or move the block, and the "
    "code that it needs, into a function that runs in a thread: 'await "
    "asyncio.to_thread(function)'."
)


def finding_of(call: BlockingCall, caller: Caller) -> Finding:
    """The finding for a blocking call.

    Args:
        call: the call.
        caller: the code that made it.
    """
    name = call.name if caller.called is None else function_name(caller.called)
    shown = f"{name}({call.arguments if name == call.name else ''})"
    written = _written(caller)
    if written is not None:
        name, shown = written.function, written.shown
    return Finding(
        rule=RULE_NAME,
        what=f"{shown} blocks the event loop: nothing else on it runs until the call returns.",
        fix=_fix_of(call, caller, name, written),
        place=place_of(caller.users[0]) if caller.users else None,
        details=tuple(_stack(caller)),
        subject=f"{name}()",
    )


def function_name(frame: FrameType) -> str:
    """The name of a frame's function as its users write it, with the package that exports it."""
    module = module_of(frame)
    name = frame.f_code.co_qualname.partition(".<locals>")[0].removesuffix(".__init__")
    outermost = name.partition(".")[0]
    exported = frame.f_globals.get(outermost)
    parts = module.split(".")
    for length in range(1, len(parts)):
        package: Any = sys.modules.get(".".join(parts[:length]))
        if exported is not None and vars(package or sys).get(outermost) is exported:
            return f"{package.__name__}.{name}"
    # Users do not import from a private module.
    public = module.partition("._")[0]
    return f"{public}.{name}" if public else name


def _written(caller: Caller) -> WrittenCall | None:
    """The call as the user wrote it, where the called function's name says less."""
    called = caller.called
    if called is None or not caller.users or is_standard(module_of(called)):
        return None
    parts = called.f_code.co_qualname.removesuffix(".__init__").split(".")
    # Otherwise it is a decorator's wrapper, or exported under another name.
    if all(part != "<locals>" and not part.startswith("_") for part in parts):
        return None
    return call_in(caller.users[0], called)


def _fix_of(call: BlockingCall, caller: Caller, name: str, written: WrittenCall | None) -> str:
    module = "" if caller.called is None else module_of(caller.called)
    package = module.partition(".")[0]
    if module in _TEST_CLIENTS:
        return _OF_TEST_CLIENT
    if caller.called is not None and is_awaited(caller.called):
        return _OF_COROUTINE.format(name=name, package=package, call=call.name)
    if written is not None and written.is_block:
        return _OF_BLOCK.format(package=package)
    more = "" if name == "threading.Thread.join" else ", ..."
    function = _callable(call, name) if written is None else name
    to_thread = f"'await asyncio.to_thread({function}{more})'"
    if package and not is_standard(package):
        is_network = call.topic in (Topic.NETWORK, Topic.NAMES)
        text = _OF_NETWORK_PACKAGE if is_network else _OF_PACKAGE
        return text.format(package=package, to_thread=to_thread)
    for known, text in _BY_NAME.items():
        if f"{name}.".startswith(f"{known}."):
            return text.format(to_thread=to_thread)
    topic = call.topic if name == call.name else _topic_of_standard(call, package)
    return _BY_TOPIC[topic].format(to_thread=to_thread, arguments=call.arguments)


def _topic_of_standard(call: BlockingCall, package: str) -> Topic:
    """What a standard library function waits for that makes a blocking call on its way."""
    if package == "subprocess":
        return Topic.SUBPROCESS
    # A function that connects also looks up names, but its purpose is the connection.
    return {Topic.NAMES: Topic.NETWORK, Topic.SLEEP: Topic.CONFIGURED}.get(call.topic, call.topic)


def _callable(call: BlockingCall, name: str) -> str:
    """The function as an argument for ``to_thread``: a method needs its object."""
    owner, _, method = name.rpartition(".")
    class_name = owner.rpartition(".")[2]
    if class_name[:1].isupper():
        return f"{class_name.lower()}.{method}"
    is_socket_method = call.topic is Topic.NETWORK and name == call.name
    return f"sock.{method}" if is_socket_method else name


def _stack(caller: Caller) -> Iterator[str]:
    """The stack, outermost first; nothing when the finding's place is enough."""
    frames = list(reversed(caller.users))
    if caller.package is not None:
        frames.append(caller.package)
    if len(frames) < 2:
        return
    yield "Called by, innermost last:"
    for frame in frames:
        place = place_of(frame)
        yield f"  {place} in {frame.f_code.co_name}"
        source = source_line(place)
        if source:
            yield f"    {source}"


Report = Callable[[Finding], object]


class FindingReceiver(NamedTuple):
    """A receiver of findings.

    Attributes:
        report: called with each finding.
        groups: groups of calls to report as well.
    """

    report: Report
    groups: Collection[str]


# The innermost last; only that one gets the finding.
watchers: list[FindingReceiver] = []

# The threads that are in a blocking call that was reported. What it calls in turn is part of the
# same finding, and blocking calls of the reporting itself are none.
_busy_threads: set[int] = set()


def is_watched_here() -> bool:
    """Whether to report blocking calls of this thread now."""
    return (
        bool(watchers)
        and _asyncio_compat.is_loop_running_here()
        and threading.get_ident() not in _busy_threads
    )


@contextlib.contextmanager
def reporting(call: BlockingCall, frame: FrameType | None) -> Iterator[None]:
    """Report a call, if it is a finding; calls inside it are then not reported again.

    Args:
        call: the call; check `is_watched_here` first.
        frame: the innermost frame of the call.
    """
    watcher = watchers[-1]
    is_wanted = call.topic is not Topic.FILES or "files" in watcher.groups
    caller = _find_caller(frame) if is_wanted else None
    if caller is None:
        yield
        return
    thread = threading.get_ident()
    _busy_threads.add(thread)
    try:
        with contained("reporting a blocking call"):
            watcher.report(finding_of(call, caller))
        yield
    finally:
        _busy_threads.discard(thread)


_find_caller = containing("finding the caller of a blocking call", None)(find_caller)
