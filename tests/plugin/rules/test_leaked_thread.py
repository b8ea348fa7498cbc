"""The rule ``leaked-thread``, and that a process ends in spite of the threads that tests leave."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject, SetConstant


@pytest.fixture
def short_grace(set_constant: SetConstant) -> None:
    """Threads that wait for ever are found after a tenth of a second, instead of after one."""
    set_constant("aldente._rules.leaked_thread._GRACE", 0.1)
    set_constant("aldente._rules.leaked_thread._GRACE_AT_END", 0.2)


@pytest.fixture
def jobs_given_up_soon(short_grace: None, quick_deadlocks: None, set_constant: SetConstant) -> None:
    """Jobs that wait for ever are given up after a fifth of a second, instead of after one."""
    set_constant("aldente._runner.shutdown.LIMIT_OF_STUCK_JOBS", 0.2)
    set_constant("aldente._runner.running.LIMIT_OF_STUCK_JOBS", 0.2)


WAITS = """
import asyncio
import queue
import threading
import time
import pytest

box = queue.SimpleQueue()
ends = threading.Event()

class Client:
    def __init__(self):
        self.thread = threading.Thread(target=self.work, name="client")
        self.thread.start()

    def work(self):
        box.get()

async def test_async():
    Client()

def test_sync():
    Client()

async def test_of_another_thread():
    def start():
        threading.Thread(target=box.get, name="inner").start()

    await asyncio.to_thread(start)

@pytest.fixture
def client():
    return Client()

def test_of_fixture(client):
    pass
"""

QUIET = """
import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
import pytest

release = threading.Event()

@pytest.fixture(scope="module")
def server():
    thread = threading.Thread(target=release.wait)
    thread.start()
    yield
    release.set()
    thread.join()

@pytest.fixture(scope="module")
async def executor():
    with ThreadPoolExecutor() as executor:
        await asyncio.get_running_loop().run_in_executor(executor, int)
        yield executor

async def test_wide_fixtures(server, executor):
    pass

async def test_jobs(executor):
    await asyncio.to_thread(int)
    await asyncio.get_running_loop().run_in_executor(executor, int)

def test_joined():
    thread = threading.Thread(target=time.sleep, args=(0.05,))
    thread.start()
    thread.join()

def test_about_to_end():
    threading.Thread(target=time.sleep, args=(0.1,)).start()

def test_told_to_end():
    event = threading.Event()
    threading.Thread(target=event.wait).start()
    event.set()

def test_daemon():
    threading.Thread(target=threading.Event().wait, daemon=True).start()

kept = []

def test_executor_that_is_kept():
    kept.append(ThreadPoolExecutor(1))
    kept[0].submit(int).result()
"""


@pytest.mark.usefixtures("short_grace")
def test_threads_that_are_left(run_project: RunProject) -> None:
    """Each is told of with the line that has started it; and the process ends."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=WAITS)
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "leaked-thread [[]warn[]]: 4, of 2 causes",
            "  test_it.py:13: the thread 'client' was left running.",
            "      in 3 tests: test_it.py::test_async, test_it.py::test_sync and 1 more",
            "    Close the object that started it (a connection, a client, a pool), best by 'async with'; or make the thread stop and join() it.*",
            "  test_it.py:26: the thread 'inner' was left running.",
            "      in test_it.py::test_of_another_thread",
            "aldente: the process does not wait for threads that tests left running:",
            "  'client', started at test_it.py:13",
            "  'client', started at test_it.py:13",
            "  'inner', started at test_it.py:26",
            "  'client', started at test_it.py:13",
        ]
    )


