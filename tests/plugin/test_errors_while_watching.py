"""An error in aldente's own watching changes no test's outcome, and is told once."""

from __future__ import annotations

import gc
import re
import sys
import warnings

import pytest

import aldente
from tests.plugin.conftest import RunProject

# It meets every rule, mostly in what is no finding or only a warning.
PROJECT = """
    import asyncio
    import contextlib
    import threading
    import time
    import warnings

    import pytest

    kept = []

    @pytest.fixture
    async def server():
        async with await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()

    async def test_connection(server):
        reader, writer = await asyncio.open_connection(*server[:2])
        assert await reader.read() == b""
        writer.close()

    async def test_left_open():
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        kept.append(transport)

    @contextlib.asynccontextmanager
    async def opened():
        yield

    async def test_context_manager():
        async with opened():
            pass

    async def test_context_manager_that_is_dropped():
        opened()

    async def test_blocking():
        time.sleep(0.3)

    async def numbers():
        yield 1
        yield 2

    async def test_generator():
        kept.append(numbers())
        async for _ in kept[-1]:
            break

    async def test_task():
        kept.append(asyncio.create_task(asyncio.sleep(60)))

    async def test_failed_task():
        async def fail():
            raise LookupError("nothing there")
        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        assert isinstance(task.exception(), LookupError)

    async def test_dropped():
        with pytest.warns(RuntimeWarning, match="never awaited"):
            asyncio.sleep(0)

    async def test_loop_in_thread():
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0),))
        thread.start()
        await asyncio.to_thread(thread.join)
        loop.close()

    @pytest.mark.asyncio(loop_scope="module")
    async def test_wide():
        asyncio.create_task(asyncio.sleep(60))

    @pytest.mark.xfail(raises=TypeError, strict=True)
    async def test_refused():
        await object()

    async def test_plain_mock():
        from unittest import mock
        with pytest.raises(TypeError):
            with mock.patch("asyncio.sleep", new=mock.Mock()):
                await asyncio.sleep(1)

    def test_sync():
        asyncio.run(asyncio.sleep(0))
        # Python would warn of it in some later run.
        for each in kept:
            if isinstance(each, asyncio.BaseTransport):
                each._sock.close()
                each._sock = None
"""
PASSED, XFAILED = 13, 1


def fail(*args: object, **kwargs: object) -> object:
    """Stands in for a function that watches."""
    raise LookupError("broken inside")


BREAKING = """
    from aldente._rules import coroutine_origins, leaked_resource, leaked_task

    def fail(*args, **kwargs):
        raise LookupError("broken inside")

    def pytest_collection_finish():
        leaked_resource.find = leaked_task.find = fail
        # By hand, as no collection is due in a short run.
        coroutine_origins.CoroutineMakers.look = fail
        import gc
        gc.collect()
"""


def lines_about(result: pytest.RunResult) -> list[str]:
    """The lines of a run's output that tell of an error in aldente."""
    return [line for line in result.outlines if "aldente: an error in aldente itself" in line]


