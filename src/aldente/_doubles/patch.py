"""Patches: doubles that replace the real thing for as long as a test needs them."""

from __future__ import annotations

import builtins
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType, TracebackType
from typing import Any, Self
from unittest import mock

from aldente import _imports
from aldente._doubles import leftovers, mock_compat
from aldente._doubles.double import double_in, double_like, double_without_spec
from aldente._doubles.leftovers import findings_of
from aldente._doubles.mock_compat import DEFAULT, Decorated, DictPatcher, Patcher
from aldente._doubles.state import is_double
from aldente._doubles.targets import (
    check_exists,
    check_replacement,
    check_used_here,
    find_owner,
)
from aldente._source import place_of_caller
from aldente.errors import DoubleMisused

# A context manager that patches, made from a decorated function and its arguments; yields the
# arguments for the call.
Enter = Callable[
    [Any, tuple[Any, ...], dict[str, Any]],
    AbstractContextManager[tuple[tuple[Any, ...], dict[str, Any]]],
]


def is_generator_function(decorated: object) -> bool:
    """Whether a function is a generator function, asynchronous or not."""
    return inspect.isgeneratorfunction(decorated) or inspect.isasyncgenfunction(decorated)


def generator_within(enter: Enter, decorated: Any) -> Any:
    """A generator function that patches while it runs.

    Args:
        enter: makes the context manager that patches.
        decorated: the generator function, asynchronous or not.
    """
    if inspect.isgeneratorfunction(decorated):

        @functools.wraps(decorated)
        def patched(*args: Any, **kwargs: Any) -> Any:
            with enter(patched, args, kwargs) as (given, named):
                return (yield from decorated(*given, **named))

        return patched

    @functools.wraps(decorated)
    async def patched_async(*args: Any, **kwargs: Any) -> Any:
        with enter(patched_async, args, kwargs) as (given, named):
            async with contextlib.aclosing(decorated(*given, **named)) as items:
                following = items.asend(None)
                while True:
                    try:
                        item = await following
                    except StopAsyncIteration:
                        return
                    try:
                        following = items.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        # The caller has thrown it in for the decorated generator, which may go on.
                        following = items.athrow(error)

    return patched_async