def test_threads_that_are_not_left(run_project: RunProject) -> None:
    """Threads of wide fixtures, of executors and of daemons are none, nor those about to end."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=QUIET)
    result.assert_outcomes(passed=7)
    assert "leaked-thread" not in result.stdout.str()
    assert "does not wait for threads" not in result.stdout.str()


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("how", ["option", "mark", "off"])
def test_levels(run_project: RunProject, how: str) -> None:
    """It fails the test at level error, and is silent where it is allowed; the process ends always."""
    arguments = {
        "option": ["--aldente-rule=leaked-thread=error"],
        "mark": ["--aldente-rule=leaked-thread=error"],
        "off": ["--aldente-rule=leaked-thread=off"],
    }[how]
    mark = "@aldente.allow('leaked-thread')" if how == "mark" else ""
    result = run_project(
        *arguments,
        subprocess=True,
        test_it=f"""
        import threading
        import aldente

        {mark}
        def test_it():
            threading.Thread(target=threading.Lock().acquire).start()
            lock = threading.Lock()
            lock.acquire()

            def wait():
                lock.acquire()

            threading.Thread(target=wait, name="waits").start()
        """,
    )
    if how == "option":
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(
            [
                "leaked-thread: the thread 'waits' was left running.",
                "  test_it.py:13",
                "  it is in *test_it.py:11, wait",
            ]
        )
    else:
        result.assert_outcomes(passed=1)
        assert "was left running" not in result.stdout.str()
    result.stdout.fnmatch_lines(["  'waits', started at test_it.py:13"])


@pytest.mark.usefixtures("short_grace")
def test_a_wide_fixture_that_leaves_one(run_project: RunProject) -> None:
    """A thread that a fixture of a wider scope leaves is told of at the end, and not waited for."""
    result = run_project(
        subprocess=True,
        test_it="""
        import threading
        import pytest

        @pytest.fixture(scope="session")
        def server():
            threading.Thread(target=threading.Event().wait, name="server").start()

        def test_first(server):
            pass

        def test_next(server):
            pass
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "leaked-thread [[]warn[]]: 1",
            "  test_it.py:6: the thread 'server' was left running.",
            "      in test_it.py::test_first, found after it had ended",
        ]
    )


@pytest.mark.usefixtures("short_grace")
def test_under_xdist(run_project: RunProject) -> None:
    """A worker of pytest-xdist ends in spite of such threads, and their findings are told."""
    result = run_project("-n1", plugins=["xdist"], subprocess=True, test_it=WAITS)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["leaked-thread [[]warn[]]: 4, of 2 causes"])


OF_OTHERS = """
import threading
from concurrent.futures import ThreadPoolExecutor
import pytest

class Server:
    def __init__(self, daemon):
        self.called, self.begun = threading.Event(), threading.Event()
        self.end = threading.Event()
        self.handlers = []
        self.thread = threading.Thread(target=self.serve, name="server", daemon=daemon)
        self.thread.start()

    def serve(self):
        while self.called.wait() and not self.end.is_set():
            self.called.clear()
            self.handlers.append(threading.Thread(target=self.end.wait, name="handler"))
            self.handlers[-1].start()
            self.begun.set()

    def call(self):
        self.begun.clear()
        self.called.set()
        self.begun.wait()

    def close(self):
        self.end.set()
        self.called.set()
        for thread in (self.thread, *self.handlers):
            thread.join()

@pytest.fixture(scope="session", params=[False, True])
def server(request):
    server = Server(request.param)
    yield server
    server.close()

@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool

left = []

def test_first(server, pool):
    server.call()
    if not left:
        left.append(Server(False))

def test_next(server):
    server.call()
    left[0].call()

def test_job(pool):
    ends = threading.Event()

    def start():
        threading.Thread(target=ends.wait, name="of a job").start()

    pool.submit(start).result()
"""


@pytest.mark.usefixtures("short_grace")
def test_threads_that_other_threads_start(run_project: RunProject) -> None:
    """They belong to the fixture or test that has started those; but for jobs of pools."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=OF_OTHERS)
    result.assert_outcomes(passed=5)
    told = result.outlines[result.outlines.index("leaked-thread [warn]: 3") :]
    about = [line.strip() for line in told if line.startswith(("  test_it", "      in "))]
    assert about == [
        "test_it.py:11: the thread 'server' was left running.",
        "in test_it.py::test_first[False]",
        "test_it.py:58: the thread 'of a job' was left running.",
        "in test_it.py::test_job",
        "test_it.py:17: the thread 'handler' was left running.",
        "in test_it.py::test_first[False], found after it had ended",
    ]


RUN_INSIDE = """
import threading
import time
import pytest

pytest_plugins = "pytester"

INNER = '''
import threading
import time

def test_inner():
    threading.Thread(target=time.sleep, args=({seconds},), name="inner").start()
'''

