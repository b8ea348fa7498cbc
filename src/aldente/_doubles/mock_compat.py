"""The private names of `unittest.mock` that aldente uses, each with its reason.

Checked on CPython 3.11.7, 3.12.1, 3.13.0, 3.14.8 and 3.15.0; on others
``tests/unit/doubles/test_mock_names.py`` looks for each of them. The only documented hook for
subclasses of `AsyncMock` is `_get_child_mock`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

if TYPE_CHECKING:

    class Patcher:
        """The members of ``_patch`` that aldente uses; its own types are too vague."""

        getter: Callable[[], Any]
        attribute: str
        attribute_name: str | None
        new: Any
        spec: Any
        create: bool
        spec_set: Any
        autospec: Any
        new_callable: Any
        kwargs: dict[str, Any]
        additional_patchers: list[Any]

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __call__(self, decorated: Decorated) -> Decorated: ...
        def __enter__(self) -> Any: ...
        def __exit__(self, *exc_info: Any) -> Any: ...
        def get_original(self) -> tuple[Any, bool]: ...
        def decoration_helper(self, patched: Any, args: Any, kwargs: Any) -> Any: ...
        def start(self) -> Any: ...
        def stop(self) -> Any: ...

    class DictPatcher:
        """The members of ``_patch_dict`` that aldente uses."""

        in_dict: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __call__(self, decorated: Decorated) -> Decorated: ...
        def __enter__(self) -> Any: ...
        def __exit__(self, *exception: Any) -> Any: ...
        def _patch_dict(self) -> None: ...
        def start(self) -> Any: ...
        def stop(self) -> Any: ...
else:
    # The classes behind `patch` and `patch.dict`. Decorators must have this class, or decorators of
    # both kinds on one function would pass their doubles in the wrong order, and pytest would take
    # the arguments for fixtures.
    Patcher = mock._patch
    DictPatcher = mock._patch_dict

# Special methods: the awaited ones, and the others.
_ASYNC_MAGICS: frozenset[str] = frozenset(getattr(mock, "_async_method_magics"))  # noqa: B009
_SYNC_MAGICS: frozenset[str] = frozenset(getattr(mock, "_all_sync_magics"))  # noqa: B009

# The real base class of every double, whatever its ``__class__`` says.
Mock = mock.NonCallableMock

DEFAULT = mock.DEFAULT


def is_mock(value: object) -> bool:
    """Whether a value is a mock; `isinstance` would go by the mock's ``__class__``."""
    return issubclass(type(value), Mock)


def set_signature(double: Any, signature: Any) -> None:
    """Set the signature by which a mock compares its calls; it does not check them."""
    double.__dict__["_spec_signature"] = signature


def set_check(
    double: Any, check: Callable[..., None], shown: inspect.Signature | None = None
) -> None:
    """Set the check for the arguments of each call of a mock, before it records the call.

    Args:
        double: the mock.
        check: the check, as a method.
        shown: the signature that `inspect.signature` shows for the mock.
    """
    # Each mock has a class of its own.
    type(double)._mock_check_sig = check
    if shown is not None:
        type(double).__signature__ = shown


def forget_check(double: Any) -> None:
    """Remove the check of a mock's calls, and its ``__await__``, as its spec changes."""
    for name in ("_mock_check_sig", "__signature__", "__await__"):
        if name in vars(type(double)):
            delattr(type(double), name)


def base_of(double: Any) -> type:
    """The class that a mock was made with; the mock itself has a subclass of its own."""
    base: type = type(double).__mro__[1]
    return base


def be_instance_of(double: Any, owner: type) -> None:
    """Make a mock pass for an instance of a class."""
    double.__dict__["_spec_class"] = owner


def refuses_new_attributes(double: Any) -> bool:
    """Whether a mock was made with ``spec_set``."""
    return bool(double._spec_set)


