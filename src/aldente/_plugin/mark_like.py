"""`MarkLike`: something of aldente's own that pytest takes for a mark."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

# The one mark of aldente, whose keys its functions set.
MARK = "aldente"

Marked = TypeVar("Marked")


class MarkLike(pytest.MarkDecorator):
    """A mark with some keys, for wherever pytest takes one, which is called in its own way.

    Args:
        values: the keys of the mark.

    Attributes:
        mark: the mark.
    """

    def __init__(self, **values: Any) -> None:
        # Not the base's, whose call is for pytest alone.
        self.mark = getattr(pytest.mark, MARK)(**values).mark

    def decorate(self, marked: Marked) -> Marked:
        """Mark a test function or class, and return it."""
        decorated: Marked = getattr(pytest.mark, MARK)(**self.mark.kwargs)(marked)
        return decorated