def test_outer(pytester, monkeypatch):
    pytester.makepyfile(INNER)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "aldente")
    assert result.ret == 0

def test_failing():
    for thread in threading.enumerate():
        if thread.name == "inner" and {is_ended}:
            thread.join()
    raise ValueError
"""


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("is_ended", [True, False])
def test_a_run_inside_a_test(run_project: RunProject, is_ended: bool) -> None:
    """The process ends with the status of the run that it was started for, not of one in a test."""
    inside = RUN_INSIDE.format(seconds=1.5 if is_ended else 3600, is_ended=is_ended)
    result = run_project("-p", "no:randomly", subprocess=True, test_it=inside)
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1


PROGRAM = """
import sys
import pytest

if __name__ == "__main__":
    status = pytest.main(["-p", "aldente", "-p", "no:cacheprovider", "test_it.py"])
    print("the status is", int(status))
    sys.exit(3)
"""


@pytest.mark.usefixtures("short_grace")
def test_a_program_that_calls_pytest(
    run_project: RunProject, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on after the run, and is not told that Python does not wait where it does."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]")
    pytester.makepyfile(
        program=PROGRAM,
        test_it="""
        import threading
        import time

        def test_it():
            threading.Thread(target=time.sleep, args=(3,), name="left").start()
        """,
    )
    result = pytester.runpython(pytester.path / "program.py")
    assert result.ret == 3
    result.stdout.fnmatch_lines(["* the thread 'left' was left running.", "the status is 0"])
    is_reported = "the process does not wait for threads" in result.stdout.str()
    assert is_reported == (sys.version_info < (3, 15))


STUCK_JOB = """
import asyncio
import queue
import threading
import pytest

{job}

async def test_async():
    await asyncio.to_thread(job)

async def test_next():
    pass
"""


@pytest.mark.usefixtures("jobs_given_up_soon")
@pytest.mark.parametrize(
    "job",
    [
        "job = threading.Event().wait",
        "job = queue.SimpleQueue().get",
        "def job():\n    lock = threading.Lock()\n    with lock:\n        lock.acquire()",
    ],
    ids=["event", "queue", "lock"],
)
def test_a_job_that_never_ends(run_project: RunProject, job: str) -> None:
    """A job that waits for ever fails its test at once, and holds up neither loop nor process."""
    result = run_project("-p", "no:randomly", subprocess=True, test_it=STUCK_JOB.format(job=job))
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "An executor job that was started on the event loop did not end within 0.2 s of its scope's end, so aldente gave it up.",
            "E * aldente.errors.DeadlockError: Deadlock: for 0.2 s nothing could happen any more while 'test_async' was running, so aldente cancelled it.",
            "aldente: the process does not wait for threads that tests left running:",
            "  'asyncio_0', started at test_it.py:*",
        ]
    )


@pytest.mark.usefixtures("jobs_given_up_soon")
def test_a_job_of_a_sync_test(run_project: RunProject) -> None:
    """The same job on a loop that a sync test runs: neither asyncio.run nor the process waits for it."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        test_it="""
        import asyncio
        import threading

        async def main():
            await asyncio.to_thread(threading.Event().wait)

        def test_sync():
            asyncio.run(main())

        def test_next():
            asyncio.run(asyncio.to_thread(int))
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.DeadlockError: *while 'test_sync' was running, so aldente cancelled it.",
            "aldente: the process does not wait for threads that tests left running:",
        ]
    )
    # What a test has left that has failed already is no finding of its own.
    result.stdout.no_fnmatch_line("*leaked-thread*")


def test_worker_threads_of_anyio(run_project: RunProject) -> None:
    """They serve a loop that outlives the test, and end with what runs on it first."""
    result = run_project(
        "--aldente-strict",
        subprocess=True,
        test_it="""
        import asyncio
        import anyio.to_thread
        import pytest

        @pytest.fixture(scope="session")
        async def service():
            requests = asyncio.Queue()

            async def serve():
                while True:
                    done = await requests.get()
                    done.set_result(await anyio.to_thread.run_sync(len, "abc"))

            task = asyncio.create_task(serve())
            yield requests
            task.cancel()

        async def test_it(service):
            done = asyncio.get_running_loop().create_future()
            service.put_nowait(done)
            assert await done == 3
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*left running*")
