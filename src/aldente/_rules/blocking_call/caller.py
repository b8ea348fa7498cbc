"""The code that made a blocking call: which frames are the user's, and which exempt the call.

It names some functions by the call in the user's code, as their own names say less. It also
recognises a thread that stands still because the user is in a debugger.
"""

from __future__ import annotations

import ast
import enum
import inspect
import linecache
import sys
from collections.abc import Sequence
from itertools import takewhile
from types import FrameType, ModuleType
from typing import NamedTuple

from aldente import _asyncio_compat
from aldente._source import is_users
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


class WrittenCall(NamedTuple):
    """A call as written in the user's code.

    Attributes:
        function: the called function, with the module that it was imported from.
        shown: the call in words, without its arguments unless they are short.
        is_block: whether a ``with`` block made the call.
    """

    function: str
    shown: str
    is_block: bool


def call_in(frame: FrameType, called: FrameType) -> WrittenCall | None:
    """The call that a frame is in; None when its source does not show it.

    Args:
        frame: a frame of the user's code.
        called: the frame of the function that it called.
    """
    node = _node_in(frame)
    is_block = called.f_code.co_name in _OF_BLOCKS
    if isinstance(node, ast.Await):
        node = node.value
    function = node.func if isinstance(node, ast.Call) else node
    name = _dotted(function)
    if name is None or (not is_block and not isinstance(node, ast.Call)):
        return None
    name = _with_module(name, frame)
    if not is_block:
        return WrittenCall(name, f"{name}()", is_block)
    shown = ast.unparse(node) if node is not None else ""
    return WrittenCall(name, f"'with {shown if len(shown) < _LONG else f'{name}(...)'}'", is_block)


def is_awaited(frame: FrameType) -> bool:
    """Whether a frame is that of a coroutine, or of a generator-based one."""
    return bool(frame.f_code.co_flags & _OF_COROUTINES)


_OF_BLOCKS = ("__enter__", "__exit__")
_OF_COROUTINES = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
_LONG = 60


def _node_in(frame: FrameType) -> ast.expr | None:
    """The expression that a frame is evaluating."""
    positions = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    line, end_line, column, end_column = positions
    if line is None or end_line is None or column is None or end_column is None:
        return None
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)[line - 1 : end_line]
    return _parsed(_between(lines, column, end_column))


def _parsed(source: str) -> ast.expr | None:
    """The expression in a piece of source, or the context expression of its ``with`` block."""
    try:
        # In parentheses it may span several lines.
        return ast.parse(f"({source})", mode="eval").body
    except SyntaxError:
        pass
    try:
        # Before CPython 3.13 the position of entry and exit is the whole block.
        statements = ast.parse(source).body
    except SyntaxError:
        # The file has changed since it was imported, or is no source.
        return None
    if len(statements) == 1 and isinstance(statements[0], ast.With):
        items = statements[0].items
        return items[0].context_expr if len(items) == 1 else None
    return None


def _between(lines: Sequence[str], column: int, end_column: int) -> str:
    """A part of some lines; columns are counted in bytes."""
    encoded = [line.encode() for line in lines]
    if not encoded:
        return ""
    encoded[-1] = encoded[-1][:end_column]
    encoded[0] = encoded[0][column:]
    return b"".join(encoded).decode(errors="replace")


