"""Whether schedules can be chosen on a Python on which that was never checked.

Steps of tasks are recognised by what asyncio gives to its loop, which no Python promises. Where
they are not recognised, every run has the order of stock asyncio, and all bugs that a schedule
decides would be passed over. So on a Python that is newer than the newest checked, a program with a
known answer is run first.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence

from aldente import _checked_pythons
from aldente._explore.simulate import Rules, simulate
from aldente.errors import UnsupportedPython


def check_python() -> None:
    """Make sure that schedules can be chosen on the running Python.

    Raises:
        UnsupportedPython: they can't.
    """
    if not _checked_pythons.is_checked():
        _check(_checked_pythons.running)


@functools.cache
def _check(version: tuple[int, int]) -> None:
    try:
        run = simulate(_woken_together, _Newest(), Rules())
    except Exception as error:
        raise UnsupportedPython(version, f"a run could not begin: {error!r}") from error
    if run.error is not None:
        raise UnsupportedPython(version, f"a run ended with {run.error!r}") from run.error
    if run.result != ["c", "b", "a", "main"]:
        order = ", ".join(map(str, run.result))
        raise UnsupportedPython(version, f"tasks that were to go on last first did so as {order}")


async def _woken_together() -> list[str]:
    """The order in which tasks go on that are ready at once, woken or by themselves."""
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
    """Lets the task go on that has become ready last, but the main task after all others."""

    def start(self) -> bool:
        """There may be a run."""
        return True

    def choose(self, count: int, options: Sequence[object]) -> int:
        """The newest, of those that are not the main task."""
        main = [getattr(option, "who", "") == "Task-1" for option in options]
        return max(index for index in range(count) if not main[index] or count == 1)

    def end(self) -> None:
        """Do nothing."""
