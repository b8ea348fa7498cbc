"""The rule ``nested-loop`` reports loops inside loops at the user's line, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from asyncio import run as run_imported_before
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import aiohttp
import aiohttp.web
import anyio
import anyio.from_thread
import httpx
import pytest

from aldente import _asyncio_compat
from aldente._records import Finding, SourcePlace
from aldente._rules import nested_loop
from aldente._source import source_line

AsyncFunction = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture
def findings() -> Iterator[list[Finding]]:
    """What the rule has reported, watching."""
    found: list[Finding] = []
    with nested_loop.watch(found.append):
        yield found


def line(finding: Finding) -> str:
    """The line of source code that a finding points at."""
    assert finding.place is not None
    assert finding.place.path == __file__
    return source_line(finding.place)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


async def answer() -> int:
    return 42


def refused(call: Callable[[Any], object]) -> None:
    """Make a call with a coroutine, which asyncio refuses and nobody runs."""
    coroutine = answer()
    with pytest.raises(RuntimeError):
        call(coroutine)
    coroutine.close()


def test_run_is_reported(findings: list[Finding]) -> None:
    """``asyncio.run`` in async code is reported at the line of the call, with the fix."""

    async def main() -> None:
        refused(lambda coroutine: asyncio.run(coroutine))

    run_imported_before(main())
    finding = only(findings)
    assert line(finding) == "refused(lambda coroutine: asyncio.run(coroutine))"
    assert finding.rule == "nested-loop"
    assert finding.what == "asyncio.run() was called while an event loop is running in this thread."
    assert finding.fix == (
        "Await it instead, making the functions around it async, or start it with asyncio.create_task(). "
        "Code that insists on a loop of its own runs in a thread: 'await asyncio.to_thread(function)'."
    )


def test_run_until_complete_is_reported(findings: list[Finding]) -> None:
    """``run_until_complete`` on the running loop, and on another, is reported at each line."""

    async def main() -> None:
        refused(lambda coroutine: asyncio.get_running_loop().run_until_complete(coroutine))
        with contextlib.closing(asyncio.new_event_loop()) as other:
            refused(lambda coroutine: other.run_until_complete(coroutine))

    asyncio.run(main())
    assert [finding.what for finding in findings] == [
        "loop.run_until_complete() was called while an event loop is running in this thread.",
        "loop.run_until_complete() was called while an event loop is running in this thread.",
    ]
    assert line(findings[1]) == "refused(lambda coroutine: other.run_until_complete(coroutine))"


def test_run_forever_is_reported(findings: list[Finding]) -> None:
    """``run_forever`` is reported, and to await what one waits for is advised."""

    async def main() -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop().run_forever()

    asyncio.run(main())
    finding = only(findings)
    assert line(finding) == "asyncio.get_running_loop().run_forever()"
    assert finding.fix == (
        "Await what you are waiting for, such as an asyncio.Event: the loop is running already. A server "
        "or worker is started with asyncio.create_task()."
    )


@pytest.mark.parametrize(
    ("make", "by"),
    [
        (asyncio.new_event_loop, "asyncio.new_event_loop()"),
        (asyncio.SelectorEventLoop, "SelectorEventLoop()"),
    ],
)
def test_a_loop_made_by_hand_is_reported(
    findings: list[Finding], make: Callable[[], asyncio.AbstractEventLoop], by: str
) -> None:
    """A loop that is made in async code is reported when it has ended, however it was named."""
    settled: list[Finding] = []

    async def main() -> None:
        loop = make()
        loop.close()

    with nested_loop.watch(settled.append) as settle:
        asyncio.run(main())
        assert not settled
        settle()
        settle()
        assert len(settled) == 1
    assert len(settled) == 1
    finding = settled[0]
    assert line(finding) == "loop = make()"
    assert finding.what == (
        f"{by} made an event loop while one is running in this thread, and no other thread has run it."
    )
    assert finding.fix == (
        "Use the running loop: await the code, start it with asyncio.create_task(), or hand on "
        "asyncio.get_running_loop(). A loop for another thread is best made in that thread, by asyncio.run()."
    )


def test_a_runner_is_reported() -> None:
    """An ``asyncio.Runner`` that makes its loop in async code is reported at the line that has it do so."""
    findings: list[Finding] = []

    async def main() -> None:
        asyncio.Runner().get_loop().close()

    with nested_loop.watch(findings.append):
        asyncio.run(main())
    finding = only(findings)
    assert line(finding) == "asyncio.Runner().get_loop().close()"
    assert finding.what == (
        "asyncio.Runner made an event loop while one is running in this thread, and no other thread has run it."
    )
    assert finding.fix.startswith("Await it instead")


def test_setting_a_loop_is_reported(findings: list[Finding]) -> None:
    """``set_event_loop`` in async code is reported, unless it sets the running loop."""

    async def main() -> None:
        asyncio.set_event_loop(asyncio.get_running_loop())
        asyncio.set_event_loop(None)

    asyncio.run(main())
    finding = only(findings)
    assert line(finding) == "asyncio.set_event_loop(None)"
    assert finding.what == (
        "asyncio.set_event_loop() was called while an event loop is running in this thread."
    )
    assert finding.fix == (
        "Leave it out: in async code asyncio.get_running_loop() returns the running loop, whatever was set. For a loop "
        "of another thread, call it in that thread."
    )


def error_of(function: AsyncFunction) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        run_imported_before(function())
    return caught.value


async def run_imported() -> None:
    coroutine = answer()
    try:
        run_imported_before(coroutine)
    finally:
        coroutine.close()


async def run_runner() -> None:
    coroutine = answer()
    try:
        asyncio.Runner().run(coroutine)
    finally:
        coroutine.close()


async def run_until_complete() -> None:
    loop = asyncio.get_running_loop()
    loop.run_until_complete(loop.create_future())


async def run_forever() -> None:
    asyncio.get_running_loop().run_forever()


async def close() -> None:
    asyncio.get_running_loop().close()


async def run_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(run_imported())


@pytest.mark.parametrize(
    ("function", "what", "source"),
    [
        (
            run_imported,
            "asyncio.run() was called while an event loop is running in this thread.",
            "run_imported_before(coroutine)",
        ),
        (
            run_runner,
            "asyncio.Runner.run() was called while an event loop is running in this thread.",
            "asyncio.Runner().run(coroutine)",
        ),
        (
            run_forever,
            "loop.run_forever() was called while an event loop is running in this thread.",
            "asyncio.get_running_loop().run_forever()",
        ),
        (
            close,
            "loop.close() was called on the event loop that is running.",
            "asyncio.get_running_loop().close()",
        ),
        (
            run_in_group,
            "asyncio.run() was called while an event loop is running in this thread.",
            "run_imported_before(coroutine)",
        ),
    ],
)
def test_errors_are_explained(function: AsyncFunction, what: str, source: str) -> None:
    """An error that asyncio raises for a nested loop is explained at the user's line."""
    finding = nested_loop.explain_error(error_of(function))
    assert finding is not None
    assert finding.what == what
    assert line(finding) == source


