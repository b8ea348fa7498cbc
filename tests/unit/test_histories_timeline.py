"""The picture of what happened at the same time."""

from __future__ import annotations

from aldente._histories.timeline import Bar, draw, fits


def picture(*bars: Bar, width: int = 100) -> str:
    """The lines of a picture."""
    return "\n".join(draw(bars, width))


def test_bars_that_overlap() -> None:
    """A row for each task in the order of their first bars; an end that is not known is open."""
    assert picture(
        Bar("Ann", 1, 4, "set(1)"),
        Bar("Bob", 2, 0, "set(2) ?"),
        Bar("Cid", 3, 7, "get() = 1", is_marked=True),
        Bar("Ann", 5, 6, "get() = 2", is_dotted=True),
    ) == (
        "  Ann  |--set(1)--| :..get() = 2..:\n"
        "  Bob    |--set(2) ?------------------?\n"
        "> Cid      |--get() = 1-------------|"
    )


def test_bars_of_one_task_at_the_same_time() -> None:
    """They get rows of their own, below the first."""
    assert picture(Bar("Ann", 1, 4, "a"), Bar("Ann", 2, 3, "b"), Bar("Ann", 5, 6, "c")) == (
        "  Ann  |--a------| |--c--|\n         |--b--|"
    )


def test_texts_without_room() -> None:
    """They stand below the picture, by the numbers in the bars."""
    bars = [Bar("Ann", 1, 3, "a" * 30), Bar("Bob", 2, 4, "b" * 50)]
    assert fits(bars)
    assert not fits(bars, 40)
    assert picture(*bars, width=40) == (
        "  Ann  |--1--|\n"
        "  Bob    |--2--|\n"
        "    1  Ann: aaaaaaaaaaaaaaaaaaaaaaaaa...\n"
        f"    2  Bob: {'b' * 25}..."
    )


def test_many_bars() -> None:
    """The last ones are drawn, and the marked one; no line is longer than asked for."""
    bars = [Bar(f"Task-{n % 7}", 2 * n, 2 * n + 1, "x" * 9, is_marked=n == 3) for n in range(1, 60)]
    lines = draw(bars)
    assert lines[0] == "  ... 49 that began earlier are left out"
    assert any(line.startswith("> Task-3  |--3--|") for line in lines)
    assert lines[-1] == "   59  Task-3: xxxxxxxxx"
    assert max(map(len, lines)) <= 100


def test_many_tasks() -> None:
    """A picture has at most 24 rows of tasks, with the beginnings of their names."""
    bars = [Bar(f"a task with a long name: {n}", n, n + 1, "") for n in range(2, 200, 2)]
    lines = draw(bars, 1_000)
    assert lines[0] == "  ... 75 that began earlier are left out"
    assert len(lines) == 1 + 24
    assert lines[1] == "  a task with a long na...  |----|"
