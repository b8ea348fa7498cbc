"""`MarkLike`: something of aldente's own that pytest takes for a mark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

# The one mark of aldente, whose keys its functions set.
MARK = "aldente"

Marked = TypeVar("Marked")


class MarkLike:
    """Stands for a mark with some keys: in ``pytestmark``, in ``pytest.param``, and to decorate.

    Args:
        values: the keys of the mark.

    Attributes:
        mark: the mark; pytest takes an object with this attribute wherever it takes a mark.
        name: its name, which pytest.param looks at when marks are in a list.
    """

    def __init__(self, **values: Any) -> None:
        self.mark: pytest.Mark = getattr(pytest.mark, MARK)(**values).mark
        self.name = MARK

    # pytest.param(marks=...) takes a mark of its own class, or a collection of marks.
    def __iter__(self) -> Iterator[pytest.Mark]:
        return iter((self.mark,))

    def __len__(self) -> int:
        return 1

    def __contains__(self, mark: object) -> bool:
        return mark == self.mark

    def decorate(self, marked: Marked) -> Marked:
        """Mark a test function or class, and return it."""
        decorated: Marked = getattr(pytest.mark, MARK)(**self.mark.kwargs)(marked)
        return decorated
