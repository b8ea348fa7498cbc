"""The doubles of a test, undone and checked at its end."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Self

from aldente._doubles import leftovers
from aldente._doubles.double import Double
from aldente._doubles.leftovers import findings_of
from aldente._doubles.patch import Patch, Patching
from aldente._records import Finding
from aldente.errors import DoubleMisused


class _Entered(Patching):
    """As `aldente.patch`, but returns the double, patched in until the end of the test."""

    def __init__(self, patches: contextlib.ExitStack) -> None:
        self._patches = patches
        self._entered: list[Patch] = []

    def be_lenient(self) -> None:
        """Report no unused answers from now on."""
        for patch in self._entered:
            for one in (patch, *patch.additional_patchers):
                one.strict = False

    def _enter(self, patch: Patch) -> Any:
        self._entered.append(patch)
        return self._patches.enter_context(patch)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Patch, and return the double; the arguments are those of `aldente.patch`."""
        return self._enter(super().__call__(*args, **kwargs))

    def object(self, *args: Any, **kwargs: Any) -> Any:
        """Patch an attribute of an object, and return the double."""
        return self._enter(super().object(*args, **kwargs))

    def multiple(self, *args: Any, **kwargs: Any) -> Any:
        """Patch several attributes, and return the doubles by name."""
        return self._enter(super().multiple(*args, **kwargs))

    def dict(self, *args: Any, **kwargs: Any) -> Any:
        """Set entries of a dictionary, and return it."""
        return self._patches.enter_context(super().dict(*args, **kwargs))


class Doubles:
    """The value of the fixture ``doubles``: doubles that last as long as the test.

    Attributes:
        patch: as `aldente.patch`, but returns the double, which is patched in already.

    >>> import asyncio
    >>> async def main():
    ...     with Doubles() as doubles:
    ...         sleep = doubles.patch("asyncio.sleep")
    ...         await asyncio.sleep(3600)
    ...         sleep.assert_awaited_once_with(3600)
    >>> asyncio.run(main())
    """

    def __init__(self) -> None:
        self._patches = contextlib.ExitStack()
        self._made: list[tuple[Any, bool]] = []
        self.patch = _Entered(self._patches)

    def double(self, spec: Any = None, *args: Any, strict: bool = True, **kwargs: Any) -> Any:
        """Make a double, and check it at the end.

        Args:
            spec: the real thing; the further arguments are those of `aldente.Double`.
            strict: whether unused answers are findings.
        """
        double: Double[Any] = Double(spec, *args, **kwargs)
        self._made.append((double, strict))
        return double

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._end(error, is_strict=error is None)

    def end(self, *, has_failed: bool) -> None:
        """Undo all patches, and report what was left undone.

        Args:
            has_failed: whether the test has failed, and so may not have used all its answers.
        """
        __tracebackhide__ = True
        self._end(None, is_strict=not has_failed)

    def _end(self, error: BaseException | None, *, is_strict: bool) -> None:
        __tracebackhide__ = True
        made, self._made = self._made, []
        if not is_strict:
            self.patch.be_lenient()
        seen: set[int] = set()
        findings: list[Finding] = []
        # The lenient ones first, so that they stay lenient where others return them as answers.
        for is_asked in (False, True):
            doubles = [double for double, strict in made if strict is is_asked]
            findings += findings_of(doubles, strict=is_asked and is_strict, seen=seen)
        try:
            self._patches.__exit__(type(error) if error is not None else None, error, None)
        except DoubleMisused as misuse:
            error = misuse
            raise
        finally:
            leftovers.report(findings, error)
