"""The rule ``blocking-call``: a call that stops the event loop while it waits.

``detect``
    Sees calls: by Python's audit events, and by replacing functions that have none and those that
    the user names.
``caller``
    Finds the code that made a call.
``report``
    Words the finding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from aldente._records import Finding, Rule
from aldente._rules.blocking_call import detect, report
from aldente._rules.blocking_call.report import FindingReceiver, watchers
from aldente._settings import BLOCKING_GROUPS
from aldente.errors import InvalidSetting

if TYPE_CHECKING:
    from aldente._rules.observation import Observation

RULE = Rule(
    name=report.RULE_NAME,
    catches="a call that blocks the event loop: time.sleep, a blocking socket, a subprocess wait",
    why=(
        "While a call blocks, no other task, callback or time-out of the event loop runs. "
        "A test with one task does not notice; in production every other request waits."
    ),
    explanation="""\
Reported are calls on the thread of a running event loop: `time.sleep()`; `connect`, `recv`,
`send`, `accept` and similar methods of sockets whose timeout is not 0, and so libraries that use
them (`requests`, `urllib`, `http.client`); DNS look-ups (`socket.getaddrinfo`, `gethostbyname`);
waiting for a subprocess (`subprocess.run`, `Popen.wait`, `Popen.communicate`, `os.system`,
`os.waitpid`); `input()`; `sqlite3.connect()`; `fcntl.flock()` and `lockf()` that wait; threading
primitives that wait (`Condition`, `Event`, `Semaphore`, `Barrier`, `queue.Queue`,
`concurrent.futures.Future`, joining a living thread); `select.select()` and `select.poll()` with a
time-out. The call goes on as it would without the rule.

Off unless the group `files` is named in the setting `aldente_blocking_groups`: opening files, and
`os.read()` and `os.write()` of them. Your own blocking functions can be added by their dotted
names, in the setting `aldente_blocking_calls`.

Not reported: calls in other threads (`asyncio.to_thread`, executors); sockets that don't block;
calls that asyncio, pytest, coverage or logging make themselves; calls during an import or at the
prompt of a debugger; waits that end at once, such as for an event that is set.

Not seen, because Python offers no way to watch it: `Lock.acquire()`, `RLock.acquire()` and
`queue.SimpleQueue.get()`; statements on a database connection that is open already; reading and
writing file objects that were opened before; waiting on the selector that event loops use
themselves (epoll, kqueue); calls made inside extension modules; leaving the `with` block of an
executor whose workers are still busy. Before Python 3.13 `time.sleep` is seen only if it is called
by a name in a module, not by one that a class or an object keeps.

Fix: await the async counterpart (`asyncio.sleep`, `asyncio.create_subprocess_exec`,
`asyncio.Event`, `asyncio.Queue`, an async client or driver), or run the call in a thread: `await
asyncio.to_thread(function, ...)`.""",
    is_seen_at_once=True,
    is_measured=True,
)


@contextlib.contextmanager
def watch(
    report: Callable[[Finding], None],
    *,
    groups: Collection[str] = (),
    functions: Sequence[str] = (),
) -> Iterator[None]:
    """Report blocking calls on the threads of running event loops.

    It is meant to be entered once for a run of tests. When watches are nested, the innermost one
    gets the reports.

    Args:
        report: called with each finding, before the call blocks.
        groups: groups of calls to report as well; see `BLOCKING_GROUPS`.
        functions: dotted names of further functions that block.

    Raises:
        InvalidSetting: there is no such group or function.
    """
    for group in groups:
        if group not in BLOCKING_GROUPS:
            valid = f"Valid groups: {', '.join(BLOCKING_GROUPS)}."
            raise InvalidSetting("aldente_blocking_groups", group, valid)
    detect.install_hook()
    with contextlib.ExitStack() as undoing:
        detect.install(undoing, files="files" in groups)
        for function in functions:
            detect.install_configured(undoing, function)
        watcher = FindingReceiver(report, groups)
        watchers.append(watcher)
        undoing.callback(watchers.remove, watcher)
        yield


def install(observation: Observation) -> None:
    """Report blocking calls in all tests."""
    settings = observation.settings
    watching = watch(
        observation.report,
        groups=settings.blocking_groups,
        functions=settings.blocking_functions,
    )
    observation.enter(watching)
