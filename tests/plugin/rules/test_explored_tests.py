"""What rules find in the runs of explored tests, beside the same found in ordinary tests."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from time import monotonic

import pytest

import aldente
import aldente._plugin.explore.test
from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, read_findings, run_with_findings

# What happens in a run in this process is seen by aldente in this run as well.
pytestmark = aldente.allow("background-error")

START = """
import asyncio
import aldente
import pytest

async def work():
    pass

async def fail():
    raise ValueError("lost")

async def hold():
    coroutine = work()
    raise ValueError

async def orders():
    order = []
    async def put(number):
        await asyncio.sleep(0)
        order.append(number)
    await asyncio.gather(*(put(number) for number in range(3)))
    return order

"""

# Each is called by an ordinary test and by an explored one.
PITFALLS = {
    "error": "work()",
    "two errors": "work()\n    asyncio.create_task(fail())\n    await asyncio.sleep(0.01)",
    "warning": "asyncio.create_task(asyncio.sleep(60), name='left')",
    "error and warning": "asyncio.create_task(asyncio.sleep(60), name='left')\n    work()",
    "beside a failure": "work()\n    assert False",
    "beside a skip": "work()\n    pytest.skip('no')",
    "beside an expected failure": "work()\n    pytest.xfail('no')",
    "allowed in a block": "with aldente.allow('never-awaited'):\n        work()",
    "held by a failure": "coroutine = work()\n    raise ValueError",
    "held by one of a group": "async with asyncio.TaskGroup() as group:\n"
    "        group.create_task(hold())",
    "from a thread": "await asyncio.to_thread(work)",
    "another loop": "asyncio.run(work())",
    "plain-mock": "from unittest.mock import Mock\n    await Mock()()",
}
# What only the reports of explored tests have.
OF_EXPLORATION = ("aldente.runs", "aldente.seed", "aldente.token", "aldente.story")

MARKS = {
    "": "",
    "allowed": "@aldente.allow('never-awaited', 'leaked-task')",
    "other levels": (
        "@aldente.rule('never-awaited', 'warn')\n"
        "@aldente.rule('background-error', 'off')\n"
        "@aldente.rule('leaked-task', 'error')"
    ),
    "expected": "@pytest.mark.xfail",
}


def facts_of(
    name: str, folder: Path
) -> dict[str, tuple[list[str], list[tuple[str, ...]], list[str]]]:
    """What a run's files say of each test in a module: its outcome, findings and properties."""
    found = read_findings(folder / "findings.json")
    facts = {}
    for case in ET.parse(folder / "j.xml").iter("testcase"):
        if case.get("classname") != name:
            continue
        test = str(case.get("name"))
        findings = [
            tuple(finding[key] for key in ("rule", "level", "source", "fix"))
            for finding in found
            if finding["test"] == f"{name}.py::{test}"
        ]
        properties = [str(one.get("name")) for one in case.iter("property")]
        # What is left when the runs of an explored test end fails them, and not its tear-down.
        outcome = [child.tag.replace("error", "failure") for child in case]
        facts[test] = (
            [tag for tag in outcome if tag != "properties"],
            sorted(findings),
            sorted(one for one in properties if one not in OF_EXPLORATION),
        )
    return facts


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_as_in_an_ordinary_test(
    run_project: RunProject, pytester: pytest.Pytester, mark: str
) -> None:
    """An explored test has the outcome, findings and properties of an ordinary one."""
    tests = "".join(
        f"{mark}\nasync def test_{name.replace(' ', '_').replace('-', '_')}():\n    {pitfall}\n\n"
        for name, pitfall in PITFALLS.items()
    )
    result = run_project(
        *("-p", "no:randomly", "--junitxml=j.xml", "--aldente-findings=findings.json"),
        test_ordinary=START + tests,
        test_explored=START + "pytestmark = aldente.explore(runs=20)\n" + tests,
    )
    ordinary, explored = (
        facts_of(f"test_{one}", pytester.path) for one in ("ordinary", "explored")
    )
    assert len(ordinary) == len(PITFALLS)
    assert explored == ordinary
    assert result.stdout.str().count("found in this test") % 2 == 0


