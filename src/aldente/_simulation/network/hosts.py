"""`Hosts`: what runs on each host of a run, and how a host crashes."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextvars import Context
from typing import Any, Protocol

from aldente import _asyncio_compat
from aldente._asyncio_compat.stepping import GeneratorsInOrder
from aldente._asyncio_compat.stopping import fail_call_of_thread, stop, stop_task
from aldente._simulation.network.addresses import Addresses
from aldente._simulation.network.kernel import TEST, Kernel
from aldente._simulation.network.names import LIFE, host_in
from aldente._simulation.network.sockets import endpoints_behind
from aldente.errors import HostCrashed, InvalidSetting

AnyTask = asyncio.Task[Any]
AnyGenerator = AsyncGenerator[Any, Any]


class HostingLoop(Protocol):
    """What hosts need of the loop."""

    task_listeners: list[Callable[[AnyTask, Context | None], object]]

    @property
    def generators(self) -> GeneratorsInOrder:
        """The async generators that have begun on it and not ended."""
        ...

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str) -> AnyTask:
        """Like asyncio's."""
        ...

    def drop_ready(self, is_dead: Callable[[Any, Context | None], bool]) -> None:
        """Forget the ready callbacks and timers that belong to what has crashed."""
        ...

    def abandon_some(self, descriptors: set[int], error: Exception) -> None:
        """Stop the transports of sockets; their streams raise an error."""
        ...

    def note_fault(self, kind: str, text: str, *, is_choice: bool) -> None:
        """Count a fault of the network or of a host, and note it for the story."""
        ...

    def note_change(self, text: str) -> None:
        """Note for the story that something of the network has changed."""
        ...

    def without_reports(self) -> contextlib.AbstractContextManager[None]:
        """While entered, errors that reach the loop's exception handler are dropped."""
        ...


