"""The rule ``plain-mock``: awaiting a `Mock` or `MagicMock`, or what one returned."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import DEFAULT, NonCallableMock

from aldente._doubles.mock_compat import Patcher
from aldente._own_errors import contained, containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._rules.background_error import errors_within
from aldente._rules.mock_uses import MockUse, find_use, is_asyncios, mock_waited_for, tracebacks_of

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

RULE = Rule(
    name="plain-mock",
    catches="a Mock or MagicMock, or what it returned, where an awaitable is needed",
    why="Calling a Mock returns its return value directly; async code needs an awaitable.",
    explanation="""\
`Mock` and `MagicMock` replace synchronous code. Awaiting what they return fails with a
TypeError that names neither the mock nor the fix; aldente adds both to the error.

Explained are `await`, `async with` and `async for` of a plain mock or of what it returned, and
passing that to functions of asyncio such as `gather()`, `wait_for()`, `create_task()` and `run()`.
`asyncio.wait()` accepts a mock, and waits for it for ever: aldente explains the time-out or
deadlock that ends the wait.

Fix: use `AsyncMock` for a function that is awaited, or build the whole mock with
`unittest.mock.create_autospec()`, which makes the async methods of its spec awaitable. For
`async with` and `async for` use a `MagicMock`: it supports both.""",
    # As a note.
    reported_by=BaseException,
)

# What to replace a mock with whose result is awaited.
_AWAITABLE_STAND_IN = "an AsyncMock"

# CPython before 3.14 says "object X can't be used".
_MESSAGES: list[tuple[re.Pattern[str], Literal["await", "async with", "async for"]]] = [
    (re.compile(r"object (?P<type>\S+) can't be used in 'await' expression"), "await"),
    (re.compile(r"'(?P<type>\S+)' object can't be awaited"), "await"),
    (re.compile(r"a coroutine was expected, got (<(?P<type>\w+)|(?P<value>.+))"), "await"),
    (re.compile(r"An asyncio\.Future, a coroutine or an awaitable is required"), "await"),
    (re.compile(r"A coroutine object is required"), "await"),
    (re.compile(r"'(?P<type>\S+)' object has no attribute 'add_done_callback'"), "await"),
    (
        re.compile(r"'(?P<type>\S+)' object does not support the asynchronous context manager"),
        "async with",
    ),
    (
        re.compile(r"'async for' requires an object with __aiter__ method, got (?P<type>\S+)"),
        "async for",
    ),
    (re.compile(r"'(?P<type>\S+)' object is not an async (iterator|iterable)"), "async for"),
    (
        re.compile(
            r"'async with' received an object from __a(enter|exit)__ that does not implement "
            r"__await__: (?P<type>\S+)"
        ),
        "async with",
    ),
    (
        re.compile(
            r"'async for' received an (object from __aiter__ that does not implement __anext__|"
            r"invalid object from __anext__): (?P<type>\S+)"
        ),
        "async for",
    ),
]

# The error of asyncio.gather() and asyncio.wait(), which use their arguments as keys.
_UNHASHABLE = re.compile(
    r"(cannot use '\S+' as a (dict key|set element) \()?unhashable type: '(?P<type>\w+)'"
)

# What asyncio's functions raise besides TypeError for what they can't await; `asyncio.run()` raised
# ValueError before CPython 3.14.
_ERRORS_OF_ASYNCIO = (ValueError, AttributeError)

_MOCK_CLASSES = ("Mock", "MagicMock", "NonCallableMock", "NonCallableMagicMock")
# The attribute of an error that keeps its finding.
_KEPT = "__aldente_plain_mock__"


class _Mistake(NamedTuple):
    """A TypeError's content: the operation, and the type of the object that does not support it."""

    how: Literal["await", "async with", "async for"]
    type_name: str | None


def find(error: BaseException) -> Finding | None:
    """The finding for an error that comes from awaiting a plain mock; None for all others.

    Looks at its causes, its context and the members of exception groups too. The first result is
    kept on each error: later on, pytest has removed frames from its traceback, and patches are
    undone.
    """
    for inner in errors_within(error):
        attributes: dict[str, Any] = vars(inner)
        finding: Finding | None = attributes.get(_KEPT)
        if finding is None and (type(inner) is TypeError or _is_of_asyncio(inner)):
            finding = _find(inner, error)
        if finding is not None:
            attributes[_KEPT] = finding
            return finding
    return None