class Patch(Patcher):
    """One patch: a context manager for ``with`` and ``async with``, and a decorator.

    `patch` makes them.
    """

    def __init__(
        self, target: str, *args: Any, strict: bool = True, only_here: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._named = target
        self.strict = strict
        self._only_here = only_here
        # The file of the test.
        place = place_of_caller(2)
        self._made_in = place.path if place is not None else ""
        self._doubles: list[Any] = []

    def copy(self) -> Self:
        """A copy, for another decorated function."""
        patcher = type(self)(
            self._named,
            self.getter,
            self.attribute,
            self.new,
            self.spec,
            self.create,
            self.spec_set,
            self.autospec,
            self.new_callable,
            self.kwargs,
            strict=self.strict,
            only_here=self._only_here,
        )
        patcher.attribute_name = self.attribute_name
        patcher.additional_patchers = [other.copy() for other in self.additional_patchers]
        return patcher

    def __enter__(self) -> Any:
        __tracebackhide__ = True
        if hasattr(self, "is_local"):
            raise RuntimeError(
                f"The patch of {self._named!r} is already entered: make a new one for each use."
            )
        owner = self.getter()
        self._import_lazily_named(owner)
        if not self.create:
            check_exists(self._named, owner, self.attribute)
        original, _ = self.get_original()
        if original is DEFAULT:
            # A module may patch a builtin where it uses it.
            original = getattr(builtins, self.attribute, DEFAULT)
        check_replacement(self._named, original, self.new, self.new_callable)
        if not self._only_here:
            check_used_here(self._named, owner, self.attribute, original, self._made_in)
        stated = self.spec, self.spec_set, self.autospec, self.new_callable
        self._name_shape(owner, original)
        try:
            given = super().__enter__()
        finally:
            self.spec, self.spec_set, self.autospec, self.new_callable = stated
        double = given if self.attribute_name is None else given.get(self.attribute)
        self._doubles = [double] if is_double(double) else []
        return given

    def _import_lazily_named(self, owner: Any) -> None:
        """Do the lazy imports that take part in the patch."""
        try:
            _imports.import_named(owner, self.attribute)
        except ImportError:
            # The replacement need not be like the original.
            if self.new is DEFAULT:
                raise
        module = getattr(owner, "__name__", None) if isinstance(owner, ModuleType) else None
        if module is not None:
            # Else lazy imports in other modules would resolve to the double, and keep it.
            _imports.import_everywhere(f"{module}.{self.attribute}")

    def __call__(self, decorated: Decorated) -> Decorated:
        """Decorate a function, coroutine function, generator function of either kind, or class."""
        if not is_generator_function(decorated):
            return super().__call__(decorated)
        patchings = getattr(decorated, "patchings", None)
        made: Any = decorated
        if patchings is None:
            made = generator_within(self.decoration_helper, decorated)
            patchings = made.patchings = []
        patchings.append(self)
        result: Decorated = made
        return result

    def _name_shape(self, owner: Any, original: Any) -> None:
        """Give the double the shape of what it replaces, unless the test sets another one."""
        specs = self.spec, self.spec_set, self.autospec
        wanted = [each for each in specs if each is not None]
        if (
            self.new is not DEFAULT
            or self.new_callable is not None
            or len(wanted) > 1
            or any(isinstance(each, list | tuple) for each in wanted)
            or (original is DEFAULT and True in wanted)
            or any(map(mock_compat.is_mock, wanted))
        ):
            # Set otherwise, or not available; `unittest.mock` raises the error for that.
            return
        argument = "spec" if self.spec_set is None else "spec_set"
        spec = wanted[0] if wanted else True
        name = self.attribute

        def make(**kwargs: Any) -> Any:
            arguments = {"name": name, **kwargs}
            if spec is False or original is DEFAULT:
                return double_without_spec(original, arguments=arguments)
            if spec is True:
                return double_in(owner, name, original, spec_argument=argument, arguments=arguments)
            return double_like(spec, spec_argument=argument, arguments=arguments)

        self.spec = self.spec_set = self.autospec = None
        self.new_callable = make

    def __exit__(self, *exc_info: Any) -> Any:
        __tracebackhide__ = True
        doubles, self._doubles = self._doubles, []
        error: BaseException | None = exc_info[1] if exc_info else None
        # A test that fails half-way has not used all of its answers.
        is_strict = self.strict and error is None
        try:
            return super().__exit__(*exc_info)
        except DoubleMisused as misuse:
            # From another patch of `patch.multiple`.
            error = misuse
            raise
        finally:
            leftovers.report(findings_of(doubles, strict=is_strict), error)

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        __tracebackhide__ = True
        return self.__exit__(kind, error, traceback)


class DictPatch(DictPatcher):
    """One patch of a dictionary: a context manager of both kinds, and a decorator."""

    def __call__(self, decorated: Decorated) -> Decorated:
        """Decorate a function, coroutine function, generator function of either kind, or class."""
        if not is_generator_function(decorated):
            return super().__call__(decorated)

        @contextlib.contextmanager
        def enter(patched: Any, args: Any, kwargs: Any) -> Iterator[Any]:
            with self:
                yield args, kwargs

        made: Decorated = generator_within(enter, decorated)
        return made

    def _patch_dict(self) -> None:
        if isinstance(self.in_dict, str):
            self.in_dict = find_owner(self.in_dict, self.in_dict)
        super()._patch_dict()

    async def __aenter__(self) -> Any:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return self.__exit__(kind, error, traceback)


class Patching:
    """The class of `aldente.patch`: a function, with others as its attributes."""

    def __call__(
        self,
        target: str,
        new: Any = DEFAULT,
        spec: Any = None,
        create: bool = False,
        spec_set: Any = None,
        autospec: Any = None,
        new_callable: Callable[..., Any] | None = None,
        *,
        unsafe: bool = False,
        strict: bool = True,
        only_here: bool = False,
        **kwargs: Any,
    ) -> Patch:
        """Replace a function, class or object by a double for a while.

        The double has the shape of what it replaces: an `aldente.Double` for what is awaited, a
        specced `MagicMock` for all else. At the end, calls that were never awaited and unused
        answers are findings.

        Args:
            target: where code looks it up: ``"package.module.name"``.
            new: another replacement than a double.
            spec: another shape: an object, a class, or a list of names.
            create: also patch a name that does not exist.
            spec_set: as ``spec``, and setting other attributes fails too.
            autospec: as ``spec``; True is the default behaviour.
            new_callable: a callable that makes the double.
            unsafe: as for `unittest.mock.patch`.
            strict: whether unused answers are findings.
            only_here: replace it here although other modules import it by name.
            **kwargs: attributes of the double.

        Raises:
            NoSuchTarget: the target does not exist.
            PatchedElsewhere: the module defines it, and others use it by names of their own.
            SyncDouble: ``new`` can't be awaited, but code awaits what it replaces.
            DoubleMisused: at the end, outside of pytest: there are findings.

        >>> import asyncio, aldente
        >>> async def main():
        ...     async with aldente.patch("asyncio.sleep") as sleep:
        ...         await asyncio.sleep(3600)
        ...         sleep.assert_awaited_once_with(3600)
        >>> asyncio.run(main())
        """
        owner, attribute = _parted(target)
        return Patch(
            target,
            lambda: find_owner(target, owner),
            attribute,
            new,
            spec,
            create,
            spec_set,
            autospec,
            new_callable,
            kwargs,
            unsafe=unsafe,
            strict=strict,
            only_here=only_here,
        )

    def object(
        self,
        target: Any,
        attribute: str,
        new: Any = DEFAULT,
        spec: Any = None,
        create: bool = False,
        spec_set: Any = None,
        autospec: Any = None,
        new_callable: Callable[..., Any] | None = None,
        *,
        unsafe: bool = False,
        strict: bool = True,
        only_here: bool = False,
        **kwargs: Any,
    ) -> Patch:
        """Replace an attribute of an object by a double; the rest is as for `patch`."""
        if type(target) is str:
            raise TypeError(
                f"{target!r} must be the actual object to be patched, not a str; "
                f'aldente.patch("{target}.{attribute}") takes its path'
            )
        return Patch(
            f"{_name_of(target)}.{attribute}",
            lambda: target,
            attribute,
            new,
            spec,
            create,
            spec_set,
            autospec,
            new_callable,
            kwargs,
            unsafe=unsafe,
            strict=strict,
            only_here=only_here,
        )

    def multiple(
        self,
        target: Any,
        spec: Any = None,
        create: bool = False,
        spec_set: Any = None,
        autospec: Any = None,
        new_callable: Callable[..., Any] | None = None,
        *,
        strict: bool = True,
        only_here: bool = False,
        **kwargs: Any,
    ) -> Patch:
        """Patch several attributes of an object, or of the target of a path: ``name=replacement``.

        With `unittest.mock.DEFAULT` the replacement is a double, returned by its name.
        """
        if not kwargs:
            raise ValueError("Must supply at least one keyword argument with patch.multiple")
        path = target if type(target) is str else _name_of(target)
        patches = [
            Patch(
                f"{path}.{attribute}",
                (lambda: find_owner(path, path)) if type(target) is str else (lambda: target),
                attribute,
                new,
                spec,
                create,
                spec_set,
                autospec,
                new_callable,
                {},
                strict=strict,
                only_here=only_here,
            )
            for attribute, new in kwargs.items()
        ]
        for one in patches:
            one.attribute_name = one.attribute
        patches[0].additional_patchers = patches[1:]
        return patches[0]

    def dict(self, in_dict: Any, values: Any = (), clear: bool = False, **kwargs: Any) -> DictPatch:
        """Set entries of a dictionary for a while, as `unittest.mock.patch.dict` does.

        Args:
            in_dict: the dictionary, or its path: ``"package.module.name"``.
            values: the entries.
            clear: remove all other entries.
            **kwargs: further entries.

        Raises:
            NoSuchTarget: there is no such dictionary.
        """
        return DictPatch(in_dict, values, clear, **kwargs)

    @staticmethod
    def stopall() -> None:
        """Undo all patches that were begun with ``start()``, the last one first.

        Raises:
            DoubleMisused: outside of pytest: there are findings.
        """
        found: list[str] = []
        for one in reversed(mock_compat.active_patches()):
            try:
                one.stop()
            except DoubleMisused as misuse:
                found += misuse.findings
        if found:
            raise DoubleMisused(found)

    @property
    def TEST_PREFIX(self) -> str:  # noqa: N802
        """The prefix of the methods that a class decorator patches: that of `unittest.mock`."""
        prefix: str = mock.patch.TEST_PREFIX
        return prefix


def _parted(target: Any) -> tuple[str, str]:
    owner, _, attribute = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    if not owner or not attribute:
        raise TypeError(f"Need a valid target to patch. You supplied: {target!r}")
    return owner, attribute


def _name_of(target: Any) -> str:
    name = getattr(target, "__name__", None)
    return name if isinstance(name, str) else type(target).__name__


patch = Patching()
