"""What others do to the clocks of the process reaches none of aldente's own."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import aldente
from aldente import _system

_SOURCES = Path(aldente.__file__).parent
_CLOCKS = {
    *("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"),
    *("process_time", "process_time_ns", "thread_time", "thread_time_ns"),
    *("localtime", "gmtime", "clock_gettime", "clock_gettime_ns", "sleep"),
}
_DATES = {"now", "utcnow", "today"}
# Where a function is looked up in order to be replaced, with the module below aldente.
_REPLACED = {
    ("_rules/blocking_call/detect.py", "time.sleep"),
    ("_simulation/outside.py", "time.sleep"),
}


def _clocks_taken(module: Path) -> Iterator[str]:
    """The clocks that a module takes from where others may have put one of their own."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names if name.name in _CLOCKS)
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            is_date = owner in ("datetime", "date") and node.attr in _DATES
            if is_date or (owner == "time" and node.attr in _CLOCKS):
                yield f"{owner}.{node.attr}"


def test_every_clock_is_taken_in_one_place() -> None:
    """No module but aldente._system takes a clock from the module time, or asks for the date."""
    taken = {
        (module.relative_to(_SOURCES).as_posix(), name)
        for module in _SOURCES.rglob("*.py")
        for name in _clocks_taken(module)
    }
    assert {(module, name) for module, name in taken if module != "_system.py"} == _REPLACED
    assert ("_system.py", "time.monotonic") in taken


def test_the_check_sees_clocks(tmp_path: Path) -> None:
    """Each way of taking a clock is seen by the test above."""
    module = tmp_path / "module.py"
    module.write_text(
        "import time\nfrom time import monotonic as now\nimport datetime\n"
        "time.time()\ndatetime.datetime.now()\nfrom datetime import datetime\ndatetime.utcnow()\n"
    )
    assert sorted(_clocks_taken(module)) == [
        *("datetime.now", "datetime.utcnow", "time.monotonic", "time.time")
    ]


def test_a_patched_clock_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a patch of the module time nor freezegun stops a clock that aldente has."""
    freezegun = pytest.importorskip("freezegun")
    before = _system.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert _system.monotonic() >= before
    monkeypatch.undo()
    with freezegun.freeze_time("2012-01-14"):
        assert time.monotonic() > 1_000_000_000
        assert before <= _system.monotonic() < before + 1_000_000


def test_clocks_are_taken_when_aldente_is_imported() -> None:
    """A clock that is replaced after the import of aldente, and before that of its parts, is not used."""
    program = (
        "import time, aldente; real = time.monotonic; time.monotonic = lambda: 0.0;"
        "import aldente._virtual_time.waiting as waiting; time.monotonic = real;"
        "assert waiting.monotonic() > 0"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
