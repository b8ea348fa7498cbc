"""Explored tests whose schedules are run by several processes, or in parts by several test runs."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from aldente._plugin.explore import worker
from aldente._plugin.explore.workers import arguments_of_worker
from tests.plugin.conftest import RunProject

WORKERS = "--aldente-workers=2"

SUITE = """
import asyncio
import os
from pathlib import Path
import aldente
import pytest

def in_worker(request):
    return request.config.pluginmanager.hasplugin("aldente-worker")

@pytest.fixture(scope="session")
def database():
    yield "database"
    with Path("ended.txt").open("a") as file:
        file.write(f"{os.getpid()}\\n")

@pytest.fixture
async def connection(database):
    await asyncio.sleep(1)
    yield database
    await asyncio.sleep(1)

@aldente.explore(runs=60)
async def test_passes(connection, tmp_path):
    print("printed once")
    assert connection == "database"
    with Path("runs.txt").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    for _ in range(2):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

@aldente.explore(runs=400)
async def test_fails():
    order = []
    async def work(number):
        await asyncio.sleep(0)
        order.append(number)
    await asyncio.gather(*(work(number) for number in range(5)))
    assert order[:2] != [4, 0]

@aldente.explore
async def test_fails_at_once(database):
    assert False

@aldente.explore
async def test_skips():
    pytest.skip("not now")

@aldente.explore(runs=40)
async def test_skips_in_some_order():
    order = []
    async def work(number):
        await asyncio.sleep(0)
        order.append(number)
    await asyncio.gather(*(work(number) for number in range(5)))
    if order[0] == 4:
        pytest.skip("in this order")

@aldente.explore(runs=20)
async def test_leaves_a_task():
    asyncio.get_running_loop().create_task(asyncio.sleep(1000), name="left")
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

def test_plain():
    pass
"""

CRASHES = """
import asyncio
import os
import aldente
import pytest

@pytest.fixture(scope="module")
def port(request):
    if request.config.pluginmanager.hasplugin("aldente-worker"):
        raise OSError("the port is taken")

@aldente.explore(runs=40)
async def test_crashes(request):
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
    if request.config.pluginmanager.hasplugin("aldente-worker"):
        print("the last words")
        os._exit(7)

@aldente.explore(runs=40)
async def test_set_up(port):
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

@pytest.mark.parametrize("process", [os.getpid()])
@aldente.explore(runs=40)
async def test_has_another_name_there(process):
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

@aldente.explore(runs=40)
async def test_fails_there(request):
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
    assert not request.config.pluginmanager.hasplugin("aldente-worker")

@aldente.explore(runs=40)
async def test_after():
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
"""

SECOND = """
import asyncio
import aldente

@aldente.explore(runs=20)
async def test_in_another_module(database):
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
"""


def test_workers(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Two processes run the schedules of each test; outcomes, output and findings are as ever."""
    fixture, _, tests = SUITE.partition("@aldente.explore(runs=60)")
    conftest, _, database = fixture.partition("@pytest.fixture")
    database = f"@pytest.fixture{database}"
    done = run_project(
        WORKERS,
        "-v",
        "-rA",
        conftest=f"{conftest}{database}",
        test_a=f"{conftest}@aldente.explore(runs=60){tests}",
        test_b=SECOND,
    )
    done.assert_outcomes(passed=4, failed=2, skipped=2)
    output = done.stdout.str()
    for pattern in (
        r"aldente: workers=2",
        r"What happened, in",
        r"Run it again: pytest test_a.py::test_fails --aldente-replay=3",
        r"test_a.py::test_passes: 60 runs\.",
        r"test_b.py::test_in_another_module: 20 runs\.",
        r"leaked-task \[warn\]: 1",
        r"not now",
        r"in this order",
    ):
        assert re.search(pattern, output), pattern
    assert output.count("printed once") == 1
    processes = set((pytester.path / "runs.txt").read_text().split())
    # This one has run the order of stock asyncio.
    assert str(os.getpid()) in processes
    assert len(processes) >= 2
    ended = (pytester.path / "ended.txt").read_text().split()
    # Each has torn its fixtures down, once.
    assert len(ended) == len(set(ended)) == 3


def test_a_worker_that_crashes(run_project: RunProject) -> None:
    """Its test fails with what it has printed, and the next ones go on with a new one."""
    done = run_project(WORKERS, test_it=CRASHES)
    done.assert_outcomes(passed=1, failed=4)
    output = done.stdout.str()
    assert re.search(
        r"The search could not go on: worker \d of 2 ended with exit status 7 while "
        r"it searched test_it.py::test_crashes",
        output,
    )
    assert re.search(r"worker \d of 2 could not set up test_it.py::test_set_up", output)
    assert "the port is taken" in output
    assert "as with pytest-xdist" in output
    assert re.search(r"worker \d of 2 has not collected test_it.py::test_has_another_name", output)
    assert "A run failed in a worker process, and its schedule passes in this process" in output
    # No frames of aldente's, which say nothing.
    assert "def explore_together(" not in output
    assert "entries are hidden" not in output


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ({}, []),
        ({"numprocesses": None}, ["-n0"]),
        ({"no_cov": False}, ["--no-cov"]),
        ({"basetemp": "here"}, ["--basetemp=here-worker-2"]),
    ],
)
def test_the_arguments_of_a_worker(
    pytestconfig: pytest.Config, options: dict[str, object], added: list[str]
) -> None:
    """They are those of the run; the options of other plugins are seen however these are loaded."""
    given = pytestconfig.invocation_params
    config: Any = SimpleNamespace(
        invocation_params=given,
        option=SimpleNamespace(**options),
        getoption=lambda name, default: options.get(name, default),
    )
    arguments = [str(each) for each in given.args]
    assert arguments_of_worker(config, 2) == [*arguments, *added, "--aldente-workers=1"]


