"""What no Python promises, and what is said on a Python on which it was not checked."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import re
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import aldente
from aldente import _checked_pythons
from aldente._checked_pythons import NEWEST_CHECKED, RELIANCES, Reliance
from aldente._explore import nondeterminism
from aldente._runner.pool import LoopPool
from aldente._simulation import ready

SOURCE = Path(aldente.__file__).parent
# Where private names of Python's library may be used. Those of unittest.mock have their own page.
USERS = [*sorted((SOURCE / "_asyncio_compat").glob("*.py")), SOURCE / "_python_compat.py"]


@pytest.fixture
def samples() -> Iterator[dict[str, Callable[[], Any]]]:
    """Makes an object of each class whose objects' attributes are relied on."""
    with ExitStack() as stack:
        loop = asyncio.SelectorEventLoop(selectors.DefaultSelector())
        stack.callback(loop.close)

        async def nothing() -> None:
            pass

        def task() -> asyncio.Task[None]:
            made = loop.create_task(nothing())
            stack.callback(loop.run_until_complete, made)
            return made

        def transport() -> Any:
            kind = vars(asyncio.selector_events)["_SelectorTransport"]
            made = kind(loop, stack.enter_context(socket.socket()), asyncio.Protocol())
            # Else it says that it was not closed.
            stack.callback(made._call_connection_lost, None)
            stack.callback(made.close)
            return made

        def encrypted() -> Any:
            context = ssl.create_default_context()
            make = found("asyncio.sslproto.SSLProtocol")
            made = make(loop, asyncio.Protocol(), context, None, server_hostname="localhost")
            # Else its transport says that it was not closed.
            stack.callback(setattr, made._get_app_transport(), "_closed", True)
            return made

        def policy() -> Any:
            # The public name of the class is deprecated.
            known = vars(asyncio.unix_events)
            kind = known.get("_DefaultEventLoopPolicy") or known["_UnixDefaultEventLoopPolicy"]
            return kind()

        yield {
            "asyncio.DefaultEventLoopPolicy": policy,
            "asyncio.BaseEventLoop": lambda: loop,
            "asyncio.SelectorEventLoop": lambda: loop,
            "asyncio.Task": task,
            "asyncio.Future": loop.create_future,
            "asyncio.TaskGroup": asyncio.TaskGroup,
            "asyncio.Condition": asyncio.Condition,
            "asyncio.Queue": asyncio.Queue,
            "asyncio.Handle": lambda: asyncio.Handle(print, (), loop),
            "asyncio.Server": lambda: vars(asyncio.base_events)["Server"](
                loop, [], None, None, 1, None
            ),
            "threading.Thread": threading.Thread,
            "asyncio.timeouts.Timeout": lambda: asyncio.Timeout(None),
            "asyncio.tasks._GatheringFuture": lambda: vars(asyncio.tasks)["_GatheringFuture"](
                [], loop=loop
            ),
            "asyncio.tasks._AsCompletedIterator": lambda: vars(asyncio.tasks)[
                "_AsCompletedIterator"
            ]([], None),
            "asyncio.selector_events._SelectorTransport": transport,
            "asyncio.sslproto.SSLProtocol": encrypted,
            "asyncio.sslproto._SSLProtocolTransport": lambda: encrypted()._get_app_transport(),
            "contextlib.ExitStack": ExitStack,
            "asyncio.StreamReaderProtocol": lambda: asyncio.StreamReaderProtocol(
                asyncio.StreamReader(loop=loop), loop=loop
            ),
            "concurrent.futures.ThreadPoolExecutor": lambda: stack.enter_context(
                ThreadPoolExecutor(1)
            ),
            "concurrent.futures.ProcessPoolExecutor": lambda: stack.enter_context(
                ProcessPoolExecutor(1)
            ),
        }


