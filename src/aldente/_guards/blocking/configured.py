"""The user's own blocking functions, given by their dotted names."""

from __future__ import annotations

import contextlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

from aldente._guards.blocking.calls import BlockingCall, Topic
from aldente._guards.blocking.patches import patch, patch_everywhere, watched
from aldente.errors import InvalidSetting

SETTING = "aldente_blocking_calls"

_ALLOWED = (
    "Allowed are dotted names of functions: package.module.function or package.module.Class.method."
)


def install(patches: contextlib.ExitStack, dotted_name: str) -> None:
    """Replace a function or method by one that reports, until a stack unwinds.

    Raises:
        InvalidSetting: there is no such function, or it can't be replaced.
    """
    owner, name, original = _find(dotted_name)
    call = BlockingCall(dotted_name, Topic.CONFIGURED)
    if isinstance(owner, ModuleType):
        patch_everywhere(patches, owner, name, watched(original, call))
        return
    try:
        if isinstance(original, staticmethod | classmethod):
            patch(patches, owner, name, type(original)(watched(original.__func__, call)))
        else:
            patch(patches, owner, name, watched(original, call))
    except TypeError as error:
        raise _refused(dotted_name, f"Its class can't be changed: {error}.") from error


def _find(dotted_name: str) -> tuple[Any, str, Any]:
    """The module or class that has a function, its name there, and what stands under it."""
    owner_name, _, name = dotted_name.rpartition(".")
    if not owner_name:
        raise _refused(dotted_name, "It names no module.")
    try:
        owner: Any = pkgutil.resolve_name(owner_name)
        original = inspect.getattr_static(owner, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _refused(dotted_name, f"There is no such function: {error}.") from error
    if not callable(getattr(owner, name)) or not isinstance(owner, ModuleType | type):
        raise _refused(dotted_name, "It is no function.")
    if inspect.iscoroutinefunction(getattr(owner, name)):
        raise _refused(dotted_name, "It is a coroutine function, which blocks nobody by itself.")
    return owner, name, original


def _refused(dotted_name: str, reason: str) -> InvalidSetting:
    return InvalidSetting(SETTING, dotted_name, f"{reason} {_ALLOWED}")
