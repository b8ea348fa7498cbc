"""Faults of a network that the explorer may choose: broken connections, partitions, crashes.

Each is a choice at each moment at which it would make a difference: a connection may break
whenever something is sent through it, a partition may begin whenever something is sent from host to
host, and a host may crash whenever a task on it waits.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from aldente import _asyncio_compat
from aldente._simulation.choices import Fault, OptionKind, Values
from aldente._simulation.network.endpoints import StreamEndpoint
from aldente._simulation.network.hosts import HostingLoop, Hosts
from aldente._simulation.network.kernel import Endpoint, Kernel
from aldente._simulation.network.links import Link
from aldente._simulation.network.pipes import Wire

RESET, PARTITION, CRASH = "reset", "partition", "crash"


class FaultyLoop(HostingLoop, Wire, Protocol):
    """What faults need of the loop."""

    faults: dict[str, int]

    def add_intruder(self, callback: Any) -> None:
        """Add a callback that runs now or at any later time."""
        ...

    def remove_intruder(self, callback: Any) -> None:
        """Undo `add_intruder`."""
        ...

    def intruder_came(self) -> None:
        """Count one intruder less: it runs now."""
        ...

    def add_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Call a function after each step."""
        ...

    def remove_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Undo `add_after_hook`."""
        ...


class MayHappen:
    """A fault that the explorer may let happen, until it has happened often enough or is forbidden.

    As a context manager it forbids the fault at the end of the block.

    Args:
        faults: the faults of the run.
        times: how often it may happen.
    """

    kind = RESET

    def __init__(self, faults: Faults, times: int) -> None:
        self._faults = faults
        self._left = times
        faults.loop.faults.setdefault(self.kind, 0)
        faults.allowed[self] = None

    def end(self) -> None:
        """Forbid it from now on."""
        self._left = 0
        self._faults.allowed.pop(self, None)
        self._on_end()

    def _on_end(self) -> None:
        """Do what the end means for the kind of fault."""
        raise NotImplementedError

    def _happens(self) -> bool:
        """Let the strategy choose whether it happens at this moment."""
        if not self._left or not self._faults.loop.pick(Fault(self.kind)):
            return False
        self._left -= 1
        return True

    def _end_if_over(self) -> None:
        if not self._left:
            self.end()

    def __enter__(self) -> MayHappen:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


class MayBreak(MayHappen):
    """Connections that the explorer may reset.

    Args:
        faults, times: as for `MayHappen`.
        is_meant: whether the connection of a client's socket may break.
    """

    kind = RESET

    def __init__(self, faults: Faults, times: int, is_meant: Callable[[Endpoint], bool]) -> None:
        super().__init__(faults, times)
        self._is_meant = is_meant
        for client in list(faults.kernel.connections):
            self._note(client)
        faults.kernel.on_connection.append(self._note)

    def _note(self, client: Endpoint) -> None:
        if client.family == socket.AF_UNIX or not isinstance(client, StreamEndpoint):
            return
        if self._is_meant(client):
            for end in client.ends:
                end.let_break(_Breaking(self, end))

    def breaks(self) -> bool:
        """Let the strategy choose whether a connection breaks now."""
        return self._happens()

    def break_connection(self, end: StreamEndpoint) -> None:
        """Break a connection, as the strategy has chosen."""
        break_connection(self._faults.loop, end, is_choice=True)
        self._end_if_over()

    def picks_after(self) -> bool:
        """Let the strategy choose whether what is sent now still arrives."""
        return bool(self._faults.loop.pick(Values(2, f"when a {RESET} comes")))

    def _on_end(self) -> None:
        kernel = self._faults.kernel
        if self._note in kernel.on_connection:
            kernel.on_connection.remove(self._note)
        for client in list(kernel.connections):
            if isinstance(client, StreamEndpoint):
                for end in client.ends:
                    end.forbid_break(self)


class _Breaking:
    """Lets the explorer break a connection when one of its ends sends."""

    def __init__(self, allowed: MayBreak, end: StreamEndpoint) -> None:
        self.allowed = allowed
        self._end = end
        self._is_chosen = False

    def before_sending(self) -> bool:
        """Like `pipes.Breaking`'s."""
        if not self.allowed.breaks():
            return False
        self._is_chosen = self.allowed.picks_after()
        if not self._is_chosen:
            self.allowed.break_connection(self._end)
        return not self._is_chosen

    def after_sending(self) -> None:
        """Like `pipes.Breaking`'s."""
        if self._is_chosen:
            self._is_chosen = False
            self.allowed.break_connection(self._end)


