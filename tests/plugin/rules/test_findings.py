"""The engine of the rules: levels, allowing, charging, the summary, and the files of findings."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import aldente
from aldente._settings import DEFAULT_LEVELS
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, read_findings, run_with_findings

# What happens in a run in this process is seen by aldente in this run as well.
pytestmark = aldente.allow("background-error")

# Begins every project here; drop() is an error, leave() a warning.
START = """
import asyncio
import gc
import aldente
import pytest

kept = []

async def work():
    pass

def drop():
    work()

async def leave():
    kept.append(asyncio.create_task(asyncio.sleep(3600), name="left"))

class Holder:
    pass

def hold(coroutine):
    holder = Holder()
    holder.itself, holder.coroutine = holder, coroutine

"""

DROPS = START + "def test_it():\n    drop()\n"

PRECEDENCE = {
    "default": ("", [], "error"),
    "ini": ("aldente_rules = never-awaited = warn", [], "warn"),
    "ini without spaces": ("aldente_rules = never-awaited=warn", [], "warn"),
    "command line": ("", ["--aldente-rule=never-awaited=warn"], "warn"),
    "command line over ini": (
        "aldente_rules = never-awaited = off",
        ["--aldente-rule=never-awaited = warn"],
        "warn",
    ),
    "last of the command line": (
        "",
        ["--aldente-rule=never-awaited=off", "--aldente-rule=never-awaited=warn"],
        "warn",
    ),
    "ini over strict ini": (
        "aldente_strict = true\naldente_rules = never-awaited = warn",
        [],
        "warn",
    ),
    "strict over ini": ("aldente_rules = never-awaited = warn", ["--aldente-strict"], "error"),
    "command line over strict": (
        "",
        ["--aldente-strict", "--aldente-rule=never-awaited=warn"],
        "warn",
    ),
}


@pytest.mark.parametrize(("ini", "arguments", "level"), PRECEDENCE.values(), ids=PRECEDENCE)
def test_levels(
    run_project: RunProject,
    pytester: pytest.Pytester,
    ini: str,
    arguments: list[str],
    level: str,
) -> None:
    """The command line beats the configuration file, and a rule's own level beats strictness."""
    result, findings = run_with_findings(run_project, pytester, *arguments, ini=ini, test_it=DROPS)
    assert [finding["level"] for finding in findings] == [level]
    assert result.ret == (1 if level == "error" else 0)


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [("aldente_strict = true", []), ("", ["--aldente-strict"])],
    ids=["ini", "command line"],
)
def test_strict(
    run_project: RunProject, pytester: pytest.Pytester, ini: str, arguments: list[str]
) -> None:
    """In strict runs what is a warning otherwise fails the test."""
    project = START + "async def test_it():\n    await leave()\n"
    result, _ = run_with_findings(run_project, pytester, *arguments, ini=ini, test_it=project)
    result.assert_outcomes(passed=1, errors=1)
    result, findings = run_with_findings(run_project, pytester, test_it=project)
    result.assert_outcomes(passed=1)
    assert in_short(findings) == ["leaked-task test_it teardown 15"]


RULES = ", ".join(DEFAULT_LEVELS)
WRONG = {
    "--aldente-rule=slow-stp=off": (
        f"'slow-stp' is not a valid --aldente-rule. Did you mean 'slow-step'? The rules are: {RULES}.",
        "It was given as --aldente-rule='slow-stp' (str).",
    ),
    "--aldente-rule=slow-step=of": (
        "'slow-step=of' is not a valid --aldente-rule. Valid levels are: error, warn, off.",
        "It was given as --aldente-rule='slow-step=of' (str).",
    ),
    "--aldente-rule=slow-step": (
        "'slow-step' is not a valid --aldente-rule. Each must be RULE = error, warn or off.",
        "It was given as --aldente-rule='slow-step' (str).",
    ),
    "--aldente-timeout=soon": (
        "'soon' is not a valid --aldente-timeout. It must be a number of seconds greater than 0, or 0 for no limit.",
        "It was given as --aldente-timeout='soon' (str).",
    ),
    "--aldente-timeout=-1": (
        "'-1' is not a valid --aldente-timeout. It must be a number of seconds greater than 0, or 0 for no limit.",
        "It was given as --aldente-timeout='-1' (str).",
    ),
    "--aldente-clock=": (
        "'' is not a valid --aldente-clock. Valid clocks are: real, virtual.",
        "It was given as --aldente-clock='' (str).",
    ),
    "--aldente-explain=deadlok": (
        f"'deadlok' is not a valid --aldente-explain. Did you mean 'deadlock'? The rules are: {RULES}.",
        "It was given as --aldente-explain='deadlok' (str).",
    ),
}


