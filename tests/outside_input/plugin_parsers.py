"""What the plugin reads from outside: settings, baselines, kept failures, what workers send."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from _pytest import config as pytest_config

from aldente._plugin import option_table, options
from aldente._plugin.explore import worker
from aldente._plugin.explore.failure_cache import Remembered
from aldente._plugin.findings.baseline import Baseline
from aldente._records import Finding, SourcePlace
from aldente._simulation import tokens
from aldente.errors import InvalidSetting
from tests.outside_input import inputs
from tests.outside_input.parsers import SCHEDULES, Parser

# Settings.

# A valid value of each option that has one, except files; wrong values are made from it.
_VALUES = {
    "asyncio_mode": "strict",
    "asyncio_default_fixture_loop_scope": "module",
    "asyncio_default_test_loop_scope": "session",
    "aldente_rules": "slow-step = off",
    "aldente_slow_step": "0.5",
    "aldente_blocking_calls": "shop.clock.wait",
    "aldente_blocking_groups": "files",
    "aldente_known_tasks": "watch*",
    "aldente_timeout": "2.5",
    "aldente_clock": "virtual",
    "aldente_wall": "2030-01-01T00:00Z",
    "aldente_max_virtual_time": "1e6",
    "aldente_runs": "1_000",
    "aldente_explore": "500",
    "aldente_explore_test_seconds": "2",
    "aldente_explore_seconds": "20",
    "aldente_html": "page.html",
    "aldente_strict": "true",
    "asyncio_debug": "true",
    "--aldente-rule": "slow-step=off",
    "--aldente-explain": "slow-step",
    "--aldente-runs": "1_000",
    "--aldente-seed": "7",
    "--aldente-replay": tokens.encode(SCHEDULES[2]),
    "--aldente-shard": "3/10",
    "--aldente-workers": "4",
}


def value_of(option: option_table.OptionRow) -> str:
    """A valid value of an option, as the user writes it."""
    for name in (option.key, option.flag):
        if name in _VALUES:
            return _VALUES[name]
    has_no_value = option.key is None and option.metavar is None
    assert has_no_value or option.metavar == "FILE", (
        f"_VALUES has no value of {option.key or option.flag}"
    )
    return "file.json"


def _make_text(option: option_table.OptionRow, random: Random) -> str:
    if random.random() < 0.3:
        return inputs.odd_text(random)
    return inputs.changed_text(value_of(option), random)


# An option, the name under which it is given, and its value.
_Setting = tuple[option_table.OptionRow, str, Any]

# The options that set something.
PARSED = tuple(option for option in option_table.OPTIONS if option.setting is not None)


def _make_setting(random: Random) -> _Setting:
    option = random.choice(PARSED)
    name = random.choice([each for each in (option.flag, option.key) if each is not None])
    if option.kind in ("linelist", "args"):
        values: list[Any] = [_make_text(option, random) for _ in range(random.randrange(1, 4))]
        if random.random() < 0.3:
            values.append(inputs.odd_value(random))
        return option, name, values
    if name == option.key and random.random() < 0.5:
        return option, name, inputs.odd_value(random)
    return option, name, _make_text(option, random)


_OTHER_SETTINGS: tuple[_Setting, ...] = tuple(
    (option, option.key or option.flag or "", value)
    for option in PARSED
    for value in (inputs.ODD_VALUES if option.key is not None else inputs.ODD_TEXTS)
)


def _read_setting(given: _Setting) -> None:
    option, name, value = given
    option.parse(name, value)


def _says_of_setting(given: _Setting) -> Sequence[str]:
    option, name, _ = given
    # These are named as pytest-asyncio has them.
    named = option.key if option.is_shared and option.key is not None else name
    return named, "is not a valid", "It was given as"


# Whole configurations.

_Configuration = tuple[str, str, list[str]]


def _make_configuration(random: Random) -> _Configuration:
    """The name of a configuration file, its text, and arguments."""
    arguments, lines = [], []
    for option in random.sample(option_table.OPTIONS, random.choice((1, 1, 2))):
        if option.flag is not None and random.random() < 0.5:
            has_value = option.metavar is not None
            value = _make_text(option, random)
            arguments.append(f"{option.flag}={value}" if has_value else option.flag)
        elif option.key is not None:
            lines.append((option.key, _make_text(option, random)))
    kind = random.choice(("pytest.ini", "[tool.pytest.ini_options]", "[tool.pytest]"))
    if kind == "pytest.ini":
        written = "".join(f"{key} = {json.dumps(value)[1:-1]}\n" for key, value in lines)
        return kind, f"[pytest]\n{written}", arguments
    written = "".join(f"{key} = {_in_toml(value, random)}\n" for key, value in lines)
    return "pyproject.toml", f"{kind}\n{written}", arguments


_TOML = ("7", "-1", "1.5", "inf", "nan", "true", "[]", "[1]", "[[1]]", "{a = 1}", "2030-01-01")


def _in_toml(value: str, random: Random) -> str:
    if random.random() < 0.3:
        return random.choice(_TOML)
    # Halves of surrogate pairs can't be written there.
    text = json.dumps(value.encode("utf-8", "replace").decode())
    return text if random.random() < 0.5 else f"[{text}]"


class Configurations:
    """Reads configurations, as pytest does at its start.

    Args:
        folder: a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder

    def read(self, given: _Configuration) -> None:
        """Have pytest read it."""
        name, text, arguments = given
        for left in self._folder.iterdir():
            left.unlink()
        (self._folder / name).write_text(text, encoding="utf-8")
        common = ["-p", "aldente", "--rootdir", str(self._folder), "-c", str(self._folder / name)]
        before = os.getcwd()
        os.chdir(self._folder)
        output = io.StringIO()
        try:
            with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
                self._configure([*common, *arguments])
        except SystemExit as ended:
            # pytest's own parser has printed what is wrong.
            raise pytest.UsageError(output.getvalue()) from ended
        finally:
            os.chdir(before)

    def _configure(self, arguments: list[str]) -> None:
        config = pytest_config._prepareconfig(arguments)
        try:
            options.check_configuration(config)
            options.explain_rules(config)
            options.header_line(config, None)
        finally:
            config._ensure_unconfigure()


