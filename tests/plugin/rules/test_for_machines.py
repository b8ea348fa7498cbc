"""Findings for other programs: the files of ``--aldente-findings`` and ``--aldente-sarif``, and GitHub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import RunProject

fastjsonschema = pytest.importorskip(
    "fastjsonschema", reason="installed for the newest Python only"
)
sarif_pydantic = pytest.importorskip(
    "sarif_pydantic", reason="installed for the newest Python only"
)

SCHEMA = Path(__file__).parents[3] / "docs" / "findings.schema.json"

# Findings with and without a line, at both levels, of one test and of several, and after its end.
PROJECT = """
import asyncio
import threading
import time
import aldente
import pytest

kept = []

async def fetch_data():
    pass

@pytest.mark.parametrize("n", range(3))
async def test_blocks(n):
    time.sleep(0.001)  # 100 %, or: more

async def test_forgets():
    fetch_data()

@aldente.explore(runs=3)
async def test_explored():
    fetch_data()

def test_keeps():
    kept.append(fetch_data())

def test_drops():
    kept.clear()

async def test_leaves():
    class Unnamed:
        def __await__(self):
            yield from asyncio.sleep(60).__await__()

    async def wait():
        await Unnamed()

    exec("asyncio.create_task(wait())", {**globals(), "wait": wait})
"""


@pytest.fixture(name="findings")
def _findings(run_project: RunProject, pytester: pytest.Pytester) -> list[dict[str, Any]]:
    """The findings of the project, by ``--aldente-findings``; its SARIF log is in found.sarif."""
    run_project(
        "-p",
        "no:randomly",
        "--aldente-findings=found.jsonl",
        "--aldente-sarif=reports/found.sarif",
        test_it=PROJECT,
    )
    lines = (pytester.path / "found.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def sarif_of(pytester: pytest.Pytester) -> dict[str, Any]:
    """The log of the project."""
    text = (pytester.path / "reports" / "found.sarif").read_text(encoding="utf-8")
    log: dict[str, Any] = json.loads(text)
    return log


def test_the_schema_describes_all_findings(findings: list[dict[str, Any]]) -> None:
    """Every line of the file is as docs/findings.schema.json says; paths are relative."""
    validate = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    for finding in findings:
        validate(finding)
    assert {finding["path"] for finding in findings} >= {"test_it.py"}
    assert {finding["level"] for finding in findings} == {"error", "warn"}
    assert {finding["phase"] for finding in findings} >= {"call", "teardown", None}
    assert [finding["test"] for finding in findings if "explored" in finding] == [
        "test_it.py::test_explored"
    ]
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validate({**findings[0], "level": "note"})


def test_sarif(findings: list[dict[str, Any]], pytester: pytest.Pytester) -> None:
    """The log is SARIF 2.1.0: a result for each rule and line, with its tests and tokens."""
    log = sarif_of(pytester)
    read = sarif_pydantic.Sarif.model_validate(log)
    assert read.version == "2.1.0"
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules)) > 10
    results = run["results"]
    assert sum(result["occurrenceCount"] for result in results) == len(findings)
    for result in results:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    (blocking,) = [result for result in results if result["ruleId"] == "blocking-call"]
    assert blocking["level"] == "warning"
    assert blocking["properties"]["tests"] == [f"test_it.py::test_blocks[{n}]" for n in range(3)]
    place = blocking["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "test_it.py"}
    assert place["region"]["snippet"]["text"] == "time.sleep(0.001)  # 100 %, or: more"
    tokens = [
        result["properties"]["tokens"] for result in results if "tokens" in result["properties"]
    ]
    (token,) = [finding["explored"]["token"] for finding in findings if "explored" in finding]
    assert tokens == [[token]]
    prints = [result["partialFingerprints"]["aldente/v1"] for result in results]
    assert len(set(prints)) == len(prints)


def test_tokens_of_tests_that_pass(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A finding in a schedule of a test that passes says which schedule it is, in all files."""
    run_project(
        "--aldente-explore",
        "--aldente-findings=found.jsonl",
        "--aldente-sarif=reports/found.sarif",
        test_it="""
        import asyncio
        import aldente

        class Shop:
            stock = 3

            async def buy(self):
                if self.stock:
                    await asyncio.sleep(0)
                    self.stock -= 1

        async def look(shop):
            await asyncio.sleep(0)
            return shop.stock

        async def test_order():
            shop = Shop()
            stock, *_ = await asyncio.gather(look(shop), shop.buy(), shop.buy())
            assert stock == 3

        class Counter:
            value = 0

        async def add(counter):
            before = counter.value
            await asyncio.sleep(0.01)
            counter.value = before + 1

        @aldente.explore
        async def test_race():
            counter = Counter()
            await asyncio.gather(add(counter), add(counter))
        """,
    )
    validate = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    lines = (pytester.path / "found.jsonl").read_text(encoding="utf-8").splitlines()
    found = {finding["rule"]: finding for finding in map(json.loads, lines)}
    for finding in found.values():
        validate(finding)
        assert finding["details"][-1].endswith(f"--aldente-replay={finding['token']}")
    assert set(found) == {"schedule-dependent", "race"}
    (run,) = sarif_of(pytester)["runs"]
    assert {result["ruleId"]: result["properties"]["tokens"] for result in run["results"]} == {
        rule: [finding["token"]] for rule, finding in found.items()
    }


