"""Runs a module of the interpreter's own asyncio tests on one of aldente's loops: a program.

    python -m tests.conformance.interpreter_tests virtual test_locks

It puts that loop wherever these tests make one, and prints a line of JSON for each test: its name,
its outcome, and whether such a loop was made for it. Tests of what is simulated
(a loop of mocks, transports of mocks) make none and prove nothing here; they are run all the same.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import importlib
import json
import sys
import time
import unittest
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from tests.conformance import threaded_network
from tests.conformance.exclusions import find_exclusion
from tests.conformance.tested_loops import KINDS, Kind, made

# All of a module takes a few seconds.
SECONDS_AT_MOST = 60
# Some of those that are excluded would go on for ever.
SECONDS_WHEN_EXCLUDED = 3

# In these modules what the loop watches is simulated too, by asyncio's own loop for tests.
WITH_SIMULATED_DESCRIPTORS = ("test_selector_events", "test_unix_events")
# These make a `BaseEventLoop`, and put mocks where it has nothing to wait with.
WITH_BASE_LOOP = ("test_pep492", "test_runners")


def import_with(kind: Kind, name: str) -> ModuleType:
    """Import a module of the tests so that all loops it makes are of a kind.

    What is private here was checked on CPython 3.11.7, 3.12.1, 3.13.0, 3.14.8 and 3.15.0:
    ``_UnixDefaultEventLoopPolicy._loop_factory`` is what makes all loops for which nobody names a
    class. The names of policies that are public until 3.13 mean that class too; on a Python without
    policies it is seen whether such a loop is one of ours.
    """
    if issubclass(kind.tested, threaded_network.Threaded):
        threaded_network.install()
    test_utils: Any = importlib.import_module("test.test_asyncio.utils")
    places: list[tuple[Any, str, Any]] = [
        (asyncio, "SelectorEventLoop", kind.tested),
    ]
    policy = vars(asyncio.unix_events).get("_UnixDefaultEventLoopPolicy")
    if policy is not None:
        places.append((policy, "_loop_factory", kind.tested))
    if sys.version_info >= (3, 13):
        places.append((asyncio, "EventLoop", kind.tested))
    if name not in WITH_SIMULATED_DESCRIPTORS:
        places.append((test_utils, "TestLoop", kind.scripted))
    if name in WITH_BASE_LOOP:
        places.append((asyncio, "BaseEventLoop", kind.completed))
    if name == "test_selector_events":
        places.append((asyncio.selector_events, "BaseSelectorEventLoop", kind.tested))
    for owner, attribute, replacement in places:
        if not hasattr(owner, attribute):
            raise AttributeError(f"{owner} has no {attribute} that could be replaced")
        setattr(owner, attribute, replacement)
    loop = asyncio.new_event_loop()
    loop.close()
    if type(loop) is not kind.tested:
        raise TypeError(f"asyncio.new_event_loop() still makes a {type(loop).__name__}")
    return importlib.import_module(f"test.test_asyncio.{name}")


class Report(unittest.TestResult):
    """Prints a line of JSON for each test.

    The names of its methods are those of unittest.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begin()

    def _begin(self) -> None:
        self._before = len(made)
        self._began = time.perf_counter()
        self._outcome, self._detail = "passed", ""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._begin()

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        self._print(test, len(made) > self._before, time.perf_counter() - self._began)
        # Some versions tell of no start of a test that is skipped.
        self._begin()

    def _print(self, test: object, is_ours: bool, seconds: float) -> None:
        line = {
            "name": name_of(test),
            "outcome": self._outcome,
            "detail": self._detail,
            "is_ours": is_ours,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(line), file=sys.__stdout__, flush=True)

    def _fail(self, test: Any, detail: str) -> None:
        self._outcome = "failed"
        self._detail += detail
        if not isinstance(test, unittest.TestCase):
            # What a whole class or module shares.
            self._print(test, False, 0.0)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self._fail(test, self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self._fail(test, self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def add_excluded(self, test: unittest.TestCase) -> None:
        """A test is not run."""
        self._outcome, self._detail = "excluded", ""
        self._print(test, False, 0.0)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self._outcome, self._detail = "skipped", reason


def name_of(test: object) -> str:
    """The name of a test without that of its module: ``LockTests.test_repr``."""
    if isinstance(test, unittest.TestCase):
        return test.id().split(".", 3)[-1]
    return str(test)


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """The tests of a suite and of those within it."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def main(kind: str, module_name: str, *only: str) -> None:
    """Run the tests of a module that are not excluded; or those of the names that are given."""
    seconds = SECONDS_WHEN_EXCLUDED if only else SECONDS_AT_MOST
    faulthandler.dump_traceback_later(seconds, exit=True)
    module = import_with(KINDS[kind], module_name)
    report = Report()
    suite = unittest.TestSuite()
    for test in tests_of(unittest.defaultTestLoader.loadTestsFromModule(module)):
        if only:
            is_excluded = name_of(test) not in only
        else:
            is_excluded = find_exclusion(kind, module_name, name_of(test)) is not None
        if is_excluded:
            report.add_excluded(test)
        else:
            suite.addTest(test)
    # Many of these tests collect garbage when they end, which takes longer than all else they do.
    gc.collect()
    gc.freeze()
    suite.run(report)


if __name__ == "__main__":
    main(*sys.argv[1:])
