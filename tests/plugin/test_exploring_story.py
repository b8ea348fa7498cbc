"""The story of a failed explored test: how pytest's options show it, and who else gets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.plugin.conftest import RunProject

SHOP = """
import asyncio
import aldente

class Shop:
    def __init__(self):
        self.stock = 1

    async def buy(self, name):
        if self.stock > 0:
            await asyncio.sleep(0.05)
            self.stock -= 1

async def customer(shop, name, arrives):
    await asyncio.sleep(arrives)
    await shop.buy(name)

@aldente.explore
async def test_shop():
    shop = Shop()
    await asyncio.gather(customer(shop, "a", 0.1), customer(shop, "b", 0.2))
    assert shop.stock >= 0
"""

DEADLOCK = """
import asyncio
import aldente

async def use(first, second):
    async with first:
        await asyncio.sleep(1)
        async with second:
            pass

async def use_both(one, other):
    await asyncio.gather(use(one, other), use(other, one))

@aldente.explore
async def test_deadlock():
    one, other = asyncio.Lock(), asyncio.Lock()
    # A comment behind which the test waits.
    await use_both(one, other)
"""


@pytest.fixture(autouse=True)
def columns_of_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the width is that of the terminal in which these tests run."""
    monkeypatch.setenv("COLUMNS", "100")


ADDED = ("-p", "no:randomly", "-p", "no:cacheprovider")


def test_a_stranger_reads_what_is_wrong(run_project: RunProject) -> None:
    """What raced has the name that it has in the test, and each step says what was done."""
    result = run_project(*ADDED, test_it=SHOP)
    result.stdout.fnmatch_lines(
        [
            "What raced: shop.stock.",
            "  Task-*, customer(..., '*', 0.*), read shop.stock = 1 at test_it.py:9;",
            "  Task-*, customer(..., '*', 0.*), changed shop.stock to 0 at test_it.py:11;",
            "  then Task-* changed shop.stock to -1 at test_it.py:11, based on what it had*",
            "  > *sleep takes * longer than its 0.1 s",
            "*goes on after sleep, in customer < buy",
            "*changes shop.stock to -1  test_it.py:11*",
            "*then ends with AssertionError  test_it.py:21*",
        ]
    )


@pytest.mark.parametrize("columns", ["70", "100", "250"])
def test_the_width(run_project: RunProject, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story is as wide as the terminal, and 100 columns at most."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = run_project(*ADDED, test_it=SHOP).outlines
    begin = lines.index("What raced: shop.stock.")
    end = next(number for number, line in enumerate(lines) if line.startswith("Run "))
    assert max(map(len, lines[begin:end])) <= min(int(columns), 100)


def test_all_steps(run_project: RunProject) -> None:
    """-v tells each step."""
    assert "other step" in run_project(*ADDED, test_it=SHOP).stdout.str()
    text = run_project("-v", *ADDED, test_it=SHOP).stdout.str()
    assert "What raced: shop.stock." in text
    assert re.search(r"What happened, in (\d+) of \1 steps", text)
    assert "other step" not in text


@pytest.mark.parametrize("style", ["auto", "long", "short", "native"])
def test_styles_with_the_story(run_project: RunProject, style: str) -> None:
    """All styles of tracebacks have it once, and the command that runs the schedule again."""
    text = run_project(f"--tb={style}", *ADDED, test_it=SHOP).stdout.str()
    assert text.count("What happened, in") == 1
    assert text.count("--aldente-replay=") == 1


def test_a_line_for_each_failure(run_project: RunProject) -> None:
    """--tb=line has one line more than for other tests, with the command that runs it again."""
    result = run_project("--tb=line", *ADDED, test_it=SHOP)
    text = result.stdout.str()
    assert "What" not in text
    (line,) = (line for line in result.outlines if "--aldente-replay=" in line)
    assert line.startswith("run again: pytest test_it.py::test_shop --aldente-replay=")
    again = run_project(line.split()[-1], "--tb=line", *ADDED, test_it=SHOP)
    again.assert_outcomes(failed=1)


def test_nothing(run_project: RunProject) -> None:
    """--tb=no has none of it."""
    text = run_project("--tb=no", *ADDED, test_it=SHOP).stdout.str()
    assert "What" not in text
    assert "--aldente-replay=" not in text


def test_colours(run_project: RunProject) -> None:
    """Marked steps and the failing one are red, source is as pytest's; the text is the same."""
    plain = run_project("--color=no", *ADDED, test_it=SHOP).outlines
    coloured = run_project("--color=yes", *ADDED, test_it=SHOP).outlines
    assert not any("\x1b" in line for line in plain)
    without = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured]
    begin, end = (without.index(text) for text in ("What raced: shop.stock.", without[-1]))
    story = [line for line in without[begin:end] if line.startswith("  ")]
    assert story == [line for line in plain if line.startswith("  ") and line in story]
    assert any(line.startswith("\x1b[31m  > ") for line in coloured)
    (failing,) = (line for line in coloured if "then ends with AssertionError" in line)
    assert failing.startswith("\x1b[31m")
    both = zip(coloured, without, strict=True)
    reading = next(line for line, text in both if "reads shop.stock" in text)
    assert "\x1b[31m" not in reading
    assert "What raced: shop.stock." in coloured


