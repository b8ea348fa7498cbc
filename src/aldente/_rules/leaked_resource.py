"""The rule ``leaked-resource``: connections, servers and subprocesses that outlive their loop."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aldente import _asyncio_compat
from aldente._own_errors import containing
from aldente._records import Finding, Rule, SourcePlace
from aldente._rules import background_error, open_resources, resource_origins
from aldente._rules.late_warnings import LateWarnings
from aldente._rules.resource_origins import Making
from aldente._source import is_users

if TYPE_CHECKING:
    from aldente._rules.observation import Observation
    from aldente._runner.running import LoopRun

RULE = Rule(
    name="leaked-resource",
    catches="a connection, server, pipe or subprocess that is still open when its loop ends",
    why=(
        "It keeps its descriptor, port or process after the test; its peer goes on waiting, and "
        "Python warns of it later, during an unrelated test."
    ),
    explanation="""\
When an event loop ends, the resources that are open on it leak: sockets until the garbage collector
finds them, subprocesses until they exit.

Reported are the transports and listening servers of asyncio that are still open when their loop
ends; the writers of streams that are dropped without being closed, which asyncio then closes;
sessions of aiohttp, connections of aiosqlite, and clients of httpx that keep a connection; and what
libraries themselves report as unclosed. Each comes with the place where it was made, and is charged
to the test that made it, even if it is found later.

Not reported: what is closing already; connections that a server has accepted, if their other end is
closed or is itself reported; a subprocess's pipes, which are part of it; resources of loops that do
not show theirs, such as uvloop's; resources on the loop of a wider fixture, until that loop ends.

Fix: close it where it was made, best by `async with`; in a fixture after the `yield`.""",
    is_left_behind=True,
)

_makings = resource_origins.makings


@contextmanager
def watch(
    current_test: Callable[[], str | None] = lambda: None,
    report: Callable[[Finding], None] = lambda finding: None,
    maker_of_loop: Callable[[object], str | None] = lambda loop: None,
    is_torn_down: Callable[[], bool] = lambda: False,
) -> Iterator[resource_origins.Watching]:
    """Record where resources are made, for `find`.

    Args:
        current_test: returns the node id of the running test.
        report: called with the finding for a stream that is dropped, on the thread that drops it.
        maker_of_loop: gives the node id of the test that made an event loop, if one did.
        is_torn_down: whether that test is over, and pytest charges what is freed to the next one.

    Yields:
        The watcher, an argument of the functions that look through its records.
    """
    late_warnings = LateWarnings(
        _makings,
        lambda: None if is_torn_down() else current_test(),
        maker_of_loop,
        report,
    )
    watching = resource_origins.Watching(
        current_test, lambda made: _report_dropped(made, report), _finding, late_warnings.finalize
    )
    with late_warnings.installed(), watching.installed():
        yield watching


class Unended:
    """The connections of a loop that were open before its tasks were cancelled.

    A server's handler closes its end when it is cancelled; that ends  the connections to it, though
    the user's code has not closed them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._findings: list[tuple[Making, Finding]] = []
        if not _makings:
            return
        opened = [made for made in made_on(loop) if open_resources.is_open(made)]
        owned = _owners(loop)
        for made in opened:
            making = _makings.of(made)
            if making is not None and open_resources.is_client(made) and id(made) not in owned:
                self._findings.append((making, _finding(made)))

    def ended(self) -> Iterator[tuple[Making, Finding]]:
        """Yield the findings for those that only their peer has closed since."""
        for making, finding in self._findings:
            if not making.is_closed_by_code and not making.is_reported:
                yield making, finding


def find(loop: asyncio.AbstractEventLoop, unended: Unended | None = None) -> list[Finding]:
    """Return the findings for what is still open on a loop that is about to end.

    Args:
        loop: the loop; not running. Its tasks have been cancelled and drained, so that they had the
            chance to close what they use.
        unended: what was open before that.
    """
    if not _makings and not _asyncio_compat.may_have_transports(loop):
        return []
    if loop.is_closed():
        return []
    return _find(loop, unended)