class MayPartition(MayHappen):
    """Links that the explorer may cut.

    Args:
        faults, times: as for `MayHappen`.
        links: the links that are cut together.
        seconds: how long they stay so; None until the program heals them.
    """

    kind = PARTITION

    def __init__(
        self, faults: Faults, times: int, links: list[Link], seconds: float | None
    ) -> None:
        super().__init__(faults, times)
        self._links = links
        self._seconds = seconds
        for link in links:
            link.before_sending.append(self._choose)

    def _choose(self) -> None:
        if any(link.is_cut for link in self._links) or not self._happens():
            return
        cut(self._faults.loop, self._links, is_choice=True)
        if self._seconds is not None:
            come = partial(self._heal, [link.cuts for link in self._links])
            self._faults.loop.come_after(self._seconds, come, None)
        self._end_if_over()

    def _heal(self, cuts: list[int]) -> None:
        """Heal the links that were not healed, and maybe cut again, by the program since."""
        both = zip(self._links, cuts, strict=True)
        heal(self._faults.loop, [link for link, cut in both if link.is_cut and link.cuts == cut])

    def _on_end(self) -> None:
        for link in self._links:
            if self._choose in link.before_sending:
                link.before_sending.remove(self._choose)


class MayCrash(MayHappen):
    """A host that the explorer may crash.

    Args:
        faults, times: as for `MayHappen`.
        host: the name of the host.
        restart: starts it again; None to leave it down.
        seconds: how long it stays down.
    """

    kind = CRASH

    def __init__(
        self,
        faults: Faults,
        times: int,
        host: str,
        restart: Callable[[], object] | None,
        seconds: float,
    ) -> None:
        super().__init__(faults, times)
        self._crash = _Crash(self, host)
        self._host = host
        self._restart = restart
        self._seconds = seconds
        self._is_due = False
        faults.loop.add_after_hook(self._after_step)

    def _after_step(self, callback: Any) -> None:
        faults = self._faults
        if self._is_due or not faults.hosts.is_up(self._host):
            return
        task = _asyncio_compat.task_of_step(callback)
        if task is not None and faults.hosts.host_of(task) == self._host and self._happens():
            self._is_due = True
            faults.loop.add_intruder(self._crash.go)

    def go(self) -> None:
        """Crash the host, unless it is down: the schedule chose this."""
        loop, hosts = self._faults.loop, self._faults.hosts
        loop.intruder_came()
        if not self._is_due:
            return
        self._is_due = False
        if hosts.is_up(self._host):
            crash(loop, hosts, self._host, is_silent=None, is_choice=True)
            if self._restart is not None:
                loop.come_after(self._seconds, self._restart, None)
        self._end_if_over()

    def _on_end(self) -> None:
        loop = self._faults.loop
        loop.remove_after_hook(self._after_step)
        if self._is_due:
            self._is_due = False
            loop.remove_intruder(self._crash.go)


class _Crash:
    """A crash as an option of a choice.

    Attributes:
        kind: what it is.
        who: its name for strategies and reports.
    """

    kind = OptionKind.CRASH

    def __init__(self, allowed: MayCrash, host: str) -> None:
        self.who = f"the explorer, which crashes the host {host!r}"
        self._allowed = allowed

    def go(self) -> None:
        """Crash the host."""
        self._allowed.go()


class Faults:
    """The faults that may happen in a run.

    Args:
        loop: the loop of the run.
        kernel: the network of the run.
        hosts: the hosts of the run.

    Attributes:
        loop, kernel, hosts: as the arguments.
        allowed: those that may happen still, in the order in which they were allowed.
    """

    def __init__(self, loop: FaultyLoop, kernel: Kernel, hosts: Hosts) -> None:
        self.loop, self.kernel, self.hosts = loop, kernel, hosts
        self.allowed: dict[MayHappen, None] = {}

    def end(self) -> None:
        """Forbid all: the program is over."""
        for allowed in list(self.allowed):
            allowed.end()


def break_connection(loop: FaultyLoop, end: StreamEndpoint, *, is_choice: bool) -> None:
    """Reset a connection from between its ends."""
    if end.is_over:
        return
    ends = " and ".join(map(end.network.named, (end.local, end.remote)))
    loop.note_fault(RESET, f"the connection between {ends} is reset", is_choice=is_choice)
    end.break_connection()


def cut(loop: FaultyLoop, links: list[Link], *, is_choice: bool) -> None:
    """Cut links; a partition."""
    between = ", ".join(map(str, links))
    loop.note_fault(PARTITION, f"nothing passes between {between}", is_choice=is_choice)
    for link in links:
        link.cut()


def heal(loop: FaultyLoop, links: list[Link]) -> None:
    """Let data pass again."""
    if links:
        loop.note_change(f"data passes again between {', '.join(map(str, links))}")
    for link in links:
        link.heal()


def crash(
    loop: FaultyLoop, hosts: Hosts, host: str, *, is_silent: bool | None, is_choice: bool
) -> None:
    """Crash a host.

    Args:
        loop: the loop of the run.
        hosts: the hosts of the run.
        host: the name of the host.
        is_silent: whether its peers are not notified of it; None lets the strategy choose.
        is_choice: whether the explorer has chosen the crash.
    """
    if is_silent is None:
        is_silent = bool(loop.pick(Values(2, f"how {host} crashes")))
    hosts.crash(host, is_silent=is_silent, is_choice=is_choice)