def found(path: str) -> Any:
    """What stands at a dotted path; raises AttributeError if nothing does."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise AttributeError(path)


def is_there(row: Reliance, samples: dict[str, Callable[[], Any]]) -> bool:
    """Whether the running Python has what a row names."""
    if "->" in row.name:
        outer, _, inner = row.name.partition("->")
        code = inspect.unwrap(found(outer)).__code__
        return any(getattr(each, "co_name", "") == inner for each in code.co_consts)
    owner, is_of_object, attribute = row.name.partition("().")
    if is_of_object:
        try:
            return hasattr(samples[owner](), attribute)
        except KeyError:
            # This Python lacks the class.
            return False
    try:
        found(row.name)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("row", RELIANCES, ids=lambda row: row.name)
def test_the_running_python_has_what_the_table_says(
    row: Reliance, samples: dict[str, Callable[[], Any]]
) -> None:
    """Each private name is there from the first version of its row on, and no longer than it says."""
    if row.name.startswith("asyncio.tasks._AsCompletedIterator") and row.is_expected:
        with asyncio.Runner() as runner:

            async def look() -> bool:
                return is_there(row, samples)

            assert runner.run(look())
        return
    assert is_there(row, samples) == row.is_expected, (
        f"see 'A new Python' in CONTRIBUTING.md: {row.name} is used for {row.use}"
    )


def test_the_running_python_is_checked() -> None:
    """The newest Python that was checked is at least the one that runs these tests."""
    assert sys.version_info[:2] <= NEWEST_CHECKED
    assert _checked_pythons.doubts() == ""


def own_names(tree: ast.Module) -> set[str]:
    """What a module defines itself: functions, classes, variables, and attributes of its objects."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                names.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.name for alias in node.names)
            names.update((node.module or "").split("."))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and "__slots__" in ast.unparse(node):
            names.update(re.findall(r"'(\w+)'", ast.unparse(node)))
    return names


def private_names(path: Path) -> set[str]:
    """The private names of others that a module uses, as attributes or in a string."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.<>]+", str(node.value)):
            # A name, or a dotted one; no text.
            names.add(str(node.value).rpartition(".")[2])
    # Not names such as __name__, which are Python's own.
    return {
        name for name in names if re.match("__?[a-zA-Z]", name) and not name.endswith("__")
    } - own_names(tree)


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.name)
def test_every_private_name_has_a_row(path: Path) -> None:
    """A private name that is used and not in the table would not be looked at on a new Python."""
    listed = {re.split(r"\.|->", row.name)[-1] for row in RELIANCES}
    assert private_names(path) - listed == set()


def test_no_row_is_left_over() -> None:
    """Each row of the table is used by one of the modules that may."""
    used = set().union(*map(private_names, USERS))
    # Methods that are overridden, and variables of modules, which stand for themselves.
    text = "\n".join(path.read_text(encoding="utf-8") for path in USERS)
    left = [
        row.name
        for row in RELIANCES
        if (last := re.split(r"\.|->", row.name)[-1]) not in used
        and not re.search(rf"\b{last}\b", text)
    ]
    assert left == []


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.name)
def test_no_private_name_is_needed_to_import(path: Path) -> None:
    """On a Python that lacks one, aldente is imported, and does without what needs it."""

    def needed(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            if isinstance(child, ast.Attribute) and re.match("_[a-z]", child.attr):
                yield ast.unparse(child)
            yield from needed(child)

    names = set(needed(ast.parse(path.read_text(encoding="utf-8"))))
    # Documented for debuggers, and on every CPython.
    assert names - {"sys._getframe"} == set()


# A Python that is newer than the newest checked.


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """The running Python passes for one that is newer than the newest checked."""
    version = (NEWEST_CHECKED[0], NEWEST_CHECKED[1] + 1)
    monkeypatch.setattr(_checked_pythons, "running", version)
    yield version
    nondeterminism._check.cache_clear()


async def three_independent() -> None:
    """A program all of whose schedules are equivalent."""

    async def work() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(3)))


@pytest.mark.parametrize("strategy", ["dfs", "auto"])
def test_nothing_is_proved_on_a_newer_python(newer: tuple[int, int], strategy: str) -> None:
    """A search to the end is not called one, and says why."""
    done = aldente.search(three_independent, runs=5_000, strategy=strategy)
    assert done.failure is None
    assert not done.exhausted
    assert done.coverage == (
        f"aldente was not checked on Python {newer[0]}.{newer[1]}, so there may be other schedules."
    )


def test_no_schedule_is_skipped_on_a_newer_python(
    newer: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """dfs tries each schedule, as nothing tells which of them are equivalent."""
    runs = aldente.search(three_independent, runs=5_000, strategy="dfs").runs
    monkeypatch.undo()
    checked = aldente.search(three_independent, runs=5_000, strategy="dfs")
    assert checked.exhausted
    assert runs == 90
    if sys.version_info >= (3, 12):
        assert checked.runs < runs


def test_a_failure_is_not_called_the_least_on_a_newer_python(newer: tuple[int, int]) -> None:
    """What follows from having tried all schedules with fewer switches is not said."""

    async def main() -> None:
        order = []

        async def work(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        await asyncio.gather(*map(work, range(3)))
        assert order != [2, 1, 0]

    failure = aldente.search(main, runs=200).failure
    assert failure is not None
    assert failure.shrinking is not None
    assert failure.shrinking.outcome == "local"
    assert "it is known" not in failure.report()


def test_loops_are_not_used_again_on_a_newer_python(newer: tuple[int, int]) -> None:
    """Whether a loop is like new is told by its private attributes."""
    pool = LoopPool()
    box = [pool()]
    try:
        assert not pool.keep(box)
    finally:
        box[0].close()


def test_where_steps_are_not_recognised_no_schedule_is_chosen(
    newer: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python whose tasks wake up by another name is refused, as every bug would be passed over."""
    monkeypatch.setattr(ready, "WAKE_UP_NAME", "another_name")
    with pytest.raises(
        aldente.UnsupportedPython, match="went on in the order c, a, b, main"
    ) as raised:
        aldente.search(three_independent)
    assert raised.value.version == newer
    with pytest.raises(aldente.UnsupportedPython):
        aldente.replay(three_independent, "3AKERpQ")
    with pytest.raises(aldente.UnsupportedPython):
        aldente.run(three_independent, seed=1)


