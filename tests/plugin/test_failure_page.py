"""``--aldente-html``: the page that shows each failure, up to what a browser does with it."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.plugin import terminals
from tests.plugin.conftest import RunProject

PROJECT = """
import asyncio
import aldente

@aldente.explore(runs=50)
async def test_race():
    stock = 1

    async def buy(who):
        nonlocal stock
        if stock > 0:
            await asyncio.sleep(1)
            stock -= 1
            print(who, "has bought one")

    await asyncio.gather(buy("Ann"), buy("Bob"))
    assert stock >= 0

@aldente.explore(runs=50)
async def test_order():
    done = []

    async def work(who):
        await asyncio.sleep(0)
        done.append(who)

    await asyncio.gather(work("Ann"), work("Bob"))
    print("done by", *done)
    assert done[0] == "Ann"

async def test_forgotten():
    asyncio.sleep(1)

def test_sync():
    assert 1 == 2

def test_that_passes():
    pass
"""


def page_in(pytester: pytest.Pytester, name: str = "page.html") -> str:
    return (pytester.path / name).read_text(encoding="utf-8")


def lanes_in(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    assert found is not None
    failures: list[dict[str, Any]] = json.loads(zlib.decompress(base64.b64decode(found[1])))[
        "failures"
    ]
    return failures


def article_about(page: str, test: str) -> str:
    (found,) = [
        each for each in page.split("<article ")[1:] if f"<h2>test_it.py::{test}</h2>" in each
    ]
    return found


def test_what_is_on_it(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Each failure has its error, text, command and steps; findings have their rule and place."""
    result = run_project("-p", "no:randomly", "--aldente-html=page.html", test_it=PROJECT)
    result.assert_outcomes(failed=4, passed=1)
    assert result.outlines[-1] == f"aldente: the page of this run is {pytester.path / 'page.html'}"
    page = page_in(pytester)
    assert "<h1>4 of 5 tests failed</h1>" in page
    race, order, forgotten, sync = lanes_in(page)
    assert race["lanes"]["files"] == ["test_it.py"]
    assert race["stock"] is None
    words = [step["words"] for step in race["lanes"]["steps"]]
    assert "begins buy('Ann')" in words
    article = article_about(page, "test_race")
    assert '<p class="error">assert -1 &gt;= 0</p>' in article
    assert "What raced: stock." in article
    assert "Bob has bought one" in article
    # The story is told once, beside the traceback.
    assert article.count("What raced: stock.") == 1
    assert "It fails in asyncio's default order" in article
    assert order["first_difference"] == next(
        place
        for place, step in enumerate(order["lanes"]["steps"])
        if "switch" in step.get("marks", ())
    )
    # The output is that of the failed run, not of the one that it is compared with.
    assert "done by Bob Ann" in article_about(page, "test_order")
    assert "done by Ann" not in article_about(page, "test_order")
    (token,) = re.findall(
        r"<code>pytest test_it\.py::test_order --aldente-replay=([\w-]+)</code>", page
    )
    assert f"--aldente-replay={token}" in result.stdout.str()
    assert forgotten["lanes"] is sync["lanes"] is None
    assert "assert 1 == 2" in article_about(page, "test_sync")
    assert "never-awaited: 1 finding" in page
    line = PROJECT.strip().splitlines().index("    asyncio.sleep(1)") + 1
    assert f"<mark>  {line}      asyncio.sleep(1)</mark>" in page


