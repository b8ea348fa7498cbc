"""The rule ``schedule-dependent``: a test that passes in asyncio's order, and fails in another.

Found by ``--aldente-explore``, which runs each test under other schedules once it has passed.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from aldente._records import Finding, Rule, SourcePlace

RULE = Rule(
    "schedule-dependent",
    catches="a test that passes in asyncio's order of tasks, and fails in another",
    why=(
        "asyncio promises no order among tasks that are ready at the same time, and how long "
        "anything takes depends on the machine. So the test is flaky, or what it tests is wrong "
        "whenever tasks meet in this order."
    ),
    explanation=(
        "Found by --aldente-explore: each async test without a mark that has passed is run again "
        "on a simulated event loop, under schedules in which tasks that are ready at the same time "
        "go on in other orders. A finding is a schedule in which it fails, with a story of the "
        "steps that matter and a token that runs this schedule again.\n\n"
        "Not a finding: what fails in asyncio's own order on the simulated loop too, such as a "
        "test that needs a real connection (the summary lists it by reason); a failure that does "
        "not occur again under the same schedule.\n\n"
        "Fix: replay the schedule, and see which code relies on the order. If it is the test, let "
        "it wait for what it relies on: a result, an asyncio.Event, or await aldente.settle(), "
        "which waits until nothing more happens. If it is the code, it has a race."
    ),
    has_story=True,
)

_FIX = (
    "replay it, and see which code relies on the order. If the test does, let it wait for what it "
    "relies on: a result, an event. If the code under test does, it has a race."
)
_COUNTS_TURNS = (
    f"{_FIX} If the test calls asyncio.sleep(0) to let other tasks run, await aldente.settle() "
    "instead, which waits until nothing more happens: how many turns other tasks take depends on "
    "the order of tasks."
)


def found(
    error: BaseException, place: SourcePlace | None, story: Sequence[str], test: Callable[..., Any]
) -> Finding:
    """The finding for a test that fails in another order.

    Args:
        error: what it fails with.
        place: where it fails; None if that is not known.
        story: the lines that describe what happens, and how to run it again.
        test: the function of the test.

    >>> async def test(): ...
    >>> found(ValueError("lost"), None, [], test).what
    "passes in asyncio's order, fails in another: ValueError: lost"
    """
    what = f"passes in asyncio's order, fails in another: {_in_a_line(error)}"
    fix = _COUNTS_TURNS if counts_turns(test) else _FIX
    return Finding(RULE.name, what, fix, place, tuple(story), subject=type(error).__name__)


_LONGEST = 160


def _in_a_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return textwrap.shorten(f"{name}: {text}" if text else name, _LONGEST, placeholder=" ...")


def counts_turns(test: Callable[..., Any]) -> bool:
    """Whether a test lets other tasks run by ``sleep(0)``, as far as its source shows.

    >>> async def counting():
    ...     await asyncio.sleep(0)
    >>> async def waiting():
    ...     await asyncio.sleep(1)
    >>> counts_turns(counting), counts_turns(waiting)
    (True, False)
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(test))))
    except (OSError, TypeError, SyntaxError):
        # Without a source, or made by code.
        return False
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "sleep"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == 0
        for node in ast.walk(tree)
    )