def test_an_error_and_its_call_are_one_finding(findings: list[Finding]) -> None:
    """What is reported of a call and what explains its error are equal, so that one is enough."""
    error = error_of(run_until_complete)
    assert nested_loop.explain_error(error) == only(findings)


def test_an_error_in_a_library_names_it(tmp_path: Any) -> None:
    """When an installed package has called asyncio, its async interface is advised."""
    names: dict[str, Any] = {"__name__": "requestor.sessions"}
    library = inspect.getsourcefile(aiohttp) or ""
    source = "import asyncio\ndef get(coroutine):\n    asyncio.run(coroutine)\n"
    exec(compile(source, library, "exec"), names)

    async def main() -> None:
        coroutine = answer()
        try:
            names["get"](coroutine)
        finally:
            coroutine.close()

    found: list[Finding] = []
    with nested_loop.watch(found.append):
        finding = nested_loop.explain_error(error_of(main))
    assert not found
    assert finding is not None
    assert line(finding) == 'names["get"](coroutine)'
    assert finding.what == (
        "asyncio.run() was called while an event loop is running in this thread. It was called by requestor."
    )
    assert finding.fix == (
        "Use the async interface of requestor; or call it in a thread: 'await asyncio.to_thread(function)'."
    )


@pytest.mark.skipif("sys.platform == 'win32'")
def test_errors_of_uvloop_are_explained() -> None:
    """uvloop says the same in other words."""
    uvloop = pytest.importorskip("uvloop")
    coroutine = answer()

    async def main() -> None:
        asyncio.get_running_loop().run_until_complete(coroutine)

    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(RuntimeError) as caught,
    ):
        runner.run(main())
    coroutine.close()
    finding = nested_loop.explain_error(caught.value)
    assert finding is not None
    assert line(finding) == "asyncio.get_running_loop().run_until_complete(coroutine)"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no running event loop"),
        RuntimeError("Event loop is closed"),
        ValueError("This event loop is already running"),
        AssertionError(),
        ExceptionGroup("several", [KeyError("run")]),
    ],
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    """Only what asyncio says of nested loops is explained."""
    assert nested_loop.explain_error(error) is None


