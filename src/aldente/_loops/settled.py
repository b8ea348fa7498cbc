"""`SettlingLoop`: the part of a loop of virtual time that tells when it is durably blocked."""

from __future__ import annotations

import asyncio


class SettlingLoop:
    """The part of a loop on which somebody may wait until every other task is durably blocked.

    From when somebody waits until that task has gone on, time stands still. The loop sets
    ``_settling`` to an empty list, looks at `is_awaited_to_settle` before it lets time pass, and
    calls `tell_settled` instead.
    """

    _settling: list[asyncio.Future[None]]

    async def settled(self) -> None:
        """Wait until the loop is durably blocked."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begin_settling(future)
        try:
            await future
        finally:
            self.end_settling(future)

    def begin_settling(self, future: asyncio.Future[None]) -> None:
        """Have a future set when the loop is durably blocked; time stands still from now on."""
        self._settling.append(future)

    def end_settling(self, future: asyncio.Future[None]) -> None:
        """Whoever waited for the future has gone on: let time pass again."""
        if future in self._settling:
            self._settling.remove(future)

    @property
    def is_awaited_to_settle(self) -> bool:
        """Whether somebody waits for the loop to be durably blocked."""
        return any(not future.done() for future in self._settling)

    def tell_settled(self) -> None:
        """Wake those who wait for the loop to be durably blocked."""
        for future in self._settling:
            if not future.done():
                future.set_result(None)