@pytest.mark.parametrize("argument", WRONG)
def test_wrong_values(run_project: RunProject, argument: str) -> None:
    """A wrong value ends the run with its name, value, type and what is allowed."""
    result = run_project(argument, test_it="def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert tuple(result.stderr.lines[:2]) == ("ERROR: " + WRONG[argument][0], WRONG[argument][1])


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        (
            "aldente_rules = slow-stp = off",
            "ERROR: 'slow-stp' is not a valid aldente_rules. Did you mean 'slow-step'? *",
        ),
        (
            "aldente_slow_step = fast",
            "ERROR: 'fast' is not a valid aldente_slow_step. It must be a number of seconds greater than 0.",
        ),
        (
            "aldente_blocking_groups = file",
            "ERROR: 'file' is not a valid aldente_blocking_groups. Allowed are: files.",
        ),
    ],
)
def test_wrong_configuration(run_project: RunProject, ini: str, message: str) -> None:
    """A wrong value in the configuration file ends the run as one on the command line does."""
    result = run_project(ini=ini, test_it="def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


ALLOWED = {
    "test": "@aldente.allow('never-awaited')\ndef test_it():\n    drop()",
    "async test": "@aldente.allow('never-awaited')\nasync def test_it():\n    drop()",
    "several": "@aldente.allow('slow-step', 'never-awaited')\nasync def test_it():\n    drop()",
    "twice": "@aldente.allow('slow-step')\n@aldente.allow('never-awaited')\nasync def test_it():\n    drop()",
    "class": "@aldente.allow('never-awaited')\nclass TestIt:\n    def test_it(self):\n        drop()",
    "module": "pytestmark = aldente.allow('never-awaited')\n\ndef test_it():\n    drop()",
    "list": "pytestmark = [aldente.allow('never-awaited')]\n\ndef test_it():\n    drop()",
    "block": "def test_it():\n    with aldente.allow('never-awaited'):\n        drop()",
    "async block": "async def test_it():\n    with aldente.allow('never-awaited'):\n        drop()\n        await asyncio.sleep(0)\n        drop()",
    "nested blocks": "def test_it():\n    with aldente.allow('never-awaited'):\n        with aldente.allow('slow-step'):\n            drop()\n        drop()",
    "fixture's block": "@pytest.fixture\nasync def resource():\n    with aldente.allow('never-awaited'):\n        drop()\n    yield\n    with aldente.allow('never-awaited'):\n        drop()\n\nasync def test_it(resource):\n    pass",
    "late": "@aldente.allow('never-awaited')\ndef test_it():\n    hold(work())\n\ndef test_next():\n    gc.collect()",
    "late, to the end": "@aldente.allow('never-awaited')\ndef test_it():\n    hold(work())",
}


@pytest.mark.parametrize("test", ALLOWED.values(), ids=ALLOWED)
def test_allow(run_project: RunProject, pytester: pytest.Pytester, test: str) -> None:
    """What is allowed on a test, class, module, parameter or block of code is no finding."""
    result, findings = run_with_findings(run_project, pytester, test_it=START + test)
    assert findings == []
    assert result.ret == 0


NOT_ALLOWED = {
    "other rule": "@aldente.allow('slow-step')\ndef test_it():\n    drop()",
    "after a block": "def test_it():\n    with aldente.allow('never-awaited'):\n        pass\n    drop()",
    "beside a block": (
        "async def other():\n    drop()\n\n"
        "async def test_it():\n    task = asyncio.create_task(other())\n"
        "    with aldente.allow('never-awaited'):\n        await task"
    ),
    "after a block that raised": (
        "def test_it():\n    with pytest.raises(ValueError), aldente.allow('never-awaited'):\n        raise ValueError\n    drop()"
    ),
    "other test": "@aldente.allow('never-awaited')\ndef test_other():\n    pass\n\ndef test_it():\n    drop()",
}


@pytest.mark.parametrize("test", NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_not_allowed(run_project: RunProject, pytester: pytest.Pytester, test: str) -> None:
    """An allowance reaches no further than its test or block, and is for its rules only."""
    _, findings = run_with_findings(run_project, pytester, test_it=START + test)
    assert [(finding["rule"], finding["test"]) for finding in findings] == [
        ("never-awaited", "test_it.py::test_it")
    ]


def test_allow_a_rule_that_is_not_there() -> None:
    """A misspelt rule is refused where it stands, with the nearest one."""
    with pytest.raises(aldente.InvalidSetting) as caught:
        aldente.allow("never-awaitd")
    assert str(caught.value) == (
        f"'never-awaitd' is not a valid allow. Did you mean 'never-awaited'? The rules are: {RULES}.\n"
        "It was given as allow='never-awaitd' (str)."
    )
    with pytest.raises(aldente.InvalidSetting, match="None is not a valid allow"):
        aldente.allow()


OUTCOMES = {
    "xfail": ("@pytest.mark.xfail\ndef test_it():\n    drop()", {"xfailed": 1}, 0),
    "xfail(strict)": (
        "@pytest.mark.xfail(strict=True)\ndef test_it():\n    drop()",
        {"xfailed": 1},
        0,
    ),
    "xfail that fails": (
        "@pytest.mark.xfail\ndef test_it():\n    drop()\n    assert False",
        {"xfailed": 1},
        0,
    ),
    "skip": ("def test_it():\n    drop()\n    pytest.skip('no')", {"skipped": 1}, 0),
    "failure": ("def test_it():\n    drop()\n    assert False", {"failed": 1}, 1),
    "two findings": ("def test_it():\n    drop()\n    work()", {"failed": 1}, 1),
    "two phases": (
        "@pytest.fixture\ndef resource():\n    yield\n    drop()\n\ndef test_it(resource):\n    drop()",
        {"failed": 1, "errors": 1},
        1,
    ),
}


@pytest.mark.parametrize(("test", "outcomes", "status"), OUTCOMES.values(), ids=OUTCOMES)
def test_outcomes(
    run_project: RunProject, test: str, outcomes: dict[str, int], status: int
) -> None:
    """A finding fails its phase once; expected failures, skips and own failures stay what they are."""
    result = run_project(test_it=START + test)
    assert result.ret == status
    result.assert_outcomes(**outcomes)


def test_beside_a_failure(run_project: RunProject) -> None:
    """A body that failed itself is reported with that, and with what was found in a section."""
    result = run_project(test_it=START + "def test_it():\n    drop()\n    assert 1 == 2\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       assert 1 == 2"])
    assert part_of(result, "aldente: found in this test").splitlines()[:3] == [
        "never-awaited: the coroutine 'work' was never awaited.",
        "  test_it.py:12",
        "    work()",
    ]
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_it - assert 1 == 2"])


def test_the_report_of_two_findings(run_project: RunProject) -> None:
    """Two findings of a phase are told one after the other, in one failure."""
    result = run_project(test_it=START + "def test_it():\n    drop()\n    work()\n")
    result.assert_outcomes(failed=1)
    text = part_of(result, "test_it")
    first, second = text.split("\n\n")
    assert first.splitlines()[1:3] == ["  test_it.py:12", "    work()"]
    assert second.splitlines()[1:3] == ["  test_it.py:26", "    work()"]


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_early(run_project: RunProject, option: str) -> None:
    """A finding counts as a failure for -x and --maxfail."""
    result = run_project(option, test_it=DROPS + "\ndef test_next():\n    pass\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


FAILS_AND_WARNS = """
import asyncio
import time
import pytest

async def work():
    pass

async def test_one():
    work()

async def test_more():
    work()
    work()

async def test_blocks():
    time.sleep(0.001)
    asyncio.create_task(asyncio.sleep(60))

async def test_fails():
    time.sleep(0.001)
    assert not "this"
"""


def test_short_lines(run_project: RunProject) -> None:
    """The summary names rule, subject and place; the last line counts what fails nothing."""
    result = run_project("-p", "no:randomly", test_it=FAILS_AND_WARNS)
    result.stdout.fnmatch_lines(
        [
            "FAILED test_it.py::test_one - never-awaited: work at test_it.py:9",
            "FAILED test_it.py::test_more - never-awaited: work at test_it.py:12 (and 1 mo*",
            "FAILED test_it.py::test_fails - *'this'*",
            "=* 3 failed, 1 passed, 3 findings in *",
        ]
    )
    one = run_project("-q", "-k", "test_fails", "--no-summary")
    one.stdout.fnmatch_lines(["1 failed, 3 deselected, 1 finding in *"])


ENDED = """
import asyncio
import aldente

async def test_deadlock():
    first, second = asyncio.Lock(), asyncio.Lock()

    async def take(one, other):
        async with one:
            await asyncio.sleep(0.01)
            async with other:
                pass

    await asyncio.gather(take(first, second), take(second, first))

@aldente.timeout(0.2)
async def test_late():
    await asyncio.sleep(3600)

@aldente.explore(runs=2)
async def test_wrong():
    history = aldente.history()
    with history.operation("read") as operation:
        operation.returns(1)
    history.linearizable(aldente.models.Register())
"""


def test_short_lines_about_errors_of_aldente(run_project: RunProject) -> None:
    """They say what has happened first, not in which module the exception is defined."""
    result = run_project("-p", "no:randomly", test_it=ENDED)
    lines = [line for line in result.outlines if line.startswith("FAILED ")]
    deadlock, late, wrong = (line.partition(" - ")[2] for line in lines)
    # With the lock's number and the place behind it, where the line has room.
    assert re.match(r"deadlock: 'Task-\d+' waits for other", deadlock)
    assert late.startswith("PhaseTimeout: 'test_late' was still ")
    assert wrong.startswith("NotLinearizable: The history ")


def test_a_warning_is_in_the_report_of_its_test(run_project: RunProject) -> None:
    """Tools that show the sections of reports have it; that of a failure stays short."""
    conftest = """
    def pytest_terminal_summary(terminalreporter):
        for outcome in ("passed", "failed"):
            for report in terminalreporter.stats[outcome]:
                for title, text in report.sections:
                    terminalreporter.write_line(f"{report.nodeid} [{title}] {text}")
    """
    result = run_project("-k", "blocks or fails", conftest=conftest, test_it=FAILS_AND_WARNS)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_blocks [[]aldente: found in this test[]] blocking-call: time.sleep*"]
    )
    result.stdout.no_fnmatch_line("test_it.py::test_fails [[]aldente*")


def test_last_failed(run_project: RunProject) -> None:
    """--lf runs the tests again that failed with a finding."""
    project = DROPS + "\ndef test_next():\n    pass\n"
    # The cache, which other projects do without, is named last and so wins.
    result = run_project("-p", "cacheprovider", test_it=project)
    result.assert_outcomes(failed=1, passed=1)
    result = run_project("-p", "cacheprovider", "--lf")
    result.assert_outcomes(failed=1)


def test_the_summary(run_project: RunProject) -> None:
    """The end of a run lists its findings by rule, worst first, those of one place as one."""
    result = run_project(
        "-q",
        *("-p", "no:randomly"),
        test_it=START
        + "async def test_leaves():\n    await leave()\n\n"
        + "@pytest.mark.parametrize('n', range(12))\ndef test_it(n):\n    drop()\n\n"
        + "def test_other():\n    work()\n",
    )
    result.assert_outcomes(failed=13, passed=1)
    expected = [
        "never-awaited [error]: 13, of 2 causes",
        "  test_it.py:12: the coroutine 'work' was never awaited.",
        "      in 12 tests: test_it.py::test_it[0], test_it.py::test_it[1] and 10 more",
        "    Await it, or pass it to asyncio.create_task() and await the task.",
        "  test_it.py:32: the coroutine 'work' was never awaited.",
        "      in test_it.py::test_other",
        "leaked-task [warn]: 1",
    ]
    text = part_of(result, "aldente findings").splitlines()
    assert text[: len(expected)] == expected
    assert (
        text[-1]
        == "pytest --aldente-explain RULE explains a rule, and how to fix or allow its findings."
    )


MANY = (
    START
    + "async def test_it():\n"
    + "".join(f"    work()  # {number}\n" for number in range(46))
    + "".join(
        f"    kept.append(asyncio.create_task(asyncio.sleep(60), name='{number:02}'))\n"
        for number in range(6)
    )
)


@pytest.mark.parametrize("is_explored", [False, True])
def test_many_findings_of_one_kind(run_project: RunProject, is_explored: bool) -> None:
    """Of many findings of a rule five are told, in a test's report and at the end of the run."""
    project = MANY.replace("async def test_it", "@aldente.explore(runs=2)\nasync def test_it")
    result = run_project("-q", subprocess=True, test_it=project if is_explored else MANY)
    report = part_of(result, "test_it")
    assert report.count("Fix: Await it, or pass it to") == 5
    assert "\nnever-awaited: and 41 more like it.\n" in f"{report}\n"
    summary = part_of(result, "aldente findings").splitlines()
    assert summary[0] == "never-awaited [error]: 46"
    assert summary.count("  and 41 more like it; --aldente-findings=FILE writes all") == 1
    assert summary.count("  and 1 more like it; --aldente-findings=FILE writes all") == 1


def test_no_findings(run_project: RunProject) -> None:
    """A run without findings says nothing of them."""
    result = run_project(test_it="async def test_it(): pass")
    result.assert_outcomes(passed=1)
    assert "aldente findings" not in result.stdout.str()


def test_the_findings_file(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """--aldente-findings writes one JSON object a line, into a folder that need not exist."""
    result = run_project("--aldente-findings=reports/findings.json", test_it=DROPS)
    assert result.ret == 1
    assert read_findings(pytester.path / "reports" / "findings.json") == [
        {
            "rule": "never-awaited",
            "level": "error",
            "test": "test_it.py::test_it",
            "phase": "call",
            "what": "the coroutine 'work' was never awaited.",
            "fix": "Await it, or pass it to asyncio.create_task() and await the task.",
            "path": "test_it.py",
            "line": 12,
            "source": "work()",
            "details": [],
        }
    ]
    result = run_project("--aldente-findings=reports/findings.json", test_it="def test_it(): pass")
    assert read_findings(pytester.path / "reports" / "findings.json") == []


def test_the_baseline(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A baseline is written once; later runs tell only what is new, wherever the lines have moved."""
    option = "--aldente-baseline=baseline.json"
    result = run_project(option, test_it=DROPS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "aldente wrote these findings to baseline.json; later runs with this file report only new ones."
        ]
    )
    text = (pytester.path / "baseline.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "version": 1,
        "findings": [
            {
                "test": "test_it.py::test_it",
                "rule": "never-awaited",
                "path": "test_it.py",
                "source": "work()",
            }
        ],
    }

    result = run_project(option)
    result.assert_outcomes(passed=1)
    assert "aldente findings" not in result.stdout.str()
    result.stdout.fnmatch_lines(
        ["aldente: 1 finding is in the baseline baseline.json; none are new."]
    )

    moved = DROPS.replace("def drop():", "\n\n# moved\ndef drop():")
    result = run_project(option, subprocess=True, test_it=moved + "\ndef test_new():\n    drop()\n")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "never-awaited [[]error[]]: 1",
            "      in test_it.py::test_new",
            "1 more is in the baseline baseline.json.",
        ]
    )
    # One known finding stands for one; and nothing is added to the file.
    result = run_project(option, subprocess=True, test_it=DROPS + "    work()\n")
    result.assert_outcomes(failed=1)
    assert "none are new" not in result.stdout.str()
    assert (pytester.path / "baseline.json").read_text(encoding="utf-8") == text


def test_a_stuck_test_in_the_baseline(run_project: RunProject, quick_deadlocks: None) -> None:
    """The finding is skipped, but the test fails, as it has not come to its end."""
    project = "import asyncio\nasync def test_it():\n    await asyncio.Event().wait()\n"
    run_project("--aldente-baseline=known.json", test_it=project).assert_outcomes(failed=1)
    result = run_project("--aldente-baseline=known.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["aldente: 1 finding is in the baseline *; none are new.", "FAILED *DeadlockError*"]
    )


def test_late_findings_in_the_baseline(run_project: RunProject) -> None:
    """What is found when its test has ended is in the baseline too, and then fails no run."""
    project = START + "def test_it():\n    hold(work())\n\ndef test_next():\n    gc.collect()\n"
    assert run_project("--aldente-baseline=baseline.json", test_it=project).ret == 1
    assert run_project("--aldente-baseline=baseline.json").ret == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is not JSON: *."),
        ("[]", "an array of 0 stands where an object must be."),
        ('{"version": 2, "findings": []}', "its version is 2."),
        ('{"version": 1, "findings": [{"test": "a"}]}', "it has no 'rule'."),
        ("[" * 100_000, "it is nested too deeply."),
    ],
)
def test_a_corrupted_baseline(
    run_project: RunProject, pytester: pytest.Pytester, content: str, reason: str
) -> None:
    """A file that is no baseline ends the run, and is left as it is."""
    file = pytester.path / "baseline.json"
    file.write_text(content, encoding="utf-8")
    result = run_project("--aldente-baseline=baseline.json", test_it=DROPS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: --aldente-baseline: {file} is not a baseline that aldente has written: {reason}",
            "Fix: delete it, and the next run writes a new one.",
        ]
    )
    assert file.read_text(encoding="utf-8") == content


def test_junit_xml(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The findings of a test are properties of its element in JUnit XML, warnings too."""
    run_project(
        "--junitxml=junit.xml",
        test_it=START + "async def test_it():\n    drop()\n    await leave()\n",
    )
    properties = ET.parse(pytester.path / "junit.xml").iter("property")
    assert [(one.get("name"), one.get("value")) for one in properties] == [
        ("aldente.never-awaited", "test_it.py:12: the coroutine 'work' was never awaited."),
        (
            "aldente.leaked-task",
            "test_it.py:15: the task 'left' running 'sleep' was left pending.",
        ),
    ]


# The collector comes only when it is called, or the errors would not be late.
LATE = START + (
    "gc.disable()\n\ndef test_it():\n    hold(work())\n    hold(asyncio.sleep(1))\n\n"
    "def test_fails():\n    hold(work())\n    assert 0\n\ndef test_next():\n    gc.collect()\n"
)


@pytest.mark.parametrize("workers", [[], ["-n2", "--dist=loadfile"]], ids=["alone", "xdist"])
@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_late_errors_in_junit_xml(
    run_project: RunProject, pytester: pytest.Pytester, workers: list[str], family: str
) -> None:
    """Each error that is found late is a testcase of its own at the end, and counted; the terminal has it once."""
    result = run_project(
        "--junitxml=junit.xml",
        *workers,
        ini=f"junit_family = {family}",
        plugins=["xdist"],
        subprocess=True,
        test_it=LATE,
    )
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=1, errors=3)
    (suite,) = ET.parse(pytester.path / "junit.xml").iter("testsuite")
    assert (suite.get("failures"), suite.get("errors")) == ("1", "3")
    cases = [
        (case.get("classname"), case.get("name"), [part.tag for part in case])
        for case in suite.iter("testcase")
    ]
    late = ["properties", "error"]
    assert sorted(cases[:3]) == [
        ("test_it", "test_fails", ["failure"]),
        ("test_it", "test_it", []),
        ("test_it", "test_next", []),
    ]
    assert sorted(cases[3:]) == [
        ("test_it", "test_fails", late),
        ("test_it", "test_it", late),
        ("test_it", "test_it", late),
    ]
    error = next(error.text or "" for error in suite.iter("error") if "'sleep'" in str(error.text))
    line = line_of(LATE, "hold(asyncio.sleep(1))")
    assert error.startswith(
        f"never-awaited: the coroutine 'sleep' was never awaited.\n  test_it.py:{line}\n"
    )
    assert error.endswith("aldente found it after the test had ended.")
    # Once in its text, once in the summary of findings, and in pytest's own, which shows no text of
    # such errors before pytest 9.
    times = 3 if pytest.version_tuple >= (9,) else 2
    assert result.stdout.str().count("the coroutine 'sleep' was never aw") == times


def test_late_errors_in_other_reports(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Whoever listens to pytest_runtest_logreport gets late errors."""
    run_project(
        test_it=LATE,
        conftest="""
            def pytest_runtest_logreport(report):
                if report.when == "teardown" and report.failed:
                    with open("late.txt", "a") as file:
                        print(report.nodeid, report.user_properties, file=file)
        """,
        subprocess=True,
    )
    lines = (pytester.path / "late.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(lines)[1:] == [
        f"test_it.py::test_it [('aldente.never-awaited', \"test_it.py:{line_of(LATE, code)}: the coroutine '{name}' was never awaited.\")]"
        for code, name in (("    hold(work())", "work"), ("hold(asyncio.sleep(1))", "sleep"))
    ]


def test_a_late_error_of_no_known_test(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """An error of which nobody knows the test is a testcase in JUnit XML too."""
    run_project(
        "--junitxml=junit.xml",
        test_it=START + "def test_it():\n    pass\n",
        conftest="""
            import pytest
            from aldente._records import Finding, receivers

            @pytest.hookimpl(wrapper=True, tryfirst=True)
            def pytest_sessionfinish():
                receivers[-1](Finding("background-error", "It broke.", "Fix it.", made_by=""))
                return (yield)
        """,
        subprocess=True,
    )
    cases = [
        (case.get("name"), [part.tag for part in case])
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
    ]
    assert cases == [("test_it", []), ("?", ["properties", "error"])]


def test_explaining_all_rules(run_project: RunProject) -> None:
    """--aldente-rules explains every rule, at the level in force, and runs nothing."""
    result = run_project("--aldente-rules", "--aldente-rule=deadlock=warn", test_it=DROPS)
    assert result.ret == 0
    heads = [line.partition(":")[0] for line in result.outlines if re.match(r"[a-z-]+ \[", line)]
    levels = {**DEFAULT_LEVELS, "deadlock": "warn"}
    assert heads == [f"{rule} [{level}]" for rule, level in levels.items()]


def test_explanations_link_to_the_site(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the documentation has a site, explanations end with the address of the rule's page."""
    assert "See " not in run_project("--aldente-explain", "slow-step").outlines[-1]
    monkeypatch.setattr("aldente._version.documentation", "https://example.org/")
    result = run_project("--aldente-explain", "slow-step")
    assert result.outlines[-1].strip() == "See https://example.org/rules/slow-step.html"
    pages = Path(__file__).parents[3] / "docs" / "rules"
    assert [name for name in DEFAULT_LEVELS if not (pages / f"{name}.md").is_file()] == []


def test_explaining_one_rule(run_project: RunProject) -> None:
    """--aldente-explain says what a rule finds, what it does not, and why it matters."""
    result = run_project("--aldente-explain=leaked-task", test_it=DROPS)
    assert result.ret == 0
    text = "\n".join(result.outlines).strip()
    assert text.startswith(
        "leaked-task [warn]: a task still pending at the end of the scope that made it\n"
        "\n"
        "  Found at the end of a test, and of the scope of a wider event loop: tasks that are still pending\n"
        "  after a few more iterations of the loop.\n"
        "\n"
        "  Not a finding: tasks of fixtures while these live; "
    )
    assert text.endswith(
        "\n\n"
        "  Why: aldente cancels it now, whatever it is doing; in a program it would run on, hold its\n"
        "  resources, and fail unnoticed."
    )


def test_without_the_terminal(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Without pytest's terminal plugin findings still fail tests and are still written."""
    result, findings = run_with_findings(run_project, pytester, "-p", "no:terminal", test_it=DROPS)
    assert result.ret == 1
    assert in_short(findings) == ["never-awaited test_it call 12"]


def test_xdist(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Under pytest-xdist all findings, late ones too, reach the controller and its exit status."""
    project = START + (
        "async def test_leaves():\n    await leave()\n\n"
        "def test_holds():\n    hold(work())\n\ndef test_collects():\n    gc.collect()\n"
    )
    result, findings = run_with_findings(
        run_project,
        pytester,
        "-n2",
        "--aldente-baseline=baseline.json",
        plugins=["xdist"],
        subprocess=True,
        test_it=project,
    )
    result.assert_outcomes(passed=3, errors=1)
    assert result.ret == 1
    assert sorted(in_short(findings)) == [
        "leaked-task test_leaves teardown 15",
        "never-awaited test_holds None 28",
    ]
    result.stdout.fnmatch_lines(["never-awaited [[]error[]]: 1", "leaked-task [[]warn[]]: 1"])
    # With the baseline that the controller has written nothing is left to tell.
    result, findings = run_with_findings(
        run_project,
        pytester,
        "-n2",
        "--aldente-baseline=baseline.json",
        plugins=["xdist"],
        subprocess=True,
    )
    assert result.ret == 0
    assert findings == []


def test_reruns(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A test that failed with a finding is run again, and passes when that is gone."""
    project = START + (
        "def test_it():\n    kept.append(1)\n    if len(kept) == 1:\n        drop()\n"
    )
    result, findings = run_with_findings(
        run_project, pytester, "--reruns=2", plugins=["rerunfailures"], test_it=project
    )
    result.stdout.fnmatch_lines(["* 1 passed, 1 rerun in *"])
    assert result.ret == 0
    assert len(findings) == 1


def test_rules_that_are_off_touch_nothing(run_project: RunProject) -> None:
    """With all rules off, asyncio, warnings and what they use are as Python has made them."""
    result = run_project(
        *(f"--aldente-rule={rule}=off" for rule in DEFAULT_LEVELS),
        subprocess=True,
        conftest="""
        import asyncio, gc, socket, subprocess, sys, threading, time, unittest.mock, warnings

        OWNERS = [
            asyncio, asyncio.BaseEventLoop, asyncio.SelectorEventLoop, asyncio.Task, asyncio.Runner,
            asyncio.events, asyncio.tasks, asyncio.runners, asyncio.Handle, asyncio.Server,
            warnings, time, socket, socket.socket, subprocess, subprocess.Popen, threading,
            unittest.mock.NonCallableMock, unittest.mock.Mock, gc.callbacks,
        ]

        def state():
            return [
                {name: value for name, value in vars(owner).items()} if hasattr(owner, "__dict__") else list(owner)
                for owner in OWNERS
            ]

        BEFORE = state()
        """,
        test_it="""
        import sys
        from conftest import BEFORE, OWNERS, state

        async def test_async():
            compare()

        def test_sync():
            compare()

        def compare():
            for owner, before, now in zip(OWNERS, BEFORE, state()):
                if isinstance(before, list):
                    assert before == now
                    continue
                changed = {
                    name for name in before.keys() | now.keys()
                    if before.get(name) is not now.get(name)
                }
                # What pytest's own recording of warnings replaces; what asyncio keeps for itself.
                changed -= {"_showwarnmsg_impl", "showwarning", "_showwarning_orig", "filters", "_filters_version", "onceregistry", "_defaultaction"}
                changed -= {"_event_loop_policy", "_running_loop", "_current_tasks", "__warningregistry__", "excepthook"}
                assert not changed, (owner, changed)
            assert sys.get_coroutine_origin_tracking_depth() == 0
        """,
    )
    result.assert_outcomes(passed=2)