def _is_of_asyncio(error: BaseException) -> bool:
    """Whether asyncio raised an error, or was waiting when it came."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    return innermost is not None and is_asyncios(innermost.tb_frame)


@contextlib.contextmanager
def watch() -> Iterator[None]:
    """While entered, look into errors before `unittest.mock.patch` undoes its patches."""
    original = Patcher.__exit__

    def __exit__(self: Any, *exception: Any) -> Any:  # noqa: N807
        __tracebackhide__ = True
        if len(exception) > 1 and isinstance(exception[1], Exception):
            with contained("looking for a plain mock that was awaited"):
                find(exception[1])
        return original(self, *exception)

    Patcher.__exit__ = __exit__  # type: ignore[method-assign]
    try:
        yield
    finally:
        Patcher.__exit__ = original  # type: ignore[method-assign]


def explain(error: BaseException) -> str | None:
    """The explanation of an error that comes from awaiting a plain mock; None for all others."""
    finding = find(error)
    if finding is None:
        return None
    where = f" ({finding.place})" if finding.place is not None else ""
    return f"{RULE.name}: {finding.what}{where}\n{RULE.why}\nFix: {finding.fix}"


def note(error: BaseException) -> None:
    """Add the explanation to an error as a note, once."""
    text = explain(error)
    if text is not None and text not in getattr(error, "__notes__", ()):
        error.add_note(text)


@containing("looking for a plain mock that was awaited", None)
def find_in_failure(error: BaseException) -> Finding | None:
    """The finding for the error of a test, which gets the explanation as a note."""
    finding = find(error)
    if finding is not None:
        note(error)
    return finding


def _find(error: BaseException, outer: BaseException) -> Finding | None:
    users, innermost = tracebacks_of(error)
    if users is None:
        # A cancellation that asyncio's own functions have turned into a time-out.
        users, _ = tracebacks_of(outer)
    is_of_asyncio = _is_of_asyncio(error)
    mistake = None
    if type(error) is TypeError or (is_of_asyncio and type(error) in _ERRORS_OF_ASYNCIO):
        mistake = _mistake_of(str(error))
        unhashable = _UNHASHABLE.match(str(error))
        if unhashable is not None and is_of_asyncio:
            mistake = _Mistake("await", unhashable["type"])
    elif is_of_asyncio:
        mock = mock_waited_for(error.__traceback__)
        mistake = None if mock is None else _Mistake("await", type(mock).__name__)
    if mistake is None:
        return None
    use = find_use(users, innermost, mistake.how, mistake.type_name)
    if use is None and mistake.type_name not in _MOCK_CLASSES:
        return None
    place = None
    if users is not None:
        place = SourcePlace(users.tb_frame.f_code.co_filename, users.tb_lineno)
    return Finding(RULE.name, _what_happened(mistake, use), _fix(mistake, use), place)


def _mistake_of(message: str) -> _Mistake | None:
    for pattern, how in _MESSAGES:
        match = pattern.match(message)
        if match is not None:
            groups = match.groupdict()
            name = groups.get("type") or _type_of_literal(groups.get("value"))
            # contextlib includes the module.
            return _Mistake(how, None if name is None else name.rpartition(".")[2])
    return None


def _type_of_literal(shown: str | None) -> str | None:
    """The type of the value that a message shows, if it is a literal."""
    try:
        return None if shown is None else type(ast.literal_eval(shown)).__name__
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _what_happened(mistake: _Mistake, use: MockUse | None) -> str:
    verb = {
        "await": "be awaited",
        "async with": "be used with 'async with'",
        "async for": "be used with 'async for'",
    }[mistake.how]
    if use is None:
        return f"a {mistake.type_name} can't {verb}."
    gave = _an(mistake.type_name or _type_given(use) or "object")
    if use.mock is None:
        return (
            f"'{use.mock_expression}' is an async function, but '{use.expression}' gave {gave}, "
            f"which can't {verb}: it was replaced then, for example by unittest.mock.patch."
        )
    kind = type(use.mock).__name__
    if not use.is_call:
        return f"'{use.expression}' is a {kind}{_named(use)}, which can't {verb}."
    return (
        f"'{use.mock_expression}' is a {kind}{_named(use)}, so '{use.expression}' gave {gave}, "
        f"which can't {verb}."
    )


def _type_given(use: MockUse) -> str | None:
    """The type of what a mock returns, where no message names it."""
    if use.mock is None:
        return None
    stored = vars(use.mock)
    given = stored.get("_mock_return_value", DEFAULT)
    is_other = stored.get("_mock_side_effect") is not None or given is DEFAULT
    return None if is_other else type(given).__name__


def _fix(mistake: _Mistake, use: MockUse | None) -> str:
    if use is None:
        subject = "the mock that it comes from"
    elif use.mock is None:
        subject = f"the mock for '{use.mock_expression}'"
    elif not use.is_call and _name_of(use.mock).endswith("()"):
        subject = "the mock that returned it"
    else:
        subject = f"'{use.mock_expression}'"
    if mistake.how == "await":
        return (
            f"Make {subject} {_AWAITABLE_STAND_IN}, or build the whole mock with "
            "unittest.mock.create_autospec(), which makes the async methods of its spec awaitable."
        )
    special = "__aenter__" if mistake.how == "async with" else "__aiter__"
    return (
        f"Make {subject} a MagicMock with its default return value, which supports "
        f"'{mistake.how}'; set its result by {special}.return_value."
    )


def _named(use: MockUse) -> str:
    """The mock's own name, where it adds to the expression."""
    name = "" if use.mock is None else _name_of(use.mock)
    is_named = name and name != use.mock_expression and (not use.is_call or "mock" not in name)
    return f" named '{name}'" if is_named else ""


def _name_of(mock: NonCallableMock) -> str:
    # Not repr(mock): a MagicMock's may be configured, and would record a call.
    match = re.match(r"<\w+ name='([^']*)'", NonCallableMock.__repr__(mock))
    return match.group(1) if match else ""


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def install(observation: Observation) -> None:
    """Look into errors before patches are undone; pytest's side looks into those of tests."""
    observation.enter(watch())
