"""What the database client needs of a database system."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

Row: TypeAlias = dict[str, object]


class Driver(Protocol):
    """One connection to one database, used by one caller at a time, for reading only."""

    async def open(self) -> None:
        """Connect; leave nothing open when that fails or is cancelled."""
        ...

    async def fetch(self, statement: str, parameters: Sequence[object]) -> list[Row]:
        """Return the rows of a statement; when cancelled, stop the statement as well."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...
