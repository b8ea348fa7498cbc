"""The parts of the page that are made without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from aldente._diagnosis.waits import AwaitGraph, Wait, WaitingTask, WaitKind
from aldente._records import SourcePlace
from aldente._report import waits
from aldente._report.elements import add, made, rendered
from aldente._report.failures import Panel, ShownFailure
from aldente._report.findings import Excerpts, Explanation, add_findings, excerpts
from aldente._report.lanes import lanes_of
from aldente._report.page import Content, page_of
from aldente._schedules import Step

NASTY = "</script><b>&\x00\x1b[1m\ud800\r"


def failure(**differing: Any) -> ShownFailure:
    plain: Any = {
        "test": "test_it.py::test_it",
        "phase": "call",
        "error": "assert 1 == 2",
        "text": "the traceback",
        "story": "",
        "remarks": [],
        "command": "",
        "lanes": None,
        "stock": None,
        "panels": [],
    }
    plain.update(differing)
    shown: ShownFailure = plain
    return shown


def finding(**differing: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "rule": "slow-step",
        "level": "error",
        "test": "test_it.py::test_it",
        "what": "a step took 2 s.",
        "fix": "Shorten it.",
        "path": None,
        "line": None,
        "source": None,
        "details": [],
    }
    return {**plain, **differing}


class Checker(HTMLParser):
    """Checks that all elements are closed, and collects their tags, identities and texts."""

    EMPTY = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.identities: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.identities += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[1])))
    return data


def test_nothing_failed() -> None:
    """A page of a run without failures says so, and has nothing to go to."""
    checker = Checker(page_of(Content("None of 3 tests failed", "shop", Path("/shop"))))
    assert "None of 3 tests failed" in checker.text
    assert "nav" not in checker.tags


def test_no_text_of_a_users_is_markup() -> None:
    """Names, messages and output are shown as they are, with visible control characters."""
    steps = [Step(NASTY, NASTY, "", 0.0, SourcePlace(__file__, 3), outcome=NASTY)]
    shown = failure(
        **dict.fromkeys(("test", "error", "text", "story", "command"), NASTY),
        remarks=[NASTY],
        lanes=lanes_of(steps),
    )
    causes = [[finding(what=NASTY, fix=NASTY, test=NASTY, details=[NASTY])]]
    page = page_of(
        Content(NASTY, NASTY, Path.cwd(), [shown], causes, lambda rule: Explanation(NASTY, NASTY))
    )
    page.encode()
    checker = Checker(page)
    assert "b" not in checker.tags
    assert checker.text.count(r"</script><b>&\x00\x1b[1m\ud800\r") == 17
    assert data_of(page)["failures"][0]["lanes"]["steps"][0]["then"] == NASTY


def test_failures_and_findings_can_be_gone_to() -> None:
    """Each failure and the findings are linked from the beginning; identities are unique."""
    failures = [failure(test=f"test_it.py::test_{number}") for number in range(3)]
    page = page_of(Content("3 of 3 tests failed", "", Path.cwd(), failures, [[finding()] * 2]))
    checker = Checker(page)
    targets = re.findall(r'href="#([^"]+)"', page)
    assert set(targets) <= set(checker.identities)
    assert len(set(checker.identities)) == len(checker.identities)
    assert {"failure-1", "failure-2", "failure-3", "findings"} <= set(targets)
    assert "2 findings" in checker.text


def test_many_failures_are_named() -> None:
    """Of very many failures the page shows the first, and names the others."""
    failures = [failure(test=f"test_it.py::test_{number}") for number in range(105)]
    checker = Checker(page_of(Content("", "", Path.cwd(), failures)))
    assert checker.tags.count("article") == 100
    assert "test_it.py::test_104: assert 1 == 2 (only named here)" in checker.text


def test_long_texts_are_cut_in_the_middle() -> None:
    """A long output keeps its beginning and its end, and says how much is left out."""
    text = "begin " + "x" * 50_000 + " end"
    shown = Checker(page_of(Content("", "", Path.cwd(), [failure(text=text)]))).text
    assert "begin x" in shown
    assert "x end" in shown
    assert "... 38,010 characters are left out here ..." in shown


def test_twenty_failures_take_little() -> None:
    """Twenty failures with pictures and long output fit into 300 KB."""
    place = SourcePlace(__file__, 30)
    steps = [
        Step(f"Task-{number % 7}", "", "", number / 8, place, "sleep", woken_in=number - 1)
        for number in range(2_000)
    ]
    failures = [
        failure(test=f"t::{n}", text="line of output\n" * 700, lanes=lanes_of(steps[: 30 * n]))
        for n in range(20)
    ]
    assert len(page_of(Content("", "", Path.cwd(), failures)).encode()) < 300_000


def test_many_large_pictures() -> None:
    """When the pictures of a page grow too large, the later ones are left out, but for their text."""
    tasks = tuple(
        WaitingTask(f"task {n}", f"work{n}", (), (), Wait(WaitKind.EVENT, "Event", f"e{n}", n))
        for n in range(30)
    )
    shown = waits.collect(AwaitGraph(tasks), main=None, folder=Path.cwd())
    panel: Panel = {"kind": "waits", "title": "Which task waits for what", "data": dict(shown)}
    failures = [failure(test=f"t::{n}", panels=[panel]) for n in range(20)]
    page = page_of(Content("", "", Path.cwd(), failures))
    checker = Checker(page)
    drawn = checker.tags.count("svg")
    assert 0 < drawn < 20
    assert checker.text.count("The picture is left out") == 20 - drawn
    assert checker.text.count("'task 29'") >= 20
    assert page.count('<details open=""><summary>As text') == 20 - drawn


def test_a_picture_that_cannot_be_drawn() -> None:
    """The page says so, and has all the rest."""
    broken: Panel = {"kind": "waits", "title": "Which task waits for what", "data": {}}
    shown = Checker(page_of(Content("", "", Path.cwd(), [failure(panels=[broken])]))).text
    assert (
        "Which task waits for what: an error in aldente itself has left this picture out" in shown
    )
    assert "KeyError: " in shown
    assert "the traceback" in shown


def test_sources_have_the_lines_around() -> None:
    """The data has the lines around each place that the lanes name, by the path that is shown."""
    folder = Path(__file__).parent
    steps = [Step("a", "", "", 0.0, SourcePlace(__file__, line)) for line in (12, 60)]
    page = page_of(Content("", "", folder, [failure(lanes=lanes_of(steps))]))
    data = data_of(page)
    name = Path(__file__).name
    assert data["failures"][0]["lanes"]["files"] == [name]
    (first, second) = data["sources"][name]
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert (first[0], first[1]) == (2, source[1:22])
    assert (second[0], second[1]) == (50, source[49:70])


def test_excerpts_that_meet_are_one() -> None:
    """Lines near each other have one excerpt; lines that are not there have none."""
    assert [begin for begin, _ in excerpts(__file__, [1, 20, 60, 10**6])] == [1, 50]
    assert list(excerpts("/nowhere.py", [1])) == []
    assert list(excerpts(__file__, [0])) == []
    sources = Excerpts(Path("/elsewhere"))
    sources.add("<string>", 1)
    assert sources.read() == {"<string>": []}


def _explain(rule: str) -> Explanation:
    return Explanation(f"why {rule}", "all of it", f"https://example.org/rules/{rule}.html")


def test_findings_by_rule_and_place() -> None:
    """A rule has a section, in which each place has its source, fix and tests."""
    parent = made("main")
    tests = [f"t.py::test_{number}" for number in range(20)]
    same = [finding(test=test, path=__file__, line=30, level="warn") for test in tests]
    causes = [[finding(details=["a stack"])], same]
    add_findings(parent, causes, Path(__file__).parent, _explain)
    text = "\n".join(parent.itertext())
    assert "slow-step: 21 findings" in text
    (link,) = parent.iter("a")
    assert link.get("href") == "https://example.org/rules/slow-step.html"
    assert text.count("why slow-step") == 1
    assert "test_page_parts.py:30 (warning)" in text
    assert "Without a place in your code (error)" in text
    assert [each.text for each in parent.iter("mark")] == [
        f"  30  {Path(__file__).read_text(encoding='utf-8').splitlines()[29]}"
    ]
    assert all(each in text for each in ("In 20 tests:", "t.py::test_10", "and 9 more"))
    assert "t.py::test_11" not in text
    assert "a stack" in text


def test_many_findings() -> None:
    """Of very many findings the first have their source, and the others a line each."""
    parent = made("main")
    rules = ["slow-step", "never-awaited"]
    causes = [
        [finding(rule=rule, path=__file__, line=line)] for rule in rules for line in range(1, 81)
    ]
    add_findings(parent, causes, Path(__file__).parent, _explain)
    assert len(list(parent.iter("article"))) == 100
    (more,) = [each for each in parent.iter("ul") if each.get("class") == "more"]
    texts = [each.text for each in more]
    assert len(texts) == 60
    assert texts[0] == "test_page_parts.py:21: a step took 2 s."


@pytest.mark.parametrize("name", ["class_", "for_"])
def test_attributes_with_names_of_keywords(name: str) -> None:
    """Attributes that are keywords of Python are written with an underscore."""
    element: Element = add(made("div"), "p", **{name: "x"})
    assert rendered(element) == f'<p {name[:-1]}="x"></p>'


def test_the_page_may_run_its_own_script_alone() -> None:
    """The browser is told to load nothing, and to run the page's script and no other."""
    page = page_of(Content("All passed", "shop", Path.cwd()))
    script = page.partition('<script type="module">')[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert not re.search(r"(?:src|href|action)=\"(?!#)", page)