def left_on_closed_loops(watching: object) -> Iterator[Finding]:
    """Yield findings for recent resources that are open on loops which other code has closed.

    Args:
        watching: the watcher that recorded them.
    """
    if not _makings.recent:
        return
    for making in _makings.take_recent(watching):
        loop = making.loop() if making.loop is not None else None
        if loop is not None and loop.is_closed():
            yield from _finding_if_open(making, "when its event loop ended")


def left_in_the_end(watching: object) -> Iterator[Finding]:
    """Yield findings for what is still open after the session and was not reported.

    Resources of loops that other threads still run are left out.

    Args:
        watching: the watcher that recorded them.
    """
    for making in _makings.all():
        loop = making.loop() if making.loop is not None else None
        if making.watcher is watching and (loop is None or not loop.is_running()):
            yield from _finding_if_open(making, "when the run ended")


def handlers_of_clients(loop: asyncio.AbstractEventLoop) -> set[object]:
    """The tasks in which servers serve connections whose other end is open on the same loop.

    They wait for the other end, and end with it; so the other end is what to fix.
    """
    if not _makings:
        return set()
    opened = [made for made in made_on(loop) if open_resources.is_open(made)]
    clients = _addresses_of_clients(opened)
    return {
        _asyncio_compat.handler_task_of(made)
        for made in opened
        if open_resources.is_accepted(made) and open_resources.address(made, "sockname") in clients
    }


def is_collecting() -> bool:
    """Whether the garbage collector is running, which it may in any test."""
    return _makings.is_collecting


def from_context(context: dict[str, Any]) -> Finding | None:
    """Return the finding for an object that a library reports to a loop's handler as unclosed.

    Args:
        context: what the exception handler was called with.
    """
    message = context.get("message")
    if context.get("exception") is not None or not isinstance(message, str):
        return None
    if not message.startswith("Unclosed "):
        return None
    making = next(filter(None, map(_makings.of, context.values())), None)
    if making is not None and making.is_reported:
        return None
    for value in context.values():
        if _makings.of(value) is not None:
            _mark_reported(value)
    made = context.get("source_traceback") or ()
    users = [entry for entry in made if is_users(entry.filename)]
    place = SourcePlace(users[-1].filename, users[-1].lineno) if users else None
    return Finding(
        RULE.name,
        f"{message}{_library_in(context)}.",
        _MENDS_OF_LIBRARIES.get(message, _FIX),
        place if making is None else making.place or place,
        made_by=None if making is None else making.test,
    )


def _library_in(context: dict[str, Any]) -> str:
    """The package that the object is from, in parentheses."""
    packages = (type(value).__module__.partition(".")[0] for value in context.values())
    library = next((name for name in packages if name not in sys.stdlib_module_names), None)
    return "" if library is None else f" ({library})"


_FIX = "Close it where it was made, best by 'async with'; in a fixture after the 'yield'."
_MENDS_OF_LIBRARIES = {
    "Unclosed client session": open_resources.KINDS[0].fix,
    "Unclosed connector": open_resources.KINDS[1].fix,
    "Unclosed connection": (
        "Use 'async with session.get(...) as response:', which gives the connection back, or "
        "'response.release()'."
    ),
}


def _find(loop: asyncio.AbstractEventLoop, unended: Unended | None) -> list[Finding]:
    known = made_on(loop)
    opened = [made for made in known if open_resources.is_open(made)]
    clients = _addresses_of_clients(opened)
    owners = _owners(loop)
    findings = list(_findings_of_owners(loop, owners))
    for made in known:
        resource_origins.note_parts(made)
    for made in opened:
        if id(made) in owners or open_resources.ends_with_other_end(made, clients):
            continue
        making = _makings.of(made)
        if making is None or not making.is_reported:
            findings.append(_finding(made))
            _mark_reported(made)
    findings += _ended_by_other_end(loop, unended)
    # Others than these are not looked at, as another thread may be about to make them.
    for made in set(known).difference(opened):
        making = _makings.of(made)
        # The pipes of a subprocess are open as long as that.
        if making is not None and not open_resources.is_pipe_of_subprocess(made):
            _makings.forget(making)
    return findings


