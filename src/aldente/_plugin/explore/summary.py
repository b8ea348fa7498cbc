"""The outcomes of all explored tests at the end of the test run, and the colours of stories."""

from __future__ import annotations

import functools
import importlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from aldente._plugin.explore.report import ATTRIBUTE, TITLE, is_a_line
from aldente._plugin.findings.summary import EXPLORED


def register(config: pytest.Config) -> None:
    """Register the summary, once."""
    if not config.pluginmanager.has_plugin(EXPLORED):
        config.pluginmanager.register(ExplorationSummary(config), EXPLORED)


class ExplorationSummary:
    """Collects the outcomes of explored tests, from all processes, and prints them.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._described: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        described = vars(report).get(ATTRIBUTE)
        if described is not None:
            self._described[report.nodeid] = described
            colour_story(report, TITLE, described.get("picture", ()))

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """What is known of each explored test that failed, by its node id."""
        return {
            name: {"runs": described["runs"], **described["failure"]}
            for name, described in self._described.items()
            if "failure" in described
        }

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._described:
            return
        is_verbose = self._config.get_verbosity() > 0
        inside = f"{self._config.rootpath}{os.sep}"
        lines = [
            line.replace(inside, "") for line in _lines(self._described, is_verbose=is_verbose)
        ]
        if is_a_line(self._config):
            # The reports are not printed, so this is all that says how to see a failure again.
            lines += [
                f"run again: {described['command']}"
                for described in self._described.values()
                if "command" in described
            ]
        if self._config.get_verbosity() < 0 and len(lines) == 1:
            # Quiet, and only the numbers would be printed.
            return
        terminalreporter.section("aldente: exploration", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


def _unreached(exhausted: Sequence[Mapping[str, Any]], complete: int) -> str:
    """In how many tests no time-out ever fired, in words: what it limits never took so long."""
    unreached = sum(bool(each["has_durations"] and each["unreached"]) for each in exhausted)
    if not unreached:
        return ""
    where = "" if complete == 1 else f"in {unreached:,} of them "
    return f" ({where}no time-out ever fired)"


# The plurals of the kinds of faults, in the order in which they are shown.
_PLURALS = {"reset": "resets", "partition": "partitions", "crash": "crashes", "loss": "losses"}


def _faults(described: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterable[str]:
    """How many faults of the network have happened in the runs in which some may."""
    tests = {name: each for name, each in described.items() if each["faults"]}
    if tests and not is_verbose:
        total = Counter[str]()
        for each in tests.values():
            total.update(each["faults"])
        tests = {"": {"faults": total, "runs": sum(each["runs"] for each in tests.values())}}
    for name, each in tests.items():
        counts = each["faults"]
        kinds = [kind for kind in _PLURALS if kind in counts]
        words = [
            f"{counts[kind]:,} {kind if counts[kind] == 1 else _PLURALS[kind]}" for kind in kinds
        ]
        runs = f"{each['runs']:,} run{'s' * (each['runs'] != 1)}"
        yield f"faults: {f'{name}: ' if name else ''}{', '.join(words)} in {runs}"


def _lines(described: dict[str, dict[str, Any]], *, is_verbose: bool) -> Iterable[str]:
    runs = sum(each["runs"] for each in described.values())
    exhausted = [each for each in described.values() if each["is_exhausted"]]
    complete = sum(bool(each["has_durations"]) for each in exhausted)
    of_orders = len(exhausted) - complete
    tests = f"{len(described):,} test{'s' * (len(described) != 1)}"
    parts = [f"{tests} explored in {runs:,} run{'s' * (runs != 1)}"]
    parts += sorted({f"shard {each['shard']}" for each in described.values() if each["shard"]})
    if complete:
        parts.append(f"{complete:,} exhaustively{_unreached(exhausted, complete)}")
    if of_orders:
        parts.append(f"{of_orders:,} in all orders (slack=0: sleeps and time-outs were not varied)")
    yield ", ".join(parts)
    yield from _faults(described, is_verbose=is_verbose)
    for name, each in described.items():
        if each["is_fixed"]:
            yield (
                f"fixed: {name} passes under the schedule that failed before; aldente no longer "
                "keeps that schedule"
            )
        if each["escaped"]:
            yield f"not exact: {name}: {each['escaped']}"
        for reason, count in each["unjudged"].items():
            yield f"not judged: {name}: {count:,} of {each['runs']:,} runs, because {reason}"
        if each["is_late"]:
            limit = f" of {each['limit']:,}" if each["limit"] else ""
            yield (
                f"cut short: {name}: {each['runs']:,}{limit} runs in "
                f"max_seconds={each['seconds']:g}"
            )
        if is_verbose:
            coverage = f" {each['coverage']}" if each["coverage"] else ""
            yield f"{name}: {each['runs']:,} run{'s' * (each['runs'] != 1)}.{coverage}"


# The first line of a step: its mark, its time if there is one, and who takes it.
_STEP = re.compile(r"  (?P<mark>[> ]) (?=\S| *[\d.e+-]+ s  )")

# A step in the picture: with what it left stock order, its number, and its marks.
_BLOCK = re.compile(r"(?P<mark>>?)[\[(]\d+[\])](?P<marks>[rwax!]*)")

# A place with its source.
_SOURCE = re.compile(r"^(?P<before>.*?\S:\d+  )(?P<source>\S.*)$")


def colour_story(report: pytest.TestReport, title: str, picture: Sequence[str]) -> None:
    """Colour the section of a report with the story, if the writer has colours.

    Args:
        report: the report.
        title: the title of the section.
        picture: the lines of the picture; none without one.
    """
    longrepr: Any = report.longrepr
    sections = getattr(longrepr, "sections", None)
    if isinstance(sections, list) and any(name == title for name, *_ in sections):
        plain = longrepr.toterminal
        longrepr.toterminal = functools.partial(_write, longrepr, plain, title, picture)


def _write(
    longrepr: Any,
    plain: Callable[[Any], None],
    title: str,
    picture: Sequence[str],
    writer: Any,
) -> None:
    if not writer.hasmarkup:
        plain(writer)
        return
    sections = longrepr.sections
    described = [section for section in sections if section[0] == title]
    longrepr.sections = [section for section in sections if section[0] != title]
    try:
        plain(writer)
    finally:
        longrepr.sections = sections
    for name, content, separator in described:
        writer.sep(separator, name)
        _write_picture(writer, picture)
        _write_story(writer, content.splitlines())


def _write_picture(writer: Any, picture: Sequence[str]) -> None:
    def coloured(found: re.Match[str]) -> str:
        is_red = bool(found["mark"]) or "!" in found["marks"]
        is_yellow = bool(found["marks"]) and not is_red
        text: str = writer.markup(found.group(), red=is_red, yellow=is_yellow)
        return text

    for line in picture:
        writer.line(_BLOCK.sub(coloured, line))
    if picture:
        writer.line()


def _write_story(writer: Any, lines: list[str]) -> None:
    end = lines.index("") if "" in lines else len(lines)
    begin = next((n for n, line in enumerate(lines) if line.startswith("What happened")), end)
    if begin > end:
        # Behind the paragraph on what raced.
        end = lines.index("", begin) if "" in lines[begin:] else len(lines)
    steps = [number for number in range(begin + 1, end) if _STEP.match(lines[number])]
    # The last step is the one that fails.
    is_red = False
    for number, line in enumerate(lines):
        if number in steps:
            is_red = number == steps[-1] or line.startswith("  >")
        elif not begin < number < end or line.startswith("      ..."):
            is_red = False
        if is_red:
            writer.line(line, red=True)
            continue
        found = _SOURCE.match(line) if begin < number < end else None
        if found is None:
            writer.line(line)
        else:
            writer.line(found["before"] + _highlighted(writer, found["source"]))


def _highlighted(writer: Any, source: str) -> str:
    """A line of source in the colours in which pytest writes source."""
    if not getattr(writer, "code_highlight", False):
        return source
    try:
        # It comes with pytest, but not with an old one.
        pygments = importlib.import_module("pygments")
        formatters = importlib.import_module("pygments.formatters")
        lexers = importlib.import_module("pygments.lexers")
        formatter = formatters.TerminalFormatter(
            bg=os.getenv("PYTEST_THEME_MODE", "dark"), style=os.getenv("PYTEST_THEME")
        )
        text: str = pygments.highlight(source, lexers.PythonLexer(), formatter)
    except Exception:  # pygments is missing, or the theme is unknown: pytest has reported that
        return source
    return text.rstrip("\n")
