"""Plain facts that the layers hand to one another."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


class LoopScope(enum.Enum):
    """How long an event loop lives; the members are ordered from narrow to wide.

    The names are pytest's names of fixture scopes, and mean the same nodes.

    >>> LoopScope.FUNCTION < LoopScope.SESSION
    True
    """

    FUNCTION = "function"
    CLASS = "class"
    MODULE = "module"
    PACKAGE = "package"
    SESSION = "session"

    @property
    def width(self) -> int:
        """The place in the order from narrow (0) to wide (4)."""
        return _WIDTHS[self]

    def __lt__(self, other: LoopScope) -> bool:
        return self.width < other.width


_WIDTHS = {scope: width for width, scope in enumerate(LoopScope)}


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A place in the user's code: a file and a line number counted from 1."""

    path: str
    line: int

    @classmethod
    def relative_to(cls, path: str, line: int, folder: Path) -> SourcePlace:
        """A place whose path is given from a folder when it lies within it, else in full."""
        full = Path(path)
        return cls(str(full.relative_to(folder) if full.is_relative_to(folder) else full), line)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"
