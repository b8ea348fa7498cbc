"""`Dfs` leaves out no order of two steps of which one changes what the other reads or changes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.dfs import Dfs
from tests.conformance.racing import Main, program_of, source_of_pair

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="Python 3.11 has no sys.monitoring, so nothing is left out"
)

# Names of `racing_steps`; benchmarks/simulation_proofs.py tries all pairs of those.
DEPENDENT = [
    # Variables of a closure and globals, in code of any form.
    ("set_cell", "lambda"),
    ("set_cell", "first_of"),
    ("set_cell", "class_body"),
    ("set_cell", "walrus"),
    ("set_cell", "await_and_read"),
    ("nested_write", "lambda"),
    ("other_cell", "one_line"),
    ("other_cell", "walrus_cell"),
    ("other_cell", "finally"),
    ("global", "read_global"),
    # Attributes, and what looks like something else.
    ("attribute", "augmented"),
    ("attribute", "helper"),
    ("attribute", "property"),
    ("set_property", "missing"),
    ("delete", "delete"),
    ("class_attribute", "read_class_attribute"),
    ("set_index", "index"),
    ("set_index", "length"),
    ("method", "truth"),
    ("method", "compare"),
    ("method", "operator"),
    ("method", "call"),
    ("method", "contains"),
    ("method", "iterate"),
    ("method", "match_class"),
    ("method", "text"),
    ("set_space", "show_space"),
    ("set_space", "text_of_space"),
    ("set_space", "vars"),
    ("set_space", "mine = [mine, '%s' % (space if mine < 9 else 3), mine, mine, mine]"),
    ("context", "read_attribute"),
    ("async_context", "read_attribute"),
    ("method", "async_for"),
    ("method", "async_list"),
    # Elements of containers.
    ("append", "count"),
    ("append", "empty"),
    ("append", "slice"),
    ("append", "is_in"),
    ("append", "match"),
    ("append", "star"),
    ("append", "through"),
    ("append", "numbered"),
    ("append", "first_item"),
    ("put_first", "put_first"),
    ("append", "delete_first"),
    ("extend", "count"),
    ("default", "keys"),
    ("default", "pairs"),
    ("default", "merge"),
    ("default", "slice_as_key"),
    ("slice_as_key", "keys"),
    ("add_to_key", "double_key"),
    ("set_default", "match_key"),
    ("key", "delete_key"),
    ("default", "late_keys"),
    ("add", "size"),
    ("union", "size"),
    # Iterators.
    ("next", "take"),
    ("next", "all"),
    ("next", "any"),
    ("next", "tuple"),
    ("next", "list"),
    ("next", "pair"),
    ("next", "either"),
    ("next", "one_of_two"),
    ("next", "unpack"),
    ("next", "is_in_source"),
    ("next", "extend_by"),
    ("next", "delegate"),
    ("send", "next_of_generator"),
    ("other_source", "loop_through_kept"),
    ("other_source", "await_and_loop"),
    # Tasks, futures and timers.
    ("nap", "done"),
    ("nap", "state"),
    ("set", "is_set"),
    ("set_future", "set_future"),
    (
        "future.set_result(5)\nawait asyncio.sleep(0)\ncell = 7",
        "seen = cell\nmine = await (future if mine < 9 else helper(box)) * seen + cell",
    ),
    ("cancel_last", "nap"),
    ("cancel_timer", "is_timer_cancelled"),
    ("raise", "is_raised"),
]

# What is new in the language, by the Python that has it.
NEW_SYNTAX = [
    (14, "set_cell", "mine = t'{{cell}}'.interpolations[0].value"),
    (15, "next", "mine = len([*i for i in [source]])"),
]


def outcomes(main: Main, **options: Any) -> set[str]:
    """What a search by `Dfs` finds that a program may end with."""
    strategy, found = Dfs(**options), set()
    while strategy.start():
        run = simulate(main, strategy, RunSettings())
        if strategy.was_needed:
            found.add(f"{run.result} {run.error!r}")
    return found


def check_pair(one: str, other: str) -> None:
    """Steps that depend on each other end in as many ways as there are."""
    source = source_of_pair(one, other)
    everything = outcomes(program_of(source), skips_equivalent=False)
    assert len(everything) > 1
    assert outcomes(program_of(source)) == everything, source


@pytest.mark.parametrize(("one", "other"), DEPENDENT)
def test_no_order_of_dependent_steps_is_left_out(one: str, other: str) -> None:
    """What two tasks may end with when one step of each is about the same thing, they end with."""
    check_pair(one, other)


@pytest.mark.parametrize(("minor", "one", "other"), NEW_SYNTAX)
def test_new_syntax_is_no_way_around(minor: int, one: str, other: str) -> None:
    """Steps that use what is new in the language are dependent like others."""
    if sys.version_info < (3, minor):
        pytest.skip(f"new in Python 3.{minor}")
    check_pair(one, other)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="new in Python 3.15")
def test_a_lazy_import_depends_on_what_its_module_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first use of a module that is imported lazily may do anything."""
    monkeypatch.syspath_prepend(tmp_path)
    tmp_path.joinpath("imported_lazily.py").write_text("ITEMS.append(1)\nNAME = 'lazy'\n")
    source = """
lazy import imported_lazily

async def main():
    async def use():
        await asyncio.sleep(0)
        return imported_lazily.NAME

    async def count():
        await asyncio.sleep(0)
        return len(ITEMS)

    return await asyncio.gather(use(), count())
"""

    async def main() -> object:
        items: list[int] = []
        monkeypatch.setattr("builtins.ITEMS", items, raising=False)
        monkeypatch.delitem(sys.modules, "imported_lazily", raising=False)
        names: dict[str, Any] = {"asyncio": asyncio}
        exec(compile(source, "<program>", "exec"), names)
        return await names["main"]()

    assert outcomes(main) == outcomes(main, skips_equivalent=False)
    assert len(outcomes(main)) == 2
