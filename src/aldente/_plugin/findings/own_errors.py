"""Reports errors in aldente itself at the end of a run; they changed no test's outcome."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator

import pytest

from aldente._own_errors import OwnError, listeners


class OwnErrors:
    """Collects the errors in aldente's own code during a run.

    Args:
        config: pytest's configuration.
        current_item: returns the test that began last, or None.
    """

    def __init__(
        self, config: pytest.Config, current_item: Callable[[], pytest.Item | None]
    ) -> None:
        self._config = config
        self._current_item = current_item
        # By activity and type of error: the first of each, and their number.
        self._told: dict[tuple[str, str], _Told] = {}

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, collect errors."""
        listeners.append(self._take)
        try:
            yield
        finally:
            listeners.remove(self._take)

    def _take(self, error: OwnError) -> None:
        kind = (error.doing, error.summary.partition(":")[0])
        told = self._told.get(kind)
        if told is None:
            item = self._current_item()
            told = self._told[kind] = _Told(error, item.nodeid if item is not None else "")
        told.count += 1

    def warn(self) -> None:
        """Have pytest show one warning for each kind of error.

        Not by `warnings.warn`, which raises where warnings are errors.
        """
        for told in self._told.values():
            message = warnings.WarningMessage(
                pytest.PytestWarning(told.describe()),
                pytest.PytestWarning,
                told.first.path,
                told.first.line,
                # The traceback shows the line already.
                line="",
            )
            self._config.hook.pytest_warning_recorded.call_historic(
                kwargs={
                    "warning_message": message,
                    "when": "config",
                    "nodeid": "",
                    "location": None,
                }
            )
        self._told.clear()


class _Told:
    """The first error of a kind, and their number."""

    def __init__(self, first: OwnError, test: str) -> None:
        self.first = first
        self._test = test
        self.count = 0

    def describe(self) -> str:
        where = f"in or after {self._test}" if self._test else "before the first test"
        more = f", and {self.count - 1} more like it" if self.count > 1 else ""
        return (
            f"aldente: an error in aldente itself, {where}, while {self.first.doing}{more}.\n"
            "It has changed no test's outcome, but what was being looked for may have been missed. "
            "Please report it with this traceback:\n\n"
            f"{self.first.traceback}"
        )
