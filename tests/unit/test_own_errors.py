"""Errors in what only watches are told, and go no further."""

from __future__ import annotations

import doctest
import gc
import weakref

import pytest

from aldente import _own_errors
from aldente._own_errors import OwnError, contained, containing
from aldente.errors import PhaseTimeout


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[OwnError]:
    """What the listener is told."""
    errors: list[OwnError] = []
    monkeypatch.setattr(_own_errors, "listeners", [errors.append])
    return errors


def test_examples() -> None:
    """The examples in the module's docstrings."""
    assert doctest.testmod(_own_errors).failed == 0


def test_decorated_function(told: list[OwnError]) -> None:
    """It returns what it does, or the value for errors."""

    @containing("dividing", -1.0)
    def divide(number: float, *, by: float) -> float:
        return number / by

    assert divide(6, by=3) == 2
    assert told == []
    assert divide(6, by=0) == -1.0
    assert divide.__name__ == "divide"
    (error,) = told
    assert (error.doing, error.summary) == ("dividing", "ZeroDivisionError: division by zero")
    assert error.path == __file__
    assert "return number / by" in error.traceback


def test_an_error_with_notes(told: list[OwnError]) -> None:
    """The summary is of the error itself; its notes are in the traceback."""
    error = ValueError("real message")
    error.add_note("see the docs")
    with contained("looking"):
        raise error
    assert told[0].summary == "ValueError: real message"
    assert "see the docs" in told[0].traceback


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), PhaseTimeout("test_it", 1.0, ""), SystemExit()]
)
def test_what_ends_a_test_goes_through(told: list[OwnError], error: BaseException) -> None:
    """Ctrl-C and time limits are raised in whatever code is running."""

    @containing("looking", None)
    def look() -> None:
        raise error

    with pytest.raises(type(error)):
        look()
    with pytest.raises(type(error)), contained("looking"):
        raise error
    assert told == []


def test_nothing_of_the_users_is_kept_alive(told: list[OwnError]) -> None:
    """What is told holds no frame."""

    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)

    @containing("looking", None)
    def look(thing: object) -> None:
        raise ValueError(thing)

    look(thing)
    del thing
    gc.collect()
    assert len(told) == 1
    assert reference() is None


def test_nothing_is_parsed_for_the_traceback(
    told: list[OwnError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython 3.11 fails where that happens in a garbage collection while it is parsing."""

    def fail(*args: object, **kwargs: object) -> object:
        raise AssertionError("parsed")

    monkeypatch.setattr("ast.parse", fail)
    with contained("looking"):
        assert len([1, 2]) + [][0] == 3
    (error,) = told
    assert error.summary == "IndexError: list index out of range"
    assert "assert len([1, 2]) + [][0] == 3" in error.traceback


def test_without_a_listener(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is printed."""
    monkeypatch.setattr(_own_errors, "listeners", [])
    with contained("looking"):
        raise ValueError("broken")
    printed = capsys.readouterr().err
    assert printed.startswith(
        "aldente: an error while looking:\nTraceback (most recent call last):"
    )
    assert printed.rstrip().endswith("ValueError: broken")