def test_a_replay_has_lanes_too(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A schedule that is run again is shown like the one that was found, with its own output."""
    first = run_project("-k", "order", test_it=PROJECT)
    (token,) = re.findall(r"--aldente-replay=([\w-]+)", first.stdout.str())
    run_project("-k", "order", f"--aldente-replay={token}", "--aldente-html=again.html")
    page = page_in(pytester, "again.html")
    (order,) = lanes_in(page)
    assert order["stock"] is not None
    assert "This is the schedule of --aldente-replay." in page
    assert "done by Bob Ann" in page
    assert "done by Ann" not in page


def test_from_workers(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """pytest-xdist's workers send what the page shows."""
    run_project("-n2", "--aldente-html=page.html", plugins=["xdist"], test_it=PROJECT)
    page = page_in(pytester)
    assert "<h1>4 of 5 tests failed</h1>" in page
    assert sum(each["lanes"] is not None for each in lanes_in(page)) == 2
    assert "never-awaited: 1 finding" in page


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["here", "xdist"])
def test_what_fails_in_another_order(
    run_project: RunProject, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """A test without a mark that --aldente-explore finds to depend on the order has its steps."""
    unmarked = PROJECT.replace("@aldente.explore(runs=50)\n", "")
    options = (*workers, "-k", "order or passes", "--aldente-explore", "--aldente-html=page.html")
    result = run_project(*options, plugins=["xdist"], test_it=unmarked)
    result.assert_outcomes(passed=2)
    page = page_in(pytester)
    assert "<h1>None of 2 tests failed, 1 in another order</h1>" in page
    article = article_about(page, "test_order")
    assert "AssertionError" in article
    assert "in another order of its steps; in asyncio's own order the test passes" in article
    assert "\"error\">AssertionError: assert 'Bob' == 'Ann'<span" in article
    (order,) = lanes_in(page)
    assert order["stock"] is not None
    assert "schedule-dependent: 1 finding" in page


def test_a_page_without_failures(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The file of the configuration is beside it; a page is written too if nothing has failed."""
    ini = "aldente_html = reports/page.html"
    run_project(ini=ini, test_it="def test_it(): pass")
    assert "<h1>None of 1 test failed</h1>" in page_in(pytester, "reports/page.html")
    (pytester.path / "reports/page.html").unlink()
    run_project("--collect-only", ini=ini)
    assert not (pytester.path / "reports/page.html").exists()


def test_errors_of_phases_and_of_collection(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Set-up, tear-down and files that can't be imported have their place."""
    text = """
import pytest

@pytest.fixture
def broken():
    raise KeyError("set-up")

@pytest.fixture
def breaking():
    yield
    raise KeyError("tear-down")

def test_one(broken): pass
def test_two(breaking): pass
"""
    pytester.makepyfile(test_bad="import nothing_of_this_name")
    run_project("--aldente-html=page.html", "--continue-on-collection-errors", test_it=text)
    page = page_in(pytester)
    assert "<h1>2 of 2 tests failed, and 1 error in collection</h1>" in page
    for phase in ("in set-up", "in tear-down", "in collection"):
        assert f'<span class="phase"> {phase}</span>' in page
    assert "nothing_of_this_name" in page
    assert '"error">ModuleNotFoundError: No module named' in page


def test_the_first_line_of_a_failure_says_what_has_failed(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A doctest is named by its example, a file by its error."""
    text = """
def double(number):
    \'\'\'Doubles it.

    >>> double(1)
    2
    >>> double(3)
    7
    \'\'\'
    return 2 * number
"""
    pytester.makepyfile(test_bad="def it(:")
    options = ("--doctest-modules", "--continue-on-collection-errors")
    run_project("--aldente-html=page.html", *options, test_it=text)
    page = page_in(pytester)
    assert '"error">&gt;&gt;&gt; double(3)<' in page
    assert page.count('"error">SyntaxError: invalid syntax<') == 2


@pytest.mark.skipif(not hasattr(pytest, "Subtests"), reason="pytest has none before version 9")
def test_a_subtest_is_named(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The failure of a subtest says which it is."""
    text = """
def test_parts(subtests):
    with subtests.test("half", number=3):
        assert 2 == 3
"""
    run_project("--aldente-html=page.html", test_it=text)
    assert '"error">[half] (number=3) assert 2 == 3<' in page_in(pytester)


def test_colours_of_terminals_are_not_on_it(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Neither pytest's colours nor those that a test prints are shown as characters."""
    text = """
def test_it():
    escape, bell = chr(27), chr(7)
    print(f"{escape}[1;31mred{escape}[0m {escape}]8;;http://a.b{bell}link{escape}]8;;{bell}")
    assert [1, 2] == [1, 3]
"""
    run_project("--color=yes", "--aldente-html=page.html", test_it=text)
    article = article_about(page_in(pytester), "test_it")
    assert "At index 1 diff: 2 != 3" in article
    assert "red link" in article
    assert "x1b" not in article


@pytest.mark.parametrize("name", ["html", "trace", "findings", "sarif"])
def test_a_file_is_written_as_a_whole(
    run_project: RunProject, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The file of the run before stays if this one's can't be written, which fails the run."""
    option, path = f"--aldente-{name}", pytester.path / "file"
    path.write_text("before")
    write_text = Path.write_text

    def write_half(self: Path, data: str, **options: Any) -> int:
        if not self.name.startswith(".aldente-"):
            return write_text(self, data, **options)
        write_text(self, data[:100], **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_half)
        result = run_project(f"{option}=file", test_it="def test_it(): pass")
    result.stdout.fnmatch_lines([f"aldente: {option}: {path} can't be written: *No space left*"])
    assert "page of this run" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert path.read_text() == "before"
    assert run_project(f"{option}=file").ret == pytest.ExitCode.OK
    assert path.read_text() != "before"
    assert not list(pytester.path.glob(".aldente-*"))


def test_a_page_although_another_plugin_fails(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """An error of another plugin at the end of the run takes no page away."""
    conftest = "def pytest_sessionfinish():\n    raise KeyError('mine')"
    result = run_project(
        "--aldente-html=page.html", subprocess=True, test_it=PROJECT, conftest=conftest
    )
    assert "KeyError: 'mine'" in result.stderr.str()
    assert "<h1>4 of 5 tests failed</h1>" in page_in(pytester)


@pytest.mark.parametrize(
    ("options", "end"),
    [(["-x"], "pass"), ([], "pytest.exit('enough')"), ([], "raise KeyboardInterrupt")],
)
def test_a_run_that_ends_early(
    run_project: RunProject, pytester: pytest.Pytester, options: list[str], end: str
) -> None:
    """The page of a run that was stopped says so: there may be tests that it does not know."""
    text = f"import pytest\n\ndef test_one(): assert 0\n\ndef test_two(): {end}"
    run_project(*options, "--aldente-html=page.html", subprocess=True, test_it=text)
    (title,) = re.findall("<h1>(.*)</h1>", page_in(pytester))
    assert title in (
        "1 of 1 test failed; the run ended early",
        "1 of 2 tests failed; the run ended early",
    )


def test_reports_carry_nothing_of_the_page(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """What a page shows of a failure is in no report that other plugins write down."""
    conftest = """
def pytest_runtest_logreport(report):
    assert "aldente_page" not in vars(report)
"""
    result = run_project("--aldente-html=page.html", test_it=PROJECT, conftest=conftest)
    result.assert_outcomes(passed=1, failed=4)
    assert "<h1>4 of 5 tests failed</h1>" in page_in(pytester)


def test_a_file_that_cannot_be_written(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A page that can't be written ends the run before it begins."""
    (pytester.path / "file").touch()
    result = run_project("--aldente-html=file/page.html", subprocess=True, test_it=PROJECT)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --aldente-html: *page.html can't be written: *"])
    result = run_project("--aldente-html=", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: '' is not a valid --aldente-html. It must be the path of a file."]
    )


def test_nothing_is_imported_without_the_option(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A run without a page imports none of what makes it."""
    pytester.makeconftest(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print([name for name in sys.modules if name.startswith('aldente._report')])\n"
    )
    result = run_project("-s", "-k", "race", fresh=True, test_it=PROJECT)
    assert "[]" in result.outlines


def test_the_last_line_of_a_terminal(tmp_path: Path) -> None:
    """A terminal gets a picture, and a link to the page; without the option a hint, once."""
    (tmp_path / "test_it.py").write_text(PROJECT, encoding="utf-8")
    _, first = terminals.run(tmp_path, "-k", "race", columns=100)
    assert "  Task-2, buy('Ann')  [1]......\x1b[33m[3]w\x1b[0m\n" in first
    assert first.splitlines()[-1] == (
        "aldente: --aldente-html=FILE shows such failures as pictures in the browser (this hint appears once)"
    )
    _, plain = terminals.run(tmp_path, "-k", "race", "--color=no", columns=100)
    assert "buy('Ann')  [1]" not in plain
    assert "--aldente-html" not in plain
    _, with_page = terminals.run(tmp_path, "-k", "race", "--aldente-html=page.html", columns=100)
    path = tmp_path / "page.html"
    assert with_page.splitlines()[-1] == (
        f"aldente: the page of this run is \x1b]8;;{path.as_uri()}\x1b\\{path}\x1b]8;;\x1b\\"
    )