def _dotted(node: ast.expr | None) -> str | None:
    """A name with dots; None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return None if owner is None else f"{owner}.{node.attr}"
    return None


def _with_module(name: str, frame: FrameType) -> str:
    """A name with the module that its first part is, or was imported from."""
    first, dot, rest = name.partition(".")
    # Not among local variables: a snapshot of those would keep them alive.
    value = frame.f_globals.get(first)
    if isinstance(value, ModuleType):
        return f"{value.__name__}{dot}{rest}"
    home = getattr(value, "__module__", None)
    if not isinstance(home, str) or home == frame.f_globals.get("__name__"):
        return name
    # Users import it from the package more often than from the defining module.
    parts = home.split(".")
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        if vars(sys.modules.get(module, sys)).get(first) is value:
            return f"{module}.{name}"
    return name


class Caller(NamedTuple):
    """The code that made a blocking call.

    Attributes:
        users: the frames of the user's code in this step of the event loop, innermost first; the
            innermost of an installed package when there are none; empty for a callback without any
            frame.
        called: the frame of the function called by the first of them; None if that frame made the
            blocking call itself.
        package: the innermost frame of an installed package called by the user's code; None when
            there is none.
    """

    users: list[FrameType]
    called: FrameType | None
    package: FrameType | None


class _Kind(enum.Enum):
    OWN = enum.auto()
    # Blocking calls below these frames are no finding.
    EXEMPT = enum.auto()
    # Blocking calls made directly by these frames are no finding.
    QUIET = enum.auto()
    # A callback of the event loop.
    CALLBACK = enum.auto()
    # Frames that run the event loop.
    OUTSIDE = enum.auto()
    USERS = enum.auto()
    STANDARD_LIBRARY = enum.auto()
    # Code without a file, as from exec, which belongs to no package.
    GENERATED = enum.auto()
    PACKAGE = enum.auto()


DEBUGGERS = {
    "bdb",
    "debugpy",
    "ipdb",
    "pdb",
    "pudb",
    "pydevd",
    "_pydev_bundle",
    "_pydevd_bundle",
    "_pydevd_frame_eval",
    "_pydevd_sys_monitoring",
}
_QUIET_PACKAGES = {
    # Event loops and test runners, which wait only where no user code could run.
    "aldente",
    "asyncio",
    "execnet",
    "pluggy",
    "pytest",
    "_pytest",
    "xdist",
    # It reads source files.
    "coverage",
    "importlib",
    "linecache",
    "pkgutil",
    "tokenize",
    "traceback",
    "warnings",
    "zipimport",
    # It writes to its configured handlers, no matter which code logs.
    "logging",
}
_QUIET_MODULES = {
    # They ask a helper process on the same machine to start another one.
    "multiprocessing.forkserver",
    "multiprocessing.resource_tracker",
}
_QUIET_FUNCTIONS = {
    # Waits until the new thread runs.
    ("threading", "start"),
    # Reaps a child process that could not start its program.
    ("subprocess", "_execute_child"),
    # Joins workers that have nothing to do, in the "with" that asyncio's documentation puts around
    # run_in_executor(). Those that are busy look the same from here.
    ("concurrent.futures.process", "shutdown"),
    ("concurrent.futures.thread", "shutdown"),
}
# asyncio's functions that run a loop; there is no public way to recognise their frames. Checked on
# CPython 3.11 to 3.15.
_LOOP_RUNNERS = {"run_forever", "run_until_complete", "_run_once"}


def find_caller(frame: FrameType | None) -> Caller | None:
    """Find the code that made a blocking call on the thread of a running event loop.

    Args:
        frame: the innermost frame of the call.

    Returns:
        None when the call is not a finding.
    """
    users: list[FrameType] = []
    inner: list[tuple[FrameType, _Kind]] = []
    while frame is not None:
        kind = _kind_of(frame)
        if kind is _Kind.EXEMPT:
            return None
        if kind in (_Kind.CALLBACK, _Kind.OUTSIDE):
            break
        if kind is _Kind.USERS:
            users.append(frame)
        elif not users and kind is not _Kind.OWN:
            inner.append((frame, kind))
        frame = frame.f_back
    if frame is None and not _asyncio_compat.is_loop_running_beneath():
        # The loop is suspended in another greenlet, though asyncio counts it as running.
        return None
    if not users and not inner:
        is_callback = frame is not None and _kind_of(frame) is _Kind.CALLBACK
        return Caller([], None, None) if is_callback else None
    return _responsible(users, inner)


def _responsible(users: list[FrameType], inner: list[tuple[FrameType, _Kind]]) -> Caller | None:
    """The code responsible for a call: the user's, an installed package's, or none.

    Args:
        users: the user's frames.
        inner: the frames that they called, innermost first.
    """
    called = package = None
    for frame, kind in inner:
        if kind is _Kind.PACKAGE and package is None:
            if not users:
                return Caller([frame], called, None)
            package = frame
        elif kind is _Kind.QUIET and package is None:
            return None
        if kind in (_Kind.PACKAGE, _Kind.STANDARD_LIBRARY):
            called = frame
    # Without another frame it is the standard library's own call.
    return Caller(users, called, package) if users else None


def module_of(frame: FrameType) -> str:
    """The name of the module whose code a frame runs; empty when it has none."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def is_standard(module: str) -> bool:
    """Whether a module is in Python's standard library."""
    return module.partition(".")[0] in sys.stdlib_module_names


def _kind_of(frame: FrameType) -> _Kind:
    path, module = frame.f_code.co_filename, module_of(frame)
    top = module.partition(".")[0]
    if path.startswith("<frozen importlib"):
        return _Kind.EXEMPT
    if is_users(path):
        # Editors ship their debugger outside site-packages.
        return _Kind.EXEMPT if top in DEBUGGERS - sys.stdlib_module_names else _Kind.USERS
    if top in DEBUGGERS:
        return _Kind.EXEMPT
    if top in ("aldente", "asyncio", "uvloop"):
        return _kind_of_loop(module, frame.f_code.co_name)
    if (
        top in _QUIET_PACKAGES
        or module in _QUIET_MODULES
        or (module, frame.f_code.co_name) in _QUIET_FUNCTIONS
    ):
        return _Kind.QUIET
    if path.startswith("<") and not path.startswith("<frozen "):
        return _Kind.GENERATED
    return _Kind.STANDARD_LIBRARY if is_standard(module) else _Kind.PACKAGE


def _kind_of_loop(module: str, function: str) -> _Kind:
    if module.startswith("aldente._rules.blocking_call"):
        return _Kind.OWN
    if module == "asyncio.events" and function == "_run":
        return _Kind.CALLBACK
    if module == "asyncio.runners" or module.startswith(("aldente._runner", "uvloop")):
        return _Kind.OUTSIDE
    return _Kind.OUTSIDE if function in _LOOP_RUNNERS else _Kind.QUIET