def test_with_xdist(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A worker of pytest-xdist has worker processes of its own, for the tests that it runs."""
    done = run_project(
        "-n1", WORKERS, "-k", "test_passes", plugins=["xdist"], fresh=True, test_it=SUITE
    )
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["1 test explored in 60 runs*"])
    # That of pytest-xdist, and at least one of its own.
    assert len(set((pytester.path / "runs.txt").read_text().split())) >= 2


@pytest.mark.parametrize(("runs", "is_spread"), [(2_000, True), (1_999, False)])
def test_a_long_search_under_xdist(
    run_project: RunProject, pytester: pytest.Pytester, runs: int, is_spread: bool
) -> None:
    """Where workers of pytest-xdist have no test, a long search is spread without an option."""
    project = f"""
    import asyncio
    import os
    from pathlib import Path
    import aldente

    @aldente.explore(runs={runs})
    async def test_long():
        with Path("runs.txt").open("a") as file:
            file.write(f"{{os.getpid()}}\\n")
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(9)))
    """
    done = run_project("-n2", plugins=["xdist"], fresh=True, test_it=project)
    done.assert_outcomes(passed=1)
    found = set((pytester.path / "runs.txt").read_text().split())
    # That of pytest-xdist, and at least one of its own.
    assert (len(found) > 1) == is_spread


def test_one_worker_is_this_process(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """With one worker no other process is started."""
    done = run_project("--aldente-workers=1", "-k", "test_passes", test_it=SUITE)
    done.assert_outcomes(passed=1, deselected=6)
    assert set((pytester.path / "runs.txt").read_text().split()) == {str(os.getpid())}


LONG = """
import asyncio
from pathlib import Path
import aldente

@aldente.explore(runs=10**9)
async def test_long(request):
    if request.config.pluginmanager.hasplugin("aldente-worker"):
        Path("begun").touch()
    for _ in range(4):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_an_interrupt(pytester: pytest.Pytester) -> None:
    """Ctrl-C ends the run as ever, and all workers with it."""
    pytester.makepyfile(test_it=LONG)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider", WORKERS]
    with subprocess.Popen(
        command,
        cwd=pytester.path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        while not (pytester.path / "begun").exists():
            assert run.poll() is None
        # As a terminal does, to all processes at once.
        os.killpg(run.pid, signal.SIGINT)
        output, _ = run.communicate()
        assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert b"KeyboardInterrupt" in output
    with pytest.raises(ProcessLookupError):
        # None of its group is left.
        os.killpg(run.pid, 0)


@pytest.mark.skipif(not hasattr(select, "poll"), reason="needs pipes that can be asked")
def test_a_worker_that_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when the run that commands it is gone, however long the test goes on."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(worker, "_END_WITHIN", 0.0)
    reading, writing = os.pipe()
    with open(reading, "rb") as from_run, open(os.devnull, "wb") as to_run:
        loop = worker.WorkerLoop(worker.Channel(from_run, to_run))
        for _ in range(2):
            loop.end_if_alone()
        assert not ended
        os.close(writing)
        for _ in range(2):
            loop.end_if_alone()
    assert ended == [1]


# Shards of several test runs.


def test_shards(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Each runs its part of the schedules, of its own seed, and says which."""
    outcomes = []
    for number in (1, 2, 3):
        done = run_project(
            f"--aldente-shard={number}/3", "-k", "passes or fails", "-v", test_it=SUITE
        )
        output = done.stdout.str()
        assert f"aldente: shard={number}/3" in output
        assert f", shard {number}/3" in output
        assert "test_it.py::test_passes: 20 runs." in output
        outcomes.append(re.findall("Run [0-9,]+ of at most .*?failed", output))
    assert len({tuple(each) for each in outcomes}) > 1


def test_a_strategy_without_a_seed(run_project: RunProject) -> None:
    """It is no part of several: the first shard does all, and the others one run."""
    project = (
        "import asyncio, aldente\n"
        "@aldente.explore(strategy='dfs', runs=50)\n"
        "async def test_it():\n"
        "    await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))\n"
    )
    first = run_project("--aldente-shard=1/2", test_it=project)
    second = run_project("--aldente-shard=2/2", test_it=project)
    assert "1 test explored in 1 run, shard 2/2" in second.stdout.str()
    assert "1 test explored in 1 run," not in first.stdout.str()


@pytest.mark.parametrize("value", ["3", "0/3", "4/3", "a/b", "1/0", "1/2/3"])
def test_a_wrong_shard(run_project: RunProject, value: str) -> None:
    """It is told with an example."""
    done = run_project(f"--aldente-shard={value}", test_it=SUITE)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*'{value}' is not a valid --aldente-shard. *such as 3/10."])


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_a_wrong_number_of_workers(run_project: RunProject, value: str) -> None:
    """It must be a whole number of at least 1."""
    done = run_project(f"--aldente-workers={value}", test_it=SUITE)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*'{value}' is not a valid --aldente-workers. *"])


def test_no_strategy_objects(run_project: RunProject) -> None:
    """A strategy that can't be sent to workers is refused with what to use instead."""
    project = (
        "import aldente\n"
        "@aldente.explore(strategy=lambda seed: None)\n"
        "async def test_it():\n"
        "    pass\n"
    )
    done = run_project(WORKERS, test_it=project)
    done.assert_outcomes(failed=1)
    assert "It can't be sent to other processes" in done.stdout.str()