class Hosts:
    """The hosts of a run, and the tasks on each.

    Args:
        loop: the loop of the run.
        kernel: the network of the run.

    Attributes:
        kernel: as the argument.
        mains: the tasks with which hosts were started, in that order.
        on_crash: called with the name of each host that is about to crash, before anything is
            stopped.
    """

    def __init__(self, loop: HostingLoop, kernel: Kernel) -> None:
        self.kernel = kernel
        self.mains: list[AnyTask] = []
        self.on_crash: list[Callable[[str], object]] = []
        self._loop = loop
        loop.task_listeners.append(self._note_task)
        loop.generators.on_begin = self._note_generator
        # In the order in which they were made.
        self._tasks: dict[str, weakref.WeakKeyDictionary[AnyTask, None]] = {
            TEST: weakref.WeakKeyDictionary()
        }
        # The hosts on which async generators began.
        self._generators: weakref.WeakKeyDictionary[AnyGenerator, str] = weakref.WeakKeyDictionary()
        self._down: set[str] = set()
        # How many tasks each host was started with, for their names.
        self._started: dict[str, int] = {}

    def add(self, name: str) -> Addresses:
        """Add a host."""
        self._tasks[name] = weakref.WeakKeyDictionary()
        return self.kernel.add_host(name)

    def _note_task(self, task: AnyTask, context: Context | None) -> None:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is not None:
            self._tasks[life.host][task] = None

    def _note_generator(self, generator: AnyGenerator) -> None:
        life = LIFE.get()
        if life is not None:
            self._generators[generator] = life.host

    def tasks(self) -> list[AnyTask]:
        """The tasks on all hosts that are not done."""
        everywhere = (task for tasks in self._tasks.values() for task in list(tasks))
        return [task for task in everywhere if not task.done()]

    def host_of(self, task: AnyTask) -> str | None:
        """The host on which a task was started; None where none was entered: that of the test."""
        return next((host for host, tasks in self._tasks.items() if task in tasks), None)

    def is_up(self, host: str) -> bool:
        """Whether a host runs, or could."""
        return host not in self._down

    def check_may_crash(self, host: str) -> None:
        """Refuse to crash the host of the test.

        Raises:
            InvalidSetting: it is that.
        """
        if host == TEST:
            raise InvalidSetting(
                "host",
                host,
                "The test itself runs on this host. Make another host, and crash that.",
            )

    def check_is_up(self, host: str) -> None:
        """Refuse to run something on a host that has crashed.

        Raises:
            InvalidSetting: it has crashed.
        """
        if host in self._down:
            raise InvalidSetting("host", host, "It has crashed: restart it first.")

    @contextlib.contextmanager
    def on(self, host: str) -> Iterator[None]:
        """While entered, what code starts runs on a host."""
        before = LIFE.get()
        LIFE.set(self.kernel.life_on(host))
        try:
            yield
        finally:
            LIFE.set(before)

    def run(self, host: str, coroutine: Coroutine[Any, Any, Any], name: str | None) -> AnyTask:
        """Start a task on a host."""
        try:
            self.check_is_up(host)
        except InvalidSetting:
            coroutine.close()
            raise
        if name is None:
            count = self._started[host] = self._started.get(host, 0) + 1
            name = host if count == 1 else f"{host}-{count}"
        with self.on(host):
            task = self._loop.create_task(coroutine, name=name)
        self.mains.append(task)
        return task

    # Crashes.

    def crash(self, host: str, *, is_silent: bool, is_choice: bool) -> None:
        """Stop everything that runs on a host, at once.

        Raises:
            InvalidSetting: the running code runs on it.
        """
        tasks = [task for task in list(self._tasks[host]) if not task.done()]
        if asyncio.current_task() in tasks:
            allowed = (
                "A task on the host can't crash it: no code would be left to go on. Let the test "
                "or another host do it, or the explorer, by may_crash()."
            )
            raise InvalidSetting("host", host, allowed)
        how = "crashes, and its peers are not notified" if is_silent else "crashes"
        self._loop.note_fault("crash", f"the host {host!r} {how}", is_choice=is_choice)
        for listener in list(self.on_crash):
            listener(host)
        self._switch_off(host, tasks, is_silent=is_silent)

    def end(self) -> None:
        """Switch all hosts off: the program is over."""
        for host in self._tasks:
            if host != TEST:
                self._switch_off(host, [], is_silent=True)

    def _switch_off(self, host: str, tasks: list[AnyTask], *, is_silent: bool) -> None:
        self._down.add(host)
        self.kernel.crashes[host] = self.kernel.crashes.get(host, 0) + 1
        with warnings.catch_warnings(), self._loop.without_reports():
            # What is freed with the tasks was not closed, which is what a crash means.
            warnings.simplefilter("ignore")
            self._crash_sockets(self.kernel.hosts[host], is_silent=is_silent)
            self._stop(host, tasks)

    def _stop(self, host: str, tasks: list[AnyTask]) -> None:
        dead = set(tasks)

        def is_dead(callback: Any, context: Context | None) -> bool:
            task = _asyncio_compat.task_of_step(callback)
            if task is not None:
                return task in dead
            if host_in(context) != host:
                return False
            fail_call_of_thread(callback, HostCrashed(host))
            return True

        # Kept until they are stopped, as the loop would end them when the tasks let go of them.
        of_host = self._generators
        generators = [each for each in self._loop.generators if of_host.get(each) == host]
        self._loop.drop_ready(is_dead)
        for task in tasks:
            stop_task(task, HostCrashed(host), lambda context: host_in(context) == host)
        for generator in generators:
            stop(generator)

    def _crash_sockets(self, addresses: Addresses, *, is_silent: bool) -> None:
        addresses.is_silent = is_silent
        kernel = self.kernel
        for link in kernel.links:
            link.forget_queue(addresses.host)
        endpoints = kernel.endpoints_at(addresses)
        for endpoint in endpoints:
            if not endpoint.is_closed:
                endpoint.crash()
        descriptors = {number for endpoint in endpoints for number in endpoint.descriptors}
        self._loop.abandon_some(descriptors, HostCrashed(addresses.host))
        for descriptor in sorted(descriptors):
            for is_writer in (False, True):
                kernel.watch(descriptor, None, is_writer=is_writer)
            owner = endpoints_behind[descriptor][1] if descriptor in endpoints_behind else None
            made = None if owner is None else owner()
            if made is not None:
                made.close()

    def revive(self, host: str) -> None:
        """Bring a crashed host back; its earlier sockets answer with resets."""
        self._down.discard(host)
        addresses = self.kernel.hosts[host]
        if addresses.is_silent:
            addresses.is_silent = False
            self.kernel.go_on()
