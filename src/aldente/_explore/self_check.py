"""Checks that schedules work on a Python newer than those tested.

aldente recognises steps of tasks by the callbacks that asyncio passes to its loop, which is no
public API. Where it does not recognise them, every run has the order of stock asyncio, and a search
would miss all bugs that depend on the schedule. So on a Python newer than the newest tested, it
runs a program with a known answer first.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

from aldente import _checked_pythons
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente.errors import UnsupportedPython


def check_python() -> None:
    """Check that schedules work on the running Python.

    Raises:
        UnsupportedPython: they don't.
    """
    if not _checked_pythons.is_checked():
        _check(_checked_pythons.running)


@functools.cache
def _check(version: tuple[int, int]) -> None:
    try:
        run = simulate(_woken_together, _Newest(), RunSettings())
    except Exception as error:
        raise UnsupportedPython(version, f"a run could not begin: {error!r}") from error
    if run.error is not None:
        raise UnsupportedPython(version, f"a run ended with {run.error!r}") from run.error
    if run.result != ["c", "b", "a", "main"]:
        order = ", ".join(map(str, run.result))
        raise UnsupportedPython(version, f"tasks that were to go on last first did so as {order}")


async def _woken_together() -> list[str]:
    """The order in which tasks go on that are ready at once, woken or after a yield."""
    loop = asyncio.get_running_loop()
    order: list[str] = []
    gates = [loop.create_future() for _ in range(2)]

    async def wait(name: str, gate: asyncio.Future[None] | None) -> None:
        if gate is None:
            await asyncio.sleep(0)
        else:
            await gate
        order.append(name)

    tasks = [
        loop.create_task(wait(name, gate)) for name, gate in zip("abc", [*gates, None], strict=True)
    ]
    await asyncio.sleep(0)
    for gate in gates:
        gate.set_result(None)
    await asyncio.sleep(0)
    order.append("main")
    await asyncio.wait(tasks)
    return order


class _Newest:
    """Chooses the task that became ready last, and the main task after all others."""

    def start(self) -> bool:
        """True."""
        return True

    def choose(self, count: int, options: Sequence[object]) -> int:
        """The newest option that is not the main task."""
        main = [getattr(option, "who", "") == "Task-1" for option in options]
        return max(index for index in range(count) if not main[index] or count == 1)

    def end(self) -> None:
        """Do nothing."""
