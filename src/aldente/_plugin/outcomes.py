"""Gives skips, expected failures and exits that a task group has wrapped their meaning back."""

from __future__ import annotations

import pytest

# From the strongest meaning to the weakest. A real error among them makes the group a failure.
_ENDS_SESSION: tuple[type[BaseException], ...] = (KeyboardInterrupt, pytest.exit.Exception)
_SETS_OUTCOME: tuple[type[BaseException], ...] = (pytest.xfail.Exception, pytest.skip.Exception)


def unwrapped(error: BaseException) -> BaseException:
    """The outcome that an exception group stands for, or the exception itself.

    A group that contains an exit or a Ctrl-C is that; a group of nothing but skips is a skip, and
    of expected failures an expected failure. Any other group stays as it is.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, _ENDS_SESSION):
            return leaf
    if all(isinstance(leaf, _SETS_OUTCOME) for leaf in leaves):
        expected_failures = [leaf for leaf in leaves if isinstance(leaf, pytest.xfail.Exception)]
        return expected_failures[0] if expected_failures else leaves[0]
    return error


def is_no_failure(error: BaseException) -> bool:
    """Whether an exception ends the session, skips the test, or fails it as expected."""
    return isinstance(unwrapped(error), (*_ENDS_SESSION, *_SETS_OUTCOME))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