SPARED = (
    START
    + """
@aldente.explore
async def test_errors():
    order = await orders()
    work()
    if order[0] == 2:
        work()  # when the last is first
        work()  # when the last is first

@aldente.explore
async def test_warnings():
    for number in await orders():
        asyncio.create_task(asyncio.sleep(60), name=f"left by {number}")
"""
)


def test_once_for_all_runs(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What is found at a place in many runs is told as the first of them has found it."""
    result, findings = run_with_findings(run_project, pytester, test_it=SPARED)
    result.assert_outcomes(failed=1, passed=1)
    assert [finding["what"].partition(" running")[0] for finding in findings] == [
        "the coroutine 'work' was never awaited.",
        "the task 'left by 0'",
        "the task 'left by 1'",
        "the task 'left by 2'",
    ]
    assert result.stdout.str().count("Why: Calling an 'async def' function") == 1


def test_the_baseline(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """One that is written has what all runs find; later no run fails for it, but for what is new."""
    option = "--aldente-baseline=baseline.json"
    result, findings = run_with_findings(run_project, pytester, option, test_it=SPARED)
    result.assert_outcomes(failed=1, passed=1)
    assert len(findings) == 3 + 3
    result.stdout.fnmatch_lines(
        [
            "never-awaited [[]error[]]: 3",
            "aldente wrote these findings to baseline.json; later runs with this file report only new ones.",
        ]
    )
    # Each is told in the failure as well.
    assert result.stdout.str().count("Why: Calling an 'async def' function") == 3
    known = json.loads((pytester.path / "baseline.json").read_text(encoding="utf-8"))
    assert len(known["findings"]) == 3 + 3

    result, findings = run_with_findings(run_project, pytester, option)
    result.assert_outcomes(passed=2)
    assert findings == []
    assert "aldente findings" not in result.stdout.str()

    new = SPARED.replace(
        "async def test_warnings",
        "async def test_new():\n    if (await orders())[0] == 2:\n        work()\n\n"
        "@aldente.explore\nasync def test_warnings",
    )
    new = new.replace("    work()\n    if", "    work()\n    assert order[1] != 2\n    if")
    result, findings = run_with_findings(
        run_project, pytester, option, "-p", "no:randomly", subprocess=True, test_it=new
    )
    result.assert_outcomes(failed=2, passed=1)
    assert in_short(findings) == [f"never-awaited test_new call {_line_of_new(new)}"]
    result.stdout.fnmatch_lines(
        [
            "*assert order[[]1[]] != 2",
            "*--aldente-replay=*",
            "never-awaited: the coroutine 'work' was never awaited.",
            "*--aldente-replay=*",
            "6 more are in the baseline baseline.json.",
        ]
    )


def _line_of_new(project: str) -> int:
    return line_of(project, "async def test_new") + 2


def test_more_than_in_the_baseline(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What is known stands for any number of findings in a run, as other schedules have more."""
    module = (
        START
        + """
@aldente.explore
async def test_it():
    for number in range(NUMBER):
        work()
"""
    )
    option = "--aldente-baseline=baseline.json"
    run_project(option, test_it=module.replace("NUMBER", "1")).assert_outcomes(failed=1)
    result = run_project(option, subprocess=True, test_it=module.replace("NUMBER", "3"))
    result.assert_outcomes(passed=1)


def test_a_schedule_that_failed_for_what_is_known(run_project: RunProject) -> None:
    """It is not said to be fixed when the baseline makes it pass, but when what was found is gone."""
    module = (
        START
        + """
@aldente.explore
async def test_it():
    if (await orders())[0] == 2:
        work()
"""
    )
    cached = ("-p", "cacheprovider")
    run_project(*cached, test_it=module).assert_outcomes(failed=1)
    option = "--aldente-baseline=baseline.json"
    for expected in ({"failed": 1}, {"passed": 1}):
        result = run_project(*cached, option)
        result.assert_outcomes(**expected)
        assert "fixed" not in result.stdout.str()
    result = run_project(
        *cached,
        option,
        subprocess=True,
        test_it=module.replace("        work", "        await work"),
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["fixed: test_it.py::test_it passes under the schedule *"])


def test_replaying(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """One schedule that is run again has its finding told once too, and passes with the baseline."""
    module = (
        START
        + """
@aldente.explore
async def test_it():
    if (await orders())[0] == 2:
        work()
"""
    )
    result = run_project(test_it=module)
    (token,) = {word for word in result.stdout.str().split() if "--aldente-replay=" in word}
    result, findings = run_with_findings(
        run_project, pytester, token, "--aldente-baseline=known.json"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*aldente: what happened*", "never-awaited [[]error[]]: 1"])
    assert len(findings) == 1
    result, findings = run_with_findings(
        run_project, pytester, token, "--aldente-baseline=known.json"
    )
    result.assert_outcomes(passed=1)
    assert findings == []


def test_a_run_that_is_cut_off(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """What is left by a run that ``max_seconds`` ends gets into no baseline."""
    result, findings = run_with_findings(
        run_project,
        pytester,
        *("-p", "no:randomly", "-W", "ignore", "--aldente-baseline=baseline.json"),
        subprocess=True,
        test_it="""
        import asyncio
        import time
        import aldente

        begun = []

        @aldente.explore(max_seconds=1, strategy="random", runs=1_000_000)
        @aldente.allow("blocking-call", "slow-step")
        async def test_late():
            async def fail():
                raise ValueError
            begun.append(1)
            task = asyncio.create_task(fail())
            await asyncio.sleep(0)
            if len(begun) == 6:
                time.sleep(1.2)
            for _ in range(3_000 if len(begun) == 6 else 1):
                await asyncio.sleep(0)
            try:
                await task
            except ValueError:
                pass
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["cut short: *"])
    assert findings == []


@pytest.mark.parametrize("level", ["error", "warn", "off"])
def test_deadlocks(run_project: RunProject, pytester: pytest.Pytester, level: str) -> None:
    """A deadlock that fails a run is a finding of the test too, unless its rule is off."""
    module = """
@aldente.virtual_time
async def test_it():
    first, other = asyncio.Lock(), asyncio.Lock()
    async def take(one, another):
        async with one:
            await asyncio.sleep(1)
            async with another:
                pass
    await asyncio.gather(take(first, other), take(other, first))
"""
    explored = module.replace("@aldente.virtual_time", "@aldente.explore")
    modules = {"test_explored": START + explored}
    if level == "error":
        # Else it waits until its time is over.
        modules["test_ordinary"] = START + module
    result = run_project(
        *("-p", "no:randomly", "--junitxml=j.xml", "--aldente-findings=findings.json"),
        f"--aldente-rule=deadlock={level}",
        **modules,
    )
    explored_facts = facts_of("test_explored", pytester.path)
    outcome, findings, properties = explored_facts["test_it"]
    assert outcome == ["failure"]
    assert [(rule, its_level) for rule, its_level, *_ in findings] == (
        [] if level == "off" else [("deadlock", level)]
    )
    assert len(properties) == len(findings)
    if level == "error":
        assert facts_of("test_ordinary", pytester.path) == explored_facts
    assert "found in this test" not in result.stdout.str()


def test_a_deadlock_in_the_baseline(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A known one is passed over, but nothing can go on in its run, so the test fails still."""
    module = START + "@aldente.explore\nasync def test_it():\n    await asyncio.Event().wait()\n"
    for number in (1, 0):
        result, findings = run_with_findings(
            run_project, pytester, "--aldente-baseline=baseline.json", test_it=module
        )
        result.assert_outcomes(failed=1)
        assert len(findings) == number


def test_xdist(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Under pytest-xdist the controller has them, writes the baseline, and workers go by it."""
    new = "\n\ndef test_ordinary():\n    work()\n"
    for project, number, expected in (
        (SPARED, 6, {"failed": 1, "passed": 1}),
        (SPARED + new, 1, {"failed": 1, "passed": 2}),
    ):
        result, findings = run_with_findings(
            run_project,
            pytester,
            *("-n2", "-p", "no:randomly", "--aldente-baseline=baseline.json"),
            plugins=["xdist"],
            subprocess=True,
            test_it=project,
        )
        result.assert_outcomes(**expected)
        assert len(findings) == number
    result.stdout.fnmatch_lines(["6 more are in the baseline baseline.json."])


def test_reruns(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Each attempt of a test that is run again has its own findings."""
    module = (
        START
        + """
attempts = []

@aldente.explore(runs=1)
async def test_it():
    if len(attempts) < 3:
        work()
    attempts.append(1)
"""
    )
    result, findings = run_with_findings(
        run_project, pytester, "--reruns=2", plugins=["rerunfailures"], test_it=module
    )
    result.stdout.fnmatch_lines(["*1 rerun*"])
    assert len(findings) == len(part_of(result, "aldente findings").split("in test_it.py::")) - 1


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("pytest.exit('enough')", ["leaked-task test_it None", "never-awaited test_it None"]),
        ("raise KeyboardInterrupt", []),
    ],
)
def test_the_end_of_the_session(
    run_project: RunProject, pytester: pytest.Pytester, end: str, expected: list[str]
) -> None:
    """A run that ends the session leaves what was found to the end; with Ctrl-C it means nothing."""
    module = (
        START
        + f"""
runs = []

@aldente.rule("never-awaited", "warn")
@aldente.explore
async def test_it():
    runs.append(1)
    work()
    asyncio.create_task(asyncio.sleep(60))
    await orders()
    if len(runs) == 5:
        {end}
"""
    )
    _, findings = run_with_findings(
        # pytester hands Ctrl-C on to the run around.
        run_project,
        pytester,
        subprocess=True,
        test_it=module,
    )
    assert sorted(line.rpartition(" ")[0] for line in in_short(findings)) == expected


EXAMPLES = (
    START
    + """
from hypothesis import assume, given, settings, strategies as st

@settings(max_examples=20, database=None, derandomize=True)
@given(number=st.integers(0, 9))
async def test_it(number):
    BODY
"""
)


@pytest.mark.parametrize(
    "body",
    [
        "work()",
        "if number > 3: work()",
        "if number > 3: work()\n    assert number != 2",
        "work()\n    assert number < 2",
        "work()\n    assume(number > 3)",
        "if number == 3:\n        work()\n        assume(False)",
        "for one in range(number): asyncio.create_task(asyncio.sleep(9), name=str(number))",
    ],
)
def test_with_hypothesis(run_project: RunProject, pytester: pytest.Pytester, body: str) -> None:
    """With examples too each is told once, whatever else Hypothesis finds."""
    module = EXAMPLES.replace("BODY", body)
    result = run_project(
        *("-p", "no:randomly", "--junitxml=j.xml", "--aldente-findings=findings.json"),
        plugins=["hypothesispytest"],
        test_ordinary=module,
        test_explored=module.replace("@settings", "@aldente.explore\n@settings"),
    )
    ordinary, explored = (
        facts_of(f"test_{one}", pytester.path)["test_it"] for one in ("ordinary", "explored")
    )
    assert explored[0] == ordinary[0]
    assert set(explored[1]) == set(ordinary[1])
    if "range" not in body:
        assert explored == ordinary
    assert result.stdout.str().count("rules={") == 0


def test_an_example_that_is_rejected_is_no_failure(
    run_project: RunProject, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it the time for all runs ends the search still, as it does not after a failure."""
    over = pytester.path / "over"
    monkeypatch.setattr(
        aldente._plugin.explore.test, "monotonic", lambda: monotonic() + 1_000 * over.exists()
    )
    result = run_project(
        *("-p", "no:randomly"),
        plugins=["hypothesispytest"],
        test_it="""
        import pathlib
        import aldente
        from hypothesis import assume, given, settings, strategies as st

        accepted = []

        @aldente.explore(max_seconds=900)
        @settings(max_examples=30, database=None, derandomize=True)
        @given(number=st.integers(0, 9))
        async def test_it(number):
            # The smallest is the first.
            assume(number)
            pathlib.Path("over").touch()
            accepted.append(number)

        def test_which():
            assert len(set(accepted)) == 1
        """,
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["cut short: test_it.py::test_it: *"])