def _ended_by_other_end(
    loop: asyncio.AbstractEventLoop, unended: Unended | None
) -> Iterator[Finding]:
    """Yield the findings for connections that ended without being closed by the user's code."""
    for making, finding in unended.ended() if unended is not None else ():
        making.is_reported = True
        yield finding
    for making in _makings.all():
        if making.if_left is not None and making.loop is not None and making.loop() is loop:
            if not making.is_closed_by_code and not making.is_reported:
                making.is_reported = True
                yield making.if_left
            _makings.forget(making)


def made_on(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """The transports and servers of a loop, in the order in which they were made."""
    known = [
        made
        for made, making in _makings.alive()
        if issubclass(making.kind, (asyncio.BaseTransport, asyncio.Server))
        and open_resources.loop_of(made) is loop
    ]
    known.extend(_asyncio_compat.servers_of(loop))
    known.extend(_asyncio_compat.transports_of(loop))
    return list(dict.fromkeys(known))


def _addresses_of_clients(opened: Iterable[Any]) -> set[object]:
    peers = {
        open_resources.address(made, "peername")
        for made in opened
        if not open_resources.is_accepted(made)
    }
    return peers - {None}


def _owners(loop: asyncio.AbstractEventLoop) -> dict[int, Any]:
    """The client of a library that holds a transport, by the identity of the transport."""
    owners: dict[int, Any] = {}
    for client, _ in _makings.alive():
        kind = open_resources.kind_of(client)
        if kind is None or kind.is_closed(client):
            continue
        for held in open_resources.held_by(client):
            if (
                isinstance(held, asyncio.BaseTransport)
                and _asyncio_compat.loop_of(held) is loop
                and open_resources.is_open(held)
            ):
                # A session is recorded after the connector that it makes for itself.
                owners[id(held)] = client
    return owners


def _findings_of_owners(
    loop: asyncio.AbstractEventLoop, owners: dict[int, Any]
) -> Iterator[Finding]:
    with_connections = {id(client) for client in owners.values()}
    for client, making in _makings.alive():
        kind = open_resources.kind_of(client)
        if kind is None or making.is_reported or kind.is_closed(client):
            continue
        is_on_loop = making.loop is not None and making.loop() is loop
        if id(client) in with_connections or (kind.is_leak_by_itself and is_on_loop):
            _mark_reported(client)
            yield _finding_of_client(kind, client, making, "when its event loop ended")


def _finding_of_client(
    kind: open_resources.ClientKind, client: object, making: Making, when: str
) -> Finding:
    connections = [
        open_resources.of_addresses(held).strip()
        for held in open_resources.held_by(client)
        if isinstance(held, asyncio.BaseTransport) and open_resources.is_open(held)
    ]
    peers = " and ".join(dict.fromkeys(filter(None, connections)))
    has = f", with a connection {peers}," if peers else ""
    return Finding(
        RULE.name,
        f"The {kind.full_name}{has} was still open {when}.",
        kind.fix,
        making.place,
        made_by=making.test,
        subject=kind.full_name,
    )


def _finding_if_open(making: Making, when: str) -> Iterator[Finding]:
    """The finding for something that may be alive, on a loop that aldente does not end."""
    made = making.made()
    if made is None or making.is_reported:
        return
    kind = open_resources.kind_of(made)
    if kind is not None:
        if kind.is_leak_by_itself and not kind.is_closed(made):
            _mark_reported(made)
            yield _finding_of_client(kind, made, making, when)
    elif (
        isinstance(made, (asyncio.BaseTransport, asyncio.Server))
        and open_resources.is_open(made)
        and not open_resources.is_accepted(made)
    ):
        _mark_reported(made)
        resource_origins.note_parts(made)
        yield _finding(made, when)


def _mark_reported(made: object) -> None:
    """Mark something as reported, with what it holds."""
    is_client = open_resources.kind_of(made) is not None
    for held in open_resources.held_by(made) if is_client else (made,):
        making = _makings.of(held)
        if making is not None:
            making.is_reported = True


def _finding(made: Any, when: str = "when its event loop ended") -> Finding:
    what, fix = open_resources.describe(made)
    making = _makings.of(made)
    details: tuple[str, ...] = ()
    if open_resources.is_accepted(made):
        making = _makings.of(_asyncio_compat.acceptor_of(made)) or making
        details = ("That is where the server that accepted it was made.",)
    what = f"{what} {when}."
    if making is None or making.place is None:
        return Finding(RULE.name, what, fix, made_by=None if making is None else making.test)
    return Finding(RULE.name, what, fix, making.place, details, making.test)


def _report_dropped(made: Any, report: Callable[[Finding], None]) -> None:
    kind = open_resources.kind_of(made)
    if kind is None:
        _on_dropped(made, report)
    else:
        _on_dropped_client(kind, made, report)


def _on_dropped_client(
    kind: open_resources.ClientKind, client: object, report: Callable[[Finding], None]
) -> None:
    """Report the client of a library that is about to be freed."""
    making = _makings.of(client)
    if making is None or making.is_reported or kind.is_closed(client):
        return
    making.is_reported = True
    report(
        Finding(
            RULE.name,
            f"The {kind.full_name} was dropped while it was open: nothing refers to it any more.",
            kind.fix,
            making.place,
            made_by=making.test,
            subject=kind.full_name,
        )
    )


def _on_dropped(
    made: asyncio.StreamWriter | asyncio.Transport, report: Callable[[Finding], None]
) -> None:
    """Report a connection that is about to be closed because it has no references any more."""
    transport = made.transport if isinstance(made, asyncio.StreamWriter) else made
    of_transport = _makings.of(transport)
    making = _makings.of(made)
    if (
        making is None
        or transport.is_closing()
        or transport.get_protocol() is None
        or open_resources.is_accepted(transport)
        or _asyncio_compat.is_part_of_subprocess(transport)
        or (of_transport is not None and of_transport.is_reported)
    ):
        return
    _mark_reported(transport)
    place = making.place or (of_transport.place if of_transport is not None else None)
    report(
        Finding(
            RULE.name,
            f"A connection{open_resources.of_addresses(transport)} was dropped without a close(): "
            "nothing refers to it any more.",
            open_resources.FIX_OF_CONNECTION,
            place or _makings.place_of_dropped_client(making.test),
            made_by=making.test,
            subject="a connection",
        )
    )


def install(observation: Observation) -> None:
    """Report what is open when loops, tests and the session end."""
    observation.share(background_error.listen)
    leaks = _Leaks(observation)
    observation.message_readers.append(leaks.read_message)
    observation.at_leftovers.append(leaks.note_open)
    observation.excused_finders.append(handlers_of_clients)
    observation.at_drained.append(leaks.report_open)
    observation.session.at_tear_down.append(leaks.report_left_on_closed_loops)
    observation.session.at_session_end.append(leaks.report_left_in_the_end)


class _Leaks:
    """Reports what is left open."""

    def __init__(self, observation: Observation) -> None:
        self._report = observation.report
        self._wide_loops = observation.wide_loops
        session = observation.session
        self._watching = observation.enter(
            watch(
                observation.current_test,
                observation.report,
                observation.makers.maker_of,
                lambda: session.is_torn_down,
            )
        )
        self._unended: weakref.WeakKeyDictionary[LoopRun, Unended] = weakref.WeakKeyDictionary()

    def read_message(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> Finding | None:
        """The finding for a library's message without an exception, if it is one."""
        finding = from_context(context)
        is_of_any_test = is_collecting() and loop in self._wide_loops
        if finding is not None and finding.made_by is None and is_of_any_test:
            # The collector may run in any test.
            return finding._replace(made_by="")
        return finding

    def note_open(self, run: LoopRun) -> None:
        """Note what is open before the tasks that are left are cancelled."""
        if _asyncio_compat.may_have_transports(run.loop):
            self._unended[run] = Unended(run.loop)

    @containing("looking for open connections", None)
    def report_open(self, run: LoopRun) -> None:
        """Report the connections that are still open when no task is left to close them."""
        for finding in find(run.loop, self._unended.pop(run, None)):
            self._report(finding)

    @containing("looking for open connections of closed loops", None)
    def report_left_on_closed_loops(self) -> None:
        """Report what is open on loops that a test has closed."""
        self._watching.watch_libraries()
        for finding in left_on_closed_loops(self._watching):
            self._report(finding)

    @containing("looking for open connections at the end of the session", None)
    def report_left_in_the_end(self) -> None:
        """Report what is open and was not reported before."""
        for finding in left_in_the_end(self._watching):
            self._report(finding)
