"""What a comparison prints: a table, and below it what somebody has to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.compat.comparing import Comparison, Difference

_HEADER = (
    "suite",
    "version",
    "tests",
    "failing before",
    "same",
    "flaky",
    "expected",
    "unexpected",
)


def summary(comparisons: Sequence[Comparison]) -> str:
    """A table with a line for each suite, and one for all of them."""
    rows = [
        (comparison.suite.name, comparison.suite.version, *map(str, _counts(comparison)))
        for comparison in comparisons
    ]
    if rows:
        sums = map(sum, zip(*map(_counts, comparisons), strict=True))
        rows.append(("all", "", *map(str, sums)))
    return table(_HEADER, rows)


def _counts(comparison: Comparison) -> tuple[int, ...]:
    return (
        comparison.tests,
        comparison.failing,
        comparison.same,
        len(comparison.flaky),
        len(comparison.expected),
        len(comparison.unexpected),
    )


def details(comparison: Comparison) -> Iterator[str]:
    """What somebody has to look at, a paragraph each."""
    name = comparison.suite.name
    for difference in comparison.unexpected:
        yield f"{name}: {described(difference)}"
    for nodeid in comparison.flaky:
        yield f"{name}: {nodeid}\n  flaky"
    for key in comparison.stale:
        yield f"{name}: {key}\n  is listed as a known difference, but does not differ"


def described(difference: Difference) -> str:
    """A difference in two or three lines.

    >>> print(described(Difference("test_a.py::test_b", "passed", "failed", "assert 1 == 2")))
    test_a.py::test_b
      pytest-asyncio: passed, aldente: failed
      assert 1 == 2
    """
    outcomes = f"pytest-asyncio: {difference.peer}, aldente: {difference.subject}"
    message = f"\n  {difference.message}" if difference.message else ""
    return f"{difference.nodeid}\n  {outcomes}{message}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header, the first two columns to the left, the others to the right.

    >>> print(table(["suite", "version", "tests"], [["janus", "2.0.0", "150"]]))
    suite  version  tests
    janus  2.0.0      150
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column > 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