def test_a_log_of_no_findings(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """It is written as well, so that a service knows that all is well."""
    run_project("--aldente-sarif=reports/found.sarif", test_it="def test_it(): pass")
    log = sarif_of(pytester)
    sarif_pydantic.Sarif.model_validate(log)
    assert log["runs"][0]["results"] == []


@pytest.mark.parametrize("option", ["--aldente-findings", "--aldente-sarif"])
def test_a_file_that_cannot_be_written(
    run_project: RunProject, pytester: pytest.Pytester, option: str
) -> None:
    """It is an error before the first test."""
    (pytester.path / "file").write_text("", encoding="utf-8")
    result = run_project(f"{option}=file/found", subprocess=True, test_it="def test_it(): pass")
    result.stderr.fnmatch_lines([f"ERROR: {option}: *found can't be written: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_lines_of_a_moved_finding(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A service takes a finding for the same when code above it has changed."""
    prints = []
    for text in (PROJECT, f"\n\n{PROJECT}"):
        run_project("-k", "blocks", "--aldente-sarif=reports/found.sarif", test_it=text)
        (result,) = sarif_of(pytester)["runs"][0]["results"]
        prints.append(result["partialFingerprints"])
    assert prints[0] == prints[1]


def test_annotations_in_a_github_action(
    run_project: RunProject, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Findings are shown at their lines, by paths from the top of the checkout."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    conftest = "import os\nos.environ['GITHUB_ACTIONS'] = 'true'\n"
    monkeypatch.setenv("GITHUB_ACTIONS", "")
    result = run_project("-k", "blocks or forgets", conftest=conftest, test_it=PROJECT)
    file = f"{pytester.path.name}/test_it.py"
    commands = [line for line in result.stdout.lines if line.startswith("::")]
    assert commands == [
        f"::error title=aldente%3A never-awaited,file={file},line=17::the coroutine 'fetch_data' was "
        "never awaited.%0AAwait it, or pass it to asyncio.create_task() and await the task.%0AIn "
        "test_it.py::test_forgets.",
        f"::warning title=aldente%3A blocking-call,file={file},line=14::time.sleep(0.001) blocks the "
        "event loop: nothing else on it runs until the call returns.%0AAwait asyncio's: 'await "
        "asyncio.sleep(0.001)'.%0AIn test_it.py::test_blocks[0] and 2 more.",
    ]


def test_a_token_in_a_github_action(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The annotation of an explored test says how to run it again."""
    conftest = "import os\nos.environ['GITHUB_ACTIONS'] = 'true'\n"
    monkeypatch.setenv("GITHUB_ACTIONS", "")
    result = run_project("-k", "explored", conftest=conftest, test_it=PROJECT)
    (command,) = [line for line in result.stdout.lines if line.startswith("::")]
    assert "%0ARun it again: --aldente-replay=3" in command


def test_no_annotations_elsewhere(run_project: RunProject) -> None:
    """They are for GitHub alone."""
    result = run_project("-k", "blocks", test_it=PROJECT)
    assert not [line for line in result.stdout.lines if line.startswith("::")]