def test_where_the_loop_breaks_no_schedule_is_chosen(
    newer: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private name that is gone is an error that says what to do, not one of its own."""
    monkeypatch.setattr(ready, "PlainHandle", None)
    with pytest.raises(aldente.UnsupportedPython, match=r"could not begin|ended with"):
        aldente.search(three_independent)


@pytest.mark.usefixtures("only_aldente")
def test_the_header_says_so(pytester: pytest.Pytester) -> None:
    """One line of pytest's header says what is switched off; it is not there on a checked Python."""
    newest = ".".join(map(str, NEWEST_CHECKED))
    newer = f"{NEWEST_CHECKED[0]}.{NEWEST_CHECKED[1] + 1}"
    pytester.makepyfile(
        """
        import asyncio
        import aldente

        @aldente.explore(strategy="dfs")
        async def test_it():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        """
    )
    before = pytester.runpytest_subprocess()
    before.assert_outcomes(passed=1)
    before.stdout.no_fnmatch_line("*was checked*")
    before.stdout.fnmatch_lines(["*, 1 exhaustively"])
    pytester.makeconftest(
        "from aldente import _checked_pythons\n"
        "major, minor = _checked_pythons.NEWEST_CHECKED\n"
        "_checked_pythons.running = (major, minor + 1)\n"
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            f"aldente: Python {newer} is newer than {newest}, the newest on which this aldente was "
            "checked: aldente skips no schedule as equivalent and calls none the last one, uses no "
            "loop for two tests, and looks for no deadlock on loops of real time."
        ]
    )
    result.stdout.no_fnmatch_line("*exhaustively*")


@pytest.mark.usefixtures("only_aldente")
def test_the_header_says_that_the_collector_tells_nothing(pytester: pytest.Pytester) -> None:
    """Where no test can be charged with a dropped coroutine, the header says so, and the run fails."""
    pytester.makeconftest(
        "from aldente._rules import coroutine_origins\n"
        "coroutine_origins.kind_of_collector.__defaults__ = ((3, 99, 0), list)\n"
    )
    pytester.makepyfile(test_it="async def work():\n    pass\n\ndef test_it():\n    work()\n")
    # An entry in pytest's command line comes before the plugin is configured.
    result = pytester.runpytest_subprocess("-p", "conftest")
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "aldente: the garbage collector of this Python does not show which test made a coroutine: "
            "never-awaited fails the run, but no test",
            "*test_it.py:5: the coroutine 'work' was never awaited.",
            "*in an unknown test, found after it had ended",
        ]
    )