# What a run in this process drops is seen by aldente in this run as well.
@aldente.allow("never-awaited")
@pytest.mark.parametrize(
    ("dotted", "doing"),
    [
        ("aldente._rules.leaked_resource.find", "looking for open connections"),
        (
            "aldente._rules.resource_origins.users_place_in_step",
            "noting where a connection is made",
        ),
        ("aldente._rules.leaked_task.find", "looking for tasks that are left pending"),
        (
            "aldente._rules.leaked_asyncgen.AsyncGeneratorWatch.find",
            "looking for async generators that are left",
        ),
        (
            "aldente._rules.leaked_asyncgen.users_frame",
            "noting where an async generator is iterated",
        ),
        ("aldente._rules.nested_loop._users_call", "noting where a loop is made by hand"),
        ("aldente._rules.slow_step.StepWatch.look", "looking at a running loop"),
        ("aldente._rules.slow_step.StepWatch.on_run_end", "looking for slow steps"),
        ("aldente._rules.blocking_call.report.finding_of", "reporting a blocking call"),
        (
            "aldente._rules.never_awaited._call_of_double",
            "looking at a coroutine that was dropped",
        ),
        ("aldente._rules.leaked_thread._users_place", "noting where a thread is started"),
        ("aldente._rules.leaked_thread.ThreadWatch.end_test", "looking at what a test left behind"),
        ("aldente._rules.dropped_managers._maker", "noting where a context manager is made"),
        (
            "aldente._rules.dropped_managers._finding",
            "reporting a context manager that was never entered",
        ),
        ("aldente._rules.plain_mock.find", "looking for a plain mock that was awaited"),
        ("aldente._asyncio_compat.failed_and_unseen", "looking for failed tasks"),
    ],
)
def test_broken_rule_changes_no_outcome(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch, dotted: str, doing: str
) -> None:
    """The tests end as with the whole rule; the error is told once, with its traceback."""
    with monkeypatch.context() as patches:
        patches.setattr(dotted, fail)
        result = run_project(test_it=PROJECT)
    counts = result.parseoutcomes()
    assert (counts.get("passed"), counts.get("xfailed")) == (PASSED, XFAILED), result.outlines
    assert not {"failed", "error", "errors"} & set(counts)
    assert result.ret == 0
    told = [line for line in lines_about(result) if re.search(f"while {doing}[,.]", line)]
    assert len(told) == 1, result.outlines
    result.stdout.fnmatch_lines(
        [
            "*It has changed no test's outcome, but aldente may have missed what it was looking for."
            " Please report it with this traceback:",
            "*Traceback (most recent call last):",
            "*LookupError: broken inside",
        ]
    )


@pytest.mark.parametrize("plugins", [(), ("xdist",)], ids=["alone", "xdist"])
def test_error_while_watching_is_a_warning_for_every_runner(
    run_project: RunProject, plugins: tuple[str, ...]
) -> None:
    """Where warnings are errors, and where a worker runs the tests, it is told all the same."""
    options = ("-n", "1") if plugins else ()
    result = run_project(
        *options, plugins=plugins, subprocess=True, conftest=BREAKING, test_it=PROJECT
    )
    assert result.parseoutcomes().get("passed") == PASSED, result.outlines
    assert result.ret == 0
    about = {
        line.rpartition(" while ")[2].partition(",")[0].rstrip(".") for line in lines_about(result)
    }
    assert about == {
        "looking for open connections",
        "looking for tasks that are left pending",
        "looking for coroutines at a garbage collection",
        "looking for coroutines that have not started",
    }


def test_error_names_its_test_and_how_often_it_came(run_project: RunProject) -> None:
    """The first of a kind is told in full, the others are counted."""
    result = run_project(
        subprocess=True,
        conftest=BREAKING,
        test_it="""
        import asyncio
        import pytest

        kept = []

        @pytest.mark.parametrize("number", range(3))
        async def test_leaves_task(number):
            kept.append(asyncio.create_task(asyncio.sleep(60)))
        """,
    )
    assert result.parseoutcomes()["passed"] == 3
    (told,) = [line for line in lines_about(result) if "while looking for tasks" in line]
    assert "in or after test_it.py::test_leaves_task[0]" in told
    assert told.rstrip(".").endswith("and 2 more like it")


def test_what_tests_take_away(run_project: RunProject) -> None:
    """A test may empty the list of what hears of garbage collections: all the rest is undone."""
    before, depth = gc.callbacks[:], sys.get_coroutine_origin_tracking_depth()
    on_unawaited = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    try:
        result = run_project(
            test_it="""
            import gc

            async def test_it():
                gc.callbacks.clear()
            """
        )
    finally:
        gc.callbacks[:] = before
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    assert lines_about(result) == []
    assert sys.get_coroutine_origin_tracking_depth() == depth
    assert warnings._warn_unawaited_coroutine is on_unawaited  # type: ignore[attr-defined]


