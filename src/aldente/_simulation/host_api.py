"""`Host`: a host of the simulated network, as programs see it."""

from __future__ import annotations

import asyncio
import inspect
import math
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aldente._simulation.loop import SimulatedLoop
from aldente._simulation.network import faults
from aldente._simulation.network.disk import Disk
from aldente._simulation.network.faults import MayCrash, MayHappen
from aldente._simulation.network.names import LIFE
from aldente._validation import parse_count, parse_duration, parse_flag
from aldente.errors import InvalidSetting

T = TypeVar("T")

Main = Callable[[], Coroutine[Any, Any, Any]]

_MAIN = "It must be a coroutine function without arguments, because each start calls it again."


class Host:
    """A host of the simulated network: it has a name, an address, a clock, a disk, and its tasks.

    What code starts inside ``with host:``, or in a coroutine that `run` runs, is on the host: its
    sockets have the host's address, and it ends when the host crashes. Names resolve to it.

    Attributes:
        name: its name.
    """

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self._loop = loop
        self.name = name

    @property
    def address(self) -> str:
        """Its address, one of those that documents use (RFC 5737)."""
        return self._loop.network.hosts[self.name].own[socket.AF_INET]

    @property
    def is_up(self) -> bool:
        """Whether it has not crashed, or was started again."""
        return self._loop.hosts.is_up(self.name)

    @property
    def disk(self) -> Disk:
        """Its files, which are there again after a crash, except what was not synced."""
        return self._loop.disk_of(self.name)

    @property
    def clock_skew(self) -> float:
        """How far ahead its wall clock is, in seconds; it may be set, with ``wall=True``.

        Raises:
            InvalidSetting: it is set to no number of seconds, or the wall clock is the real one.
        """
        return self._loop.skews.get(self.name, 0.0)

    @clock_skew.setter
    def clock_skew(self, seconds: float) -> None:
        if not _is_finite(seconds):
            raise InvalidSetting("clock_skew", seconds, "It must be a number of seconds.")
        self._loop.skew(self.name, float(seconds))

    def __enter__(self) -> Host:
        """Run on the host what the block starts.

        Raises:
            InvalidSetting: it has crashed.
        """
        self._loop.hosts.check_is_up(self.name)
        LIFE.set(self._loop.network.life_on(self.name))
        return self

    def __exit__(self, *exception: object) -> None:
        life = LIFE.get()
        LIFE.set(None if life is None else life.outer)

    def run(self, coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Start a task on the host; it is cancelled when the test function has ended.

        Args:
            coroutine: what it runs.
            name: the name of the task; by default that of the host.

        Raises:
            InvalidSetting: the host has crashed, or the argument is not a coroutine.
        """
        if not inspect.iscoroutine(coroutine):
            raise InvalidSetting(
                "coroutine", coroutine, "Call the coroutine function: run(main())."
            )
        return self._loop.hosts.run(self.name, coroutine, name)

    def crash(self, *, silent: bool | None = None) -> None:
        """Stop everything on the host at once: none of its ``finally`` or ``except`` blocks runs.

        What was not synced to its `disk` may be lost. Its peers see that their connections are
        reset, if no partition is between them; or, if the crash is silent, they see nothing until
        the host is up again and they send something.

        Args:
            silent: whether its peers are not notified; None lets the schedule choose.

        Raises:
            InvalidSetting: the running code runs on the host, it is that of the test, or it has
                crashed already.
        """
        self._loop.hosts.check_may_crash(self.name)
        if silent is not None:
            parse_flag("silent", silent)
        if not self.is_up:
            raise InvalidSetting("host", self.name, "It has crashed already.")
        hosts = self._loop.hosts
        faults.crash(self._loop, hosts, self.name, is_silent=silent, is_choice=False)

    def restart(self, main: Main) -> asyncio.Task[Any]:
        """Start the host again after a crash.

        Args:
            main: the coroutine function that it runs from now on, without arguments.

        Returns:
            The task that runs it.

        Raises:
            InvalidSetting: the host has not crashed, or ``main`` is not a coroutine function.
        """
        self._check_main(main)
        if self.is_up:
            raise InvalidSetting("host", self.name, "Only a host that has crashed can restart.")
        coroutine = main()
        if not inspect.iscoroutine(coroutine):
            raise InvalidSetting("main", main, _MAIN)
        self._loop.hosts.revive(self.name)
        self._loop.note_change(f"the host {self.name!r} starts again")
        return self.run(coroutine)

    def _restart_if_down(self, main: Main) -> None:
        # The program may have restarted it in the meantime.
        if not self.is_up:
            self.restart(main)

    def may_crash(
        self, *, restart: Main | None = None, after: float = 1.0, times: int = 1
    ) -> MayHappen:
        """Let the explorer crash the host, whenever a task on it waits.

        Args:
            restart: the coroutine function with which it starts again; None to leave it down.
            after: after how long it does so, in seconds of loop time.
            times: how often it may crash.

        Returns:
            A context manager; at the end of its block, and of the test, the explorer no longer
            crashes the host.

        Raises:
            InvalidSetting: it is the host of the test, or an argument has a value that is not
                allowed.
        """
        self._loop.hosts.check_may_crash(self.name)
        if restart is not None:
            self._check_main(restart)
        seconds = parse_duration("after", after)
        count = parse_count("times", times)
        begin = None if restart is None else lambda: self._restart_if_down(restart)
        return MayCrash(self._loop.fault_rules, count, self.name, begin, seconds)

    def _check_main(self, main: object) -> None:
        if not callable(main):
            if inspect.iscoroutine(main):
                main.close()
            raise InvalidSetting("main", main, _MAIN)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and (self._loop, self.name) == (other._loop, other.name)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<host {self.name!r}{'' if self.is_up else ', crashed'}>"


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