def check_arguments(double: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Check arguments as a call of a mock does, without making one."""
    double._mock_check_sig(*args, **kwargs)


def last_call(double: Any) -> Any:
    """The last call of a mock, as an entry of `AsyncMock.await_args_list`."""
    return double.call_args if _is_delegating(double) else double.__dict__["_mock_call_args"]


def _is_delegating(double: Any) -> bool:
    """Whether a function made by `create_autospec` keeps the record of a mock."""
    return double.__dict__["_mock_delegate"] is not None


def count_await(double: Any, entry: Any) -> None:
    """Count an await as `AsyncMock` does in its coroutine, which doubles don't use."""
    if _is_delegating(double):
        double.await_count += 1
        double.await_args = entry
        double.await_args_list.append(entry)
        return
    known = double.__dict__
    # Not by its properties, which would take a tenth of the time of the whole call.
    known["_mock_await_count"] += 1
    known["_mock_await_args"] = entry
    known["_mock_await_args_list"].append(entry)


def is_awaited(double: Any) -> bool:
    """Whether a mock is an `AsyncMock`, whatever its ``__class__`` says."""
    return issubclass(type(double), mock.AsyncMock)


def is_plain_kind(kind: type) -> bool:
    """Whether a class makes mocks that are called, not awaited."""
    return issubclass(kind, Mock) and not issubclass(kind, mock.AsyncMock)


def be_no_coroutine_function(double: Any, *, is_generator: bool) -> None:
    """Make an `AsyncMock` not pass for a coroutine function.

    Args:
        double: the mock.
        is_generator: whether it passes for an asynchronous generator function instead.
    """
    if not is_awaited(double):
        return
    # The mark for asyncio.iscoroutinefunction, which is deprecated since Python 3.14.
    double.__dict__.pop("_is_coroutine", None)
    flags = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    double.__dict__["__code__"].co_flags = flags | (
        inspect.CO_ASYNC_GENERATOR if is_generator else 0
    )


def add_members(double: Any, names: list[str]) -> None:
    """Allow a mock with a spec more attributes than `dir` shows of the spec."""
    known = double._mock_methods
    if known is not None:
        double.__dict__["_mock_methods"] = [*known, *(name for name in names if name not in known)]


def members_of(double: Any) -> list[str] | None:
    """The names that a mock's spec allows; None when it has no spec."""
    methods: list[str] | None = double._mock_methods
    return methods


def normalized(double: Any, call: Any) -> Any:
    """A call with its arguments bound to the parameters of a mock's spec, for comparisons.

    An exception object if they don't fit.
    """
    return double._call_matcher(call)


def call_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Arguments as an entry of `AsyncMock.await_args_list`."""
    return mock._Call((args, kwargs), two=True)


def own_return_value(double: Any) -> Any:
    """The return value that was set, or `DEFAULT`: reading ``return_value`` would make one."""
    delegate = double._mock_delegate
    return double._mock_return_value if delegate is None else delegate.return_value


def side_effect_of(double: Any) -> Any:
    """The side effect of a mock; None when it has none, or is not callable."""
    return double.side_effect if issubclass(type(double), mock.Mock) else None


def wrapped_by(double: Any) -> Any:
    """What a mock wraps, or None."""
    return double._mock_wraps


def is_sealed(double: Any) -> bool:
    """Whether `unittest.mock.seal` has been called for a mock."""
    return bool(double._mock_sealed)


def full_name(double: Any) -> str:
    """The name of a mock in its tree: ``mock.session.get``."""
    name: str = double._extract_mock_name()
    return name


def given_name(double: Any) -> object:
    """What a mock was given as its name; None without one."""
    return vars(double).get("_mock_name")


def root_of(double: Any) -> Any:
    """The mock at the root of a mock's tree."""
    while double._mock_new_parent is not None:
        double = double._mock_new_parent
    return double


def active_patches() -> list[Any]:
    """The patches that were begun with ``start()``, the newest last."""
    patches: list[Any] = getattr(mock, "_patch")._active_patches  # noqa: B009
    return list(patches)


def related(double: Any) -> Iterator[Any]:
    """The mocks among the attributes of a mock and its return value."""
    yield from (child for child in double._mock_children.values() if is_mock(child))
    value = double.__dict__.get("_mock_return_value")
    if is_mock(value):
        yield value


def is_async_magic(name: str | None) -> bool:
    """Whether ``async with`` or ``async for`` awaits a method of this name."""
    return name in _ASYNC_MAGICS


def is_sync_magic(name: str | None) -> bool:
    """Whether a special method of this name is called, not awaited."""
    return name in _SYNC_MAGICS


def is_mocks_own(path: str) -> bool:
    """Whether a source file is that of `unittest.mock`."""
    return path == mock.__file__


def real_of(double: Any) -> tuple[Any, str]:
    """The real thing behind a mock, and its name, as far as its or its parent's spec shows.

    A mock becomes the child of another when it is set as its attribute, and gets that name.
    """
    stored = vars(double)
    name = stored.get("_mock_new_name") or ""
    wrapped = stored.get("_mock_wraps")
    if wrapped is not None:
        return wrapped, getattr(wrapped, "__qualname__", name)
    parent = stored.get("_mock_new_parent")
    owner = vars(parent).get("_spec_class") if parent is not None else None
    if owner is None or not name.isidentifier():
        return None, name
    return inspect.getattr_static(owner, name, None), f"{owner.__name__}.{name}"


def track_calls_of_async_mocks(frames: int) -> Callable[[], None]:
    """Record more callers in the coroutines of every AsyncMock than those in `unittest.mock`.

    ``_execute_mock_call`` is the coroutine function behind each call; the frames between it and the
    caller are those of the module.

    Args:
        frames: how many frames to record.

    Returns:
        A function that undoes it.
    """
    owner: Any = next(kind for kind in mock.AsyncMock.__mro__ if "_execute_mock_call" in vars(kind))
    original = vars(owner)["_execute_mock_call"]

    @functools.wraps(original)
    def _execute_mock_call(*args: Any, **kwargs: Any) -> Any:
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(max(depth, frames))
        try:
            return original(*args, **kwargs)
        finally:
            sys.set_coroutine_origin_tracking_depth(depth)

    def undo() -> None:
        # A later replacement by another tool must stay.
        if vars(owner)["_execute_mock_call"] is _execute_mock_call:
            owner._execute_mock_call = original

    owner._execute_mock_call = _execute_mock_call
    return undo
