"""All settings in one frozen value, with their defaults and their validation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aldente._records import LoopScope
from aldente.errors import InvalidSetting

Mode = Literal["auto", "strict"]

MODES: tuple[Mode, ...] = ("auto", "strict")

# The value of asyncio_default_fixture_loop_scope that asks for the default behaviour by name.
FIXTURE_SCOPE = "fixture-scope"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a whole test run.

    Attributes:
        mode: ``"auto"`` runs every async test; ``"strict"`` only those with the ``asyncio`` mark.
        debug: whether event loops run in asyncio's debug mode.
        default_fixture_loop_scope: the loop of async fixtures that name none; None follows the
            scope for which the fixture is cached.
        default_test_loop_scope: the loop of tests that name none; None takes the widest loop among
            the async fixtures that the test uses.
        full_trace: whether tracebacks keep the frames of asyncio and aldente.

    >>> Settings().mode
    'auto'
    """

    mode: Mode = "auto"
    debug: bool = False
    default_fixture_loop_scope: LoopScope | None = None
    default_test_loop_scope: LoopScope | None = None
    full_trace: bool = False

    def differences(self) -> list[str]:
        """The settings that differ from the defaults, as ``name=value``, for the header."""
        differing = []
        if self.mode != "auto":
            differing.append(f"mode={self.mode}")
        if self.debug:
            differing.append("debug=True")
        if self.default_fixture_loop_scope is not None:
            differing.append(
                f"asyncio_default_fixture_loop_scope={self.default_fixture_loop_scope.value}"
            )
        if self.default_test_loop_scope is not None:
            differing.append(
                f"asyncio_default_test_loop_scope={self.default_test_loop_scope.value}"
            )
        return differing


def parse_mode(value: object) -> Mode:
    """The mode that a user's value stands for.

    Raises:
        InvalidSetting: the value is not the name of a mode.

    >>> parse_mode("strict")
    'strict'
    """
    for mode in MODES:
        if value == mode:
            return mode
    raise InvalidSetting("asyncio_mode", value, f"Valid modes: {', '.join(MODES)}.")


def parse_loop_scope(name: str, value: object) -> LoopScope:
    """The loop scope that a user's value stands for.

    Args:
        name: the name of the setting or mark argument, for the message.
        value: the name of a scope.

    Raises:
        InvalidSetting: the value is not the name of a scope.

    >>> parse_loop_scope("loop_scope", "module")
    <LoopScope.MODULE: 'module'>
    """
    for scope in LoopScope:
        if value == scope.value:
            return scope
    valid = ", ".join(scope.value for scope in LoopScope)
    raise InvalidSetting(name, value, f"Valid scopes are: {valid}.")


def parse_default_fixture_loop_scope(value: str | None) -> LoopScope | None:
    """The loop scope of async fixtures that name none; None follows the fixture's caching scope."""
    if not value or value == FIXTURE_SCOPE:
        return None
    return parse_loop_scope("asyncio_default_fixture_loop_scope", value)


def parse_default_test_loop_scope(value: str | None) -> LoopScope | None:
    """The loop scope of tests that name none; None takes the widest among their fixtures' loops."""
    if not value:
        return None
    return parse_loop_scope("asyncio_default_test_loop_scope", value)


def find_misspelt(given: Iterable[str], known: Sequence[str]) -> tuple[str, str | None] | None:
    """The first configuration key that was meant for aldente but is none of its keys.

    Every unknown ``aldente_`` key is one. A key that starts with ``asyncio_`` is one only when it
    is nearly a known key, because other plugins may use that prefix.

    Args:
        given: the keys of the user's configuration file.
        known: every key that is known.

    Returns:
        The key, and the known key that is nearest to it or None; None when all is well.

    >>> find_misspelt(["asyncio_mod"], ["asyncio_mode"])
    ('asyncio_mod', 'asyncio_mode')
    """
    for key in given:
        if key in known or not key.startswith(("aldente_", "asyncio_")):
            continue
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
        if nearest or key.startswith("aldente_"):
            return key, nearest[0] if nearest else None
    return None