def test_an_error_while_undoing(run_project: RunProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as any other, and the run ends as it would have."""
    with monkeypatch.context() as patches:
        patches.setattr("aldente._rules.never_awaited.CoroutineWatch._forget_mocks", fail)
        result = run_project(test_it="async def test_it():\n    pass")
    result.assert_outcomes(passed=1, warnings=1)
    assert result.ret == 0
    assert len(lines_about(result)) == 1
    assert "while removing the hooks that watch tests" in lines_about(result)[0]


def test_notes_that_are_no_text(run_project: RunProject) -> None:
    """An error may have them, as Python shows them all the same."""
    result = run_project(
        subprocess=True,
        test_it="""
        from unittest.mock import Mock

        async def test_it():
            try:
                await Mock()
            except TypeError as error:
                error.__notes__ = [7]
                raise
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E * 7", "plain-mock [[]*[]]: 1"])
    assert lines_about(result) == []


LOOP_OF_ANOTHER_MAKE = """
    import asyncio
    import selectors
    from unittest import mock

    import pytest

    class Loop(asyncio.SelectorEventLoop):
        {body}

    def pytest_asyncio_loop_factories(config, item):
        return {{"other": Loop}}

    pytest_plugins = ()
"""


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            # As aiostream's suite has it: a loop that never waits, with a mock for a selector.
            """
        def __init__(self):
            asyncio.BaseEventLoop.__init__(self)
            self._selector = mock.Mock()
            self._selector.select.return_value = []

        def _process_events(self, events):
            pass

        def _write_to_self(self):
            pass

        def close(self):
            asyncio.BaseEventLoop.close(self)
""",
            id="mocked-selector",
        ),
        pytest.param(
            """
        def __init__(self):
            super().__init__()
            self._selector.get_map = lambda: 7

        def _remove_reader(self, descriptor):
            return False
""",
            id="patched-map",
        ),
        pytest.param(
            """
        @property
        def _transports(self):
            raise OSError("not to be looked at")

        @_transports.setter
        def _transports(self, value):
            pass
""",
            id="attribute-that-raises",
        ),
        pytest.param(
            """
        def __eq__(self, other):
            raise OSError("not to be compared")

        def __hash__(self):
            return 1
""",
            id="not-comparable",
        ),
    ],
)
def test_loops_of_other_makes_pass(run_project: RunProject, body: str) -> None:
    """What is odd about a loop changes no outcome."""
    result = run_project(
        subprocess=True,
        conftest=LOOP_OF_ANOTHER_MAKE.format(body=body),
        test_it="""
        import asyncio

        async def test_sleep():
            await asyncio.sleep(0)

        async def test_tasks():
            assert await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)) == [1, 2]
        """,
    )
    assert result.parseoutcomes().get("passed") == 2, result.outlines
    assert result.ret == 0, result.outlines


@pytest.mark.parametrize(
    "change",
    [
        "loop.odd = Odd()",
        "loop.time = lambda: 0.0",
        "loop._coroutine_origin_tracking_saved_depth = Odd()",
        "loop._exception_handler = Odd()",
        "loop.close()",
    ],
)
def test_loop_that_a_test_has_changed_is_only_not_used_again(
    run_project: RunProject, change: str
) -> None:
    """The test passes, and so do the next ones."""
    result = run_project(
        subprocess=True,
        test_it=f"""
        import asyncio

        class Odd:
            def __eq__(self, other):
                raise ValueError("the truth of this is ambiguous")
            def __bool__(self):
                raise ValueError("the truth of this is ambiguous")
            __hash__ = None

        def test_changes_loop_of_fixture(changed):
            pass

        import pytest

        @pytest.fixture
        async def changed():
            yield

        async def test_changes():
            loop = asyncio.get_running_loop()
            {"asyncio.get_running_loop().call_soon(loop.stop)" if "close" in change else change}

        async def test_next():
            assert not hasattr(asyncio.get_running_loop(), "odd")
        """,
    )
    assert result.parseoutcomes().get("passed") == 3, result.outlines


def test_what_tests_replace(run_project: RunProject) -> None:
    """A test may replace what watching itself needs, and that of which errors are told."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio
        from unittest import mock
        import pytest

        @pytest.mark.parametrize("names", [
            ["inspect.currentframe", "sys._getframe"],
            ["linecache.getline", "linecache.getlines", "traceback.extract_tb"],
            ["traceback.TracebackException.from_exception", "asyncio.all_tasks"],
            ["weakref.ref"],
        ], ids=str)
        async def test_it(monkeypatch, names):
            for name in names:
                monkeypatch.setattr(name, mock.Mock(side_effect=LookupError(name)))
            open(__file__).close()
            asyncio.get_running_loop().call_soon(list)
            task = asyncio.create_task(asyncio.sleep(0.05))
            await asyncio.sleep(0.1)
            assert task.done()
        """,
    )
    result.assert_outcomes(passed=4)
    assert result.ret == 0