def test_without_highlighting(run_project: RunProject) -> None:
    """--code-highlight=no leaves source plain, and marks red."""
    coloured = run_project("--color=yes", "--code-highlight=no", *ADDED, test_it=SHOP).outlines
    assert any(line.startswith("\x1b[31m  > ") for line in coloured)
    assert any("reads shop.stock = 1  test_it.py:9  if self.stock > 0:" in li for li in coloured)


def test_xdist(run_project: RunProject) -> None:
    """Workers send it as it is; the colours are those of the terminal."""
    pytest.importorskip("xdist")
    arguments = ("-n1", "-p", "no:randomly", "-p", "no:cacheprovider")
    result = run_project(
        *arguments,
        "--color=yes",
        plugins=["xdist"],
        subprocess=True,
        test_it=SHOP,
        test_two=DEADLOCK,
    )
    text = result.stdout.str()
    assert "What raced: shop.stock." in text
    assert "\x1b[31m  > " in text
    assert "DeadlockError" in text
    plain = run_project(*arguments, "--color=no", "--tb=line", plugins=["xdist"], subprocess=True)
    assert len([line for line in plain.outlines if line.startswith("run again: pytest ")]) == 2


def test_a_deadlock_shows_the_test(run_project: RunProject) -> None:
    """The source of the test is shown up to where it waits, and of the functions that it calls."""
    result = run_project(*ADDED, test_it=DEADLOCK)
    result.stdout.fnmatch_lines(
        [
            "    async def test_deadlock():",
            "        one, other = asyncio.Lock(), asyncio.Lock()",
            "        # A comment behind which the test waits.",
            ">       await use_both(one, other)",
            "test_it.py:17: *",
            ">       await asyncio.gather(use(one, other), use(other, one))",
            "E       aldente.errors.DeadlockError: Deadlock: *",
            "test_it.py:11: DeadlockError",
            "*then waits for second (a Lock), held by 'Task-*",
        ],
        consecutive=False,
    )
    result.stdout.no_fnmatch_line("*stuck_lines*")


def test_a_deadlock_in_other_styles(run_project: RunProject) -> None:
    """Each style of tracebacks has the lines, also with local variables."""
    for style in ("short", "native", "line"):
        result = run_project(f"--tb={style}", "--showlocals", *ADDED, test_it=DEADLOCK)
        result.assert_outcomes(failed=1)
        assert "INTERNALERROR" not in result.stdout.str()
        assert "test_it.py" in result.stdout.str()


def test_the_file_of_findings(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A finding of an explored test that failed has the runs, the seed, the token and the story."""
    result = run_project(
        "--aldente-findings=found.jsonl",
        *ADDED,
        test_it=DEADLOCK
        + """
async def test_ordinary():
    asyncio.sleep(0)
""",
    )
    result.assert_outcomes(failed=2)
    lines = Path(pytester.path, "found.jsonl").read_text().splitlines()
    found = {finding["test"]: finding for finding in map(json.loads, lines)}
    explored = found["test_it.py::test_deadlock"]["explored"]
    assert set(explored) == {"runs", "seed", "token", "story"}
    assert explored["runs"] == 1
    assert explored["seed"] == 0
    assert f"--aldente-replay={explored['token']}" in result.stdout.str()
    assert "then waits for second (a Lock), held by 'Task-" in explored["story"]
    assert "explored" not in found["test_it.py::test_ordinary"]
