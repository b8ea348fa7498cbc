"""When a run writes the files of its findings, and when it can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import line_of, read_findings

# Every test of it drops a coroutine.
PROJECT = """
import asyncio

async def work():
    pass

def test_one():
    work()

def test_two():
    work()
"""

CTRL_C = "\ndef test_three():\n    raise KeyboardInterrupt\n"

PARTS = {
    "-x": (["-x"], PROJECT),
    "--maxfail": (["--maxfail=1"], PROJECT),
    "--collect-only": (["--collect-only"], PROJECT),
    "Ctrl-C": ([], PROJECT + CTRL_C),
    "pytest.exit": (
        [],
        PROJECT + "\ndef test_three():\n    import pytest\n    pytest.exit('no')\n",
    ),
    "error of collection": ([], PROJECT + "\nassert False\n"),
    "session.shouldstop": (
        [],
        PROJECT + "\ndef test_three(request):\n    request.session.shouldstop = 'no'\n",
    ),
}


@pytest.mark.parametrize(("arguments", "project"), PARTS.values(), ids=PARTS)
def test_a_run_that_is_not_whole(
    run_project: RunProject, pytester: pytest.Pytester, arguments: list[str], project: str
) -> None:
    """A baseline is not written by a run that was stopped, or that has run nothing, and it says so."""
    result = run_project(
        "--aldente-baseline=baseline.json",
        *arguments,
        # pytester hands Ctrl-C on to the run around.
        subprocess="KeyboardInterrupt" in project,
        test_it=project,
    )
    assert not (pytester.path / "baseline.json").exists()
    text = result.stdout.str()
    assert "are written to baseline.json" not in text
    if "aldente findings" in text:
        assert "The run has not come to its end, so baseline.json is not written." in text


def test_a_run_that_is_whole(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A baseline is written when all tests have run, whatever their outcome, also under --maxfail."""
    run_project("--aldente-baseline=baseline.json", "--maxfail=3", test_it=PROJECT)
    text = (pytester.path / "baseline.json").read_text(encoding="utf-8")
    assert text.count('"rule": "never-awaited"') == 2


def test_a_known_finding_in_a_test_that_is_run_again(run_project: RunProject) -> None:
    """Every attempt of a test that is run again may have what the baseline knows of it."""
    flaky = """
attempts = []

async def work():
    pass

def test_it():
    attempts.append(1)
    work()
    assert len(attempts) > 2
"""
    arguments = ("-p", "no:randomly", "--aldente-baseline=baseline.json")
    run_project(*arguments, test_it=flaky).assert_outcomes(failed=1)
    result = run_project(*arguments, "--reruns=2", plugins=["rerunfailures"])
    result.stdout.fnmatch_lines(["* 1 passed, 2 rerun in *"])


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("--aldente-findings", "test_it.py/findings.json"),
        ("--aldente-findings", "folder"),
        ("--aldente-baseline", "test_it.py/baseline.json"),
    ],
)
def test_a_file_that_cannot_be_written(
    run_project: RunProject, pytester: pytest.Pytester, option: str, file: str
) -> None:
    """When a file of an option can't be written the run ends before its first test, with why."""
    (pytester.path / "folder").mkdir()
    result = run_project(
        f"{option}={file}",
        test_it="import pathlib\n\ndef test_it():\n    pathlib.Path('ran').touch()\n",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    path: Path = pytester.path / file
    result.stderr.fnmatch_lines([f"ERROR: {option}: {path} can't be written: *"])
    assert not (pytester.path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["sleep", "time.", ".sleep", "time:sleep", "time.sleep()", "a b.c"]
)
def test_what_is_no_name_of_a_function(run_project: RunProject, name: str) -> None:
    """What is no dotted name in aldente_blocking_calls ends a run that has no async tests as well."""
    result = run_project(
        ini=f"aldente_blocking_calls =\n    {name}\n", test_it="def test_it(): pass"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines[:2] == [
        f"ERROR: {name!r} is not a valid aldente_blocking_calls. Allowed are dotted names of functions: package.module.function or package.module.Class.method.",
        f"It was given as aldente_blocking_calls={name!r} (str).",
    ]


def test_names_are_not_imported_for_nothing(run_project: RunProject) -> None:
    """A module that aldente_blocking_calls names is not imported by a run without async tests."""
    result = run_project(
        ini="aldente_blocking_calls =\n    heavy_module.Class.method\n",
        # asyncio is imported here already, as for async tests.
        subprocess=True,
        heavy_module="raise SystemExit(3)",
        test_it="def test_it(): pass",
    )
    result.assert_outcomes(passed=1)


SLOW = """
import time

async def test_it():
    {lines}
"""


def test_a_slow_step_in_the_baseline(run_project: RunProject) -> None:
    """A slow step is known by its test, whatever line is seen of it, and however many are seen."""
    lines = ["end = time.thread_time() + 1", "while time.thread_time() < end:", "    pass"]
    arguments = ("--aldente-baseline=known.json", "--aldente-rule=slow-step=error")
    result = run_project(
        *arguments, subprocess=True, test_it=SLOW.format(lines="\n    ".join(lines))
    )
    result.assert_outcomes(failed=1)
    # Another line takes as long, in two steps.
    lines = [
        "start = time.thread_time()",
        "while time.thread_time() - start < 1.0: len(str(start))",
    ]
    project = SLOW.format(
        lines="\n    ".join([*lines, "await asyncio.sleep(0)", *lines, "list(lines)"])
    )
    project = project.replace("import time", "import asyncio, time\nlines = []")
    result = run_project(*arguments, subprocess=True, test_it=project)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*in the baseline known.json; there is nothing new."])


BUSY = """
import asyncio
import aldente
import pytest

kept = []

async def wait():
    await asyncio.Event().wait()

async def be_busy(turns):
    for _ in range(turns):
        await asyncio.sleep(0)

@pytest.fixture(params=[1, 30_000])
async def busy(request):
    await be_busy(request.param)

class TestWide:
    @pytest.mark.asyncio(loop_scope="class")
    async def test_wide(self, busy):
        await be_busy(10_000)
        kept.append(asyncio.create_task(wait()))  # wide

async def test_it(busy):
    await be_busy(10_000)
    coroutine = wait()  # here
    kept.append(asyncio.create_task(coroutine))
"""


def test_places_at_any_load(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A task that is left is found where its coroutine was made, however busy its loop has been."""
    file = pytester.path / "findings.json"
    run_project(f"--aldente-findings={file}", "-p", "no:randomly", subprocess=True, test_it=BUSY)
    lines = {finding["line"] for finding in read_findings(file)}
    assert len(read_findings(file)) == 4
    assert lines == {line_of(BUSY, "# wide"), line_of(BUSY, "# here")}
