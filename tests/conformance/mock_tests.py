"""Runs a module of the interpreter's own tests of `unittest.mock` on doubles: a program.

    python -m tests.conformance.mock_tests testasync

It puts aldente's doubles wherever `unittest.mock` would make its own, and `aldente.patch` in the
place of ``patch``, and prints a line of JSON for each test: its name and its outcome.
"""

from __future__ import annotations

import asyncio
import faulthandler
import fnmatch
import importlib
import json
import sys
import unittest
import warnings
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

from aldente import patch
from aldente._doubles.double import Double, PlainDouble, PlainObject

SECONDS_AT_MOST = 60

PACKAGE = "test.test_unittest.testmock" if sys.version_info >= (3, 12) else "unittest.test.testmock"


class Exclusion(NamedTuple):
    """Tests of the interpreter's that are not run on doubles.

    Attributes:
        module: their module.
        tests: their names, with ``*`` for any characters.
        reason: why they are not.
        since: the first version of Python that has them.
    """

    module: str
    tests: str
    reason: str
    since: tuple[int, int] = (3, 11)

    @property
    def is_for_this_python(self) -> bool:
        return self.since <= sys.version_info[:2]

    def covers(self, module: str, name: str) -> bool:
        """Whether a test is one of them, by its name without that of its module."""
        return self.module == module and fnmatch.fnmatchcase(name, self.tests)


CHECKS_ARGUMENTS = "calls a double with arguments that its spec does not take, which is refused"
IS_SPECCED = (
    "takes the double of an object that is not called for one that is, as patch() speccs by default"
)

_ALL_EXCLUSIONS = (
    Exclusion("testasync", "AsyncArguments.test_add_return_value", CHECKS_ARGUMENTS),
    Exclusion("testasync", "AsyncMockAssert.test_async_arg_lists", CHECKS_ARGUMENTS),
    Exclusion(
        "testasync",
        "AsyncMockAssert.test_assert_has_mock_calls_on_async_mock_with_spec",
        CHECKS_ARGUMENTS,
    ),
    Exclusion(
        "testasync",
        "AsyncMockAssert.test_assert_has_awaits_not_matching_spec_error",
        "reads a failed assertion to the last letter, where doubles show a table",
    ),
    Exclusion(
        "testasync",
        "AsyncAutospecTest.test_patch_with_autospec",
        "never awaits a call, which is a finding, and asks for the mock inside of a function",
    ),
    Exclusion(
        "testasync",
        "AsyncSpecTest.test_spec_mock_type_*",
        "makes a MagicMock of a coroutine function; patch() makes a Double of one",
    ),
    Exclusion("testpatch", "PatchTest.test_patch_multiple_create_mocks", IS_SPECCED),
    Exclusion("testpatch", "PatchTest.test_patch_multiple_create_mocks_patcher", IS_SPECCED),
    Exclusion("testpatch", "PatchTest.test_patch_multiple_decorating_class", IS_SPECCED),
    Exclusion("testpatch", "PatchTest.test_patch_multiple_stacked_decorators", IS_SPECCED),
    Exclusion("testpatch", "PatchTest.test_patchobject_with_default_mock", IS_SPECCED),
    Exclusion("testpatch", "PatchTest.test_patch_keyword_args", CHECKS_ARGUMENTS),
    Exclusion("testpatch", "PatchTest.test_patch_object_keyword_args", CHECKS_ARGUMENTS),
    Exclusion("testwith", "WithTest.test_with_statement_as", IS_SPECCED),
    Exclusion("testmock", "MockTest.test_manager_mock", IS_SPECCED),
    Exclusion(
        "testmock", "MockTest.test_autospec_mock", "reads the name of MagicMock in a message"
    ),
    Exclusion(
        "testhelpers", "SpecSignatureTest.test_dataclass_special_attrs", IS_SPECCED, since=(3, 14)
    ),
    Exclusion(
        "testhelpers",
        "SpecSignatureTest.test_dataclass_with_non_fields",
        "expects no attribute where a class declares a class variable and does not set it",
        since=(3, 14),
    ),
)

EXCLUSIONS = tuple(exclusion for exclusion in _ALL_EXCLUSIONS if exclusion.is_for_this_python)


def is_excluded(module: str, name: str) -> bool:
    """Whether a test is not run, by its name without that of its module."""
    return any(exclusion.covers(module, name) for exclusion in EXCLUSIONS)


def import_on_doubles(name: str) -> ModuleType:
    """Import a module of the tests so that all mocks in it are doubles."""
    places: dict[str, Any] = {
        "AsyncMock": Double,
        "MagicMock": PlainDouble,
        "NonCallableMagicMock": PlainObject,
    }
    for attribute, double in places.items():
        setattr(mock, attribute, double)
    module = importlib.import_module(f"{PACKAGE}.{name}")
    if hasattr(module, "patch"):
        vars(module)["patch"] = patch
    return module


class Report(unittest.TestResult):
    """Prints a line of JSON for each test; the names of its methods are those of unittest."""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._outcome, self._detail = "passed", ""

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        line = {"name": name_of(test), "outcome": self._outcome, "detail": self._detail}
        print(json.dumps(line), file=sys.__stdout__, flush=True)

    def _fail(self, test: Any, err: Any) -> None:
        self._outcome = "failed"
        self._detail += self._exc_info_to_string(err, test)  # type: ignore[attr-defined]

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._fail(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._outcome, self._detail = "skipped", reason


def name_of(test: unittest.TestCase) -> str:
    """The name of a test without that of its module: ``PatchTest.test_patch``."""
    return ".".join(test.id().split(".")[-2:])


def tests_of(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    """The tests of a suite and of those within it."""
    found: list[unittest.TestCase] = []
    for test in suite:
        found += tests_of(test) if isinstance(test, unittest.TestSuite) else [test]
    return found


def main(module_name: str, *, excluded: bool) -> None:
    """Run the tests of a module that are not excluded, or only those that are."""
    faulthandler.dump_traceback_later(SECONDS_AT_MOST, exit=True)
    # Some leave coroutines behind on purpose.
    warnings.simplefilter("ignore")
    module = import_on_doubles(module_name)
    suite = unittest.TestSuite(
        test
        for test in tests_of(unittest.defaultTestLoader.loadTestsFromModule(module))
        if is_excluded(module_name, name_of(test)) is excluded
    )
    if sys.version_info < (3, 14):
        # Some ask for the current loop where none runs.
        asyncio.set_event_loop(asyncio.new_event_loop())
    suite.run(Report())


if __name__ == "__main__":
    main(sys.argv[1], excluded="--excluded" in sys.argv)