def test_closed_and_replaced_loops_have_findings() -> None:
    """A test that ends or replaces its own loop is told so in its own name."""
    place = SourcePlace("test_app.py", 7)
    finding = nested_loop.closed_loop("test_query", place)
    assert finding == Finding(
        "nested-loop",
        "test_query closed the event loop it ran on.",
        "Leave the loop to aldente, which made it and closes it after what still runs on it has ended. Code "
        "under test that closes its loop gets one of its own, in a sync test.",
        place,
    )
    finding = nested_loop.replaced_loop("test_query", None)
    assert finding.what == "test_query replaced the current event loop: there is none now."
    with contextlib.closing(asyncio.SelectorEventLoop()) as loop:
        finding = nested_loop.replaced_loop("async fixture 'client'", loop, place)
    assert finding.what.startswith(
        "async fixture 'client' replaced the current event loop: there is another one (_"
    )
    assert finding.place == place


async def read_running_loop() -> None:
    assert asyncio.get_running_loop() is asyncio.get_event_loop()
    await asyncio.to_thread(asyncio.run, answer())


async def make_loop_for_thread() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(answer(), loop)
    assert await asyncio.wrap_future(future) == 42
    loop.call_soon_threadsafe(loop.stop)
    await asyncio.to_thread(thread.join)
    loop.close()


async def make_loop_in_thread() -> None:
    def work() -> int:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(answer())
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    assert await asyncio.to_thread(work) == 42


async def use_blocking_portal() -> None:
    with anyio.from_thread.start_blocking_portal() as portal:
        future = portal.start_task_soon(answer)
        assert await asyncio.wrap_future(future) == 42


async def use_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
        assert await anyio.to_thread.run_sync(anyio.from_thread.run, answer) == 42


async def use_web() -> None:
    async def handle(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="hello")

    application = aiohttp.web.Application()
    application.router.add_get("/", handle)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = "http://{}:{}/".format(*runner.addresses[0])
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert await response.text() == "hello"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).text == "hello"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "function",
    [
        read_running_loop,
        make_loop_for_thread,
        make_loop_in_thread,
        use_blocking_portal,
        use_anyio,
        use_web,
    ],
)
def test_good_code_is_not_reported(function: Callable[[], Awaitable[None]]) -> None:
    """Reading the running loop, loops of other threads and what libraries do is no pitfall."""
    findings: list[Finding] = []
    with nested_loop.watch(findings.append):
        asyncio.run(function())  # type: ignore[arg-type]
    assert findings == []


def test_sync_code_may_run_loops(findings: list[Finding]) -> None:
    """Where no loop is running, everything may be done with loops."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    assert loop.run_until_complete(answer()) == 42
    loop.close()
    asyncio.set_event_loop(None)
    with asyncio.Runner() as runner:
        assert runner.run(answer()) == 42
    assert findings == []


def test_patches_are_undone() -> None:
    """Watching leaves every name as it was, and asyncio's own events module alone meanwhile."""
    loops: Any = asyncio.BaseEventLoop

    def watched() -> list[object]:
        return [
            asyncio.run,
            asyncio.set_event_loop,
            asyncio.new_event_loop,
            dict(vars(loops)),
            dict(vars(asyncio.Runner)),
        ]

    def untouched() -> list[object]:
        return [asyncio.events.new_event_loop, asyncio.events.set_event_loop, asyncio.runners.run]

    before, never = watched(), untouched()
    with nested_loop.watch(lambda finding: None):
        assert watched() != before
        assert untouched() == never
        assert _asyncio_compat.is_policy_untouched()
        with nested_loop.watch(lambda finding: None):
            pass
    assert watched() == before


def test_a_patch_of_others_is_left() -> None:
    """Who patches the same name while it is watched keeps the patch, and nothing is reported later."""
    findings: list[Finding] = []
    original = asyncio.set_event_loop
    with nested_loop.watch(findings.append):
        watching = asyncio.set_event_loop

        def patched(loop: asyncio.AbstractEventLoop | None) -> None:
            watching(loop)

        asyncio.set_event_loop = patched
    assert asyncio.set_event_loop is patched

    async def main() -> None:
        asyncio.set_event_loop(None)

    try:
        asyncio.run(main())
    finally:
        asyncio.set_event_loop = original
    assert findings == []