def _says_of_configuration(given: _Configuration) -> Sequence[str]:
    return ()


# Baselines and kept failures.


class _Ignored(Exception):
    """A kept failure was not used; the text is that of the warning."""


class Files:
    """Reads baselines and kept failures.

    Args:
        folder: a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._baseline = folder / "baseline.json"
        self._finding = Finding("slow-step", "slow", "be fast", SourcePlace(str(folder), 1))
        written = Baseline(self._baseline, folder)
        entry = {"test": "t.py::t", "rule": "slow-step", "path": None, "source": None}
        other = {"test": "t.py::é", "rule": "race", "path": str(folder / "t.py"), "source": "x = 1"}
        written.write([entry, other])
        self._valid_baseline = json.loads(self._baseline.read_text())
        self._warnings: list[str] = []
        item = SimpleNamespace(
            nodeid="t.py::t",
            config=SimpleNamespace(cache=SimpleNamespace(mkdir=lambda name: folder)),
            warn=lambda warning: self._warnings.append(str(warning)),
        )
        self._item = cast("Any", item)
        Remembered(self._item).keep(tokens.encode(SCHEDULES[1]), "ValueError shop.py:3")
        (self._kept,) = (path for path in folder.glob("*.json") if path != self._baseline)
        self._valid_kept = json.loads(self._kept.read_text())

    def make_baseline(self, random: Random) -> bytes:
        """A file that is nearly a baseline."""
        return inputs.json_bytes(self._valid_baseline, random)

    def read_baseline(self, data: bytes) -> None:
        """Read it, and ask what it knows."""
        self._baseline.write_bytes(data)
        baseline = Baseline(self._baseline, self._baseline.parent)
        baseline.begin("t.py::t")
        for _ in range(2):
            assert baseline.knows("t.py::t", self._finding) in (True, False)
            assert baseline.names("t.py::t", self._finding) in (True, False)

    def says_of_baseline(self, data: bytes) -> Sequence[str]:
        """What its errors must say."""
        return str(self._baseline), "is not a baseline that aldente has written", "Fix: delete it"

    def make_kept(self, random: Random) -> bytes:
        """A file that is nearly a kept failure."""
        valid = dict(self._valid_kept)
        if random.random() < 0.4:
            valid["token"] = inputs.nearly_token(valid["token"], random)
        return inputs.json_bytes(valid, random)

    def read_kept(self, data: bytes) -> None:
        """Read it; it must be used, or ignored with a warning and removed."""
        self._kept.write_bytes(data)
        self._warnings.clear()
        found = Remembered(self._item).failure()
        if found is not None:
            tokens.encode(found.schedule)
            assert isinstance(found.kind, str)
            return
        assert not self._kept.exists()
        raise _Ignored("\n".join(self._warnings))

    def says_of_kept(self, data: bytes) -> Sequence[str]:
        """What its warnings must say."""
        return ("the schedule kept for t.py::t can't be read, so aldente removes it. ",)


# What workers send.

_MESSAGE = {"result": SCHEDULES, "findings": [("a", 1)] * 20}


def _sent(message: object) -> bytes:
    written = io.BytesIO()
    worker.Channel(io.BytesIO(), written).send(message)
    return written.getvalue()


def _make_message(random: Random) -> bytes:
    chance = random.random()
    if chance < 0.3:
        return inputs.odd_bytes(random)
    if chance < 0.4:
        return random.randbytes(8) + pickle.dumps(inputs.Forged())
    return inputs.changed_bytes(_sent(_MESSAGE), random)


def _receive(data: bytes) -> None:
    received = worker.Channel(io.BytesIO(data), io.BytesIO()).receive()
    assert received == _MESSAGE


def _make_variable(random: Random) -> str:
    text = inputs.changed_text("100000 100001", random) if random.random() < 0.5 else ""
    # An environment has no others.
    return re.sub("[\0\ud800-\udc7f\udd00-\udfff]", " ", text or inputs.odd_text(random))


def _take_channel(text: str) -> None:
    # No file of this process is meant: each number is of one that is not open.
    with mock.patch.dict(os.environ, {worker.VARIABLE: text}), _no_files():
        worker.take_channel()


@contextlib.contextmanager
def _no_files() -> Iterator[None]:
    refuse = mock.Mock(side_effect=OSError("no such file"))
    with mock.patch.object(os, "fdopen", refuse):
        yield


@contextlib.contextmanager
def parsers(folder: Path) -> Iterator[tuple[Parser, ...]]:
    """All that needs pytest; while entered, pytest loads no plugin but aldente.

    Args:
        folder: a folder that has none of theirs yet.
    """
    files, configurations = Files(folder / "files"), Configurations(folder / "configuration")
    wrong_use = (pytest.UsageError,)
    with mock.patch.dict(os.environ, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}):
        yield (
            Parser(
                "settings",
                _OTHER_SETTINGS,
                _make_setting,
                _read_setting,
                (InvalidSetting,),
                _says_of_setting,
            ),
            Parser(
                "configurations",
                (),
                _make_configuration,
                configurations.read,
                wrong_use,
                _says_of_configuration,
            ),
            Parser(
                "baselines",
                inputs.ODD_BYTES,
                files.make_baseline,
                files.read_baseline,
                wrong_use,
                files.says_of_baseline,
            ),
            Parser(
                "kept failures",
                inputs.ODD_BYTES,
                files.make_kept,
                files.read_kept,
                (_Ignored,),
                files.says_of_kept,
            ),
            Parser(
                "messages of workers",
                inputs.ODD_BYTES,
                _make_message,
                _receive,
                (worker.Closed, worker.Garbled),
                lambda data: (),
            ),
            Parser(
                "the variable of workers",
                (),
                _make_variable,
                _take_channel,
                wrong_use,
                lambda text: (worker.VARIABLE, "Fix: unset it."),
            ),
        )
