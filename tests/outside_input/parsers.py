"""All that reads input from outside, and what may come of it: a valid value or a clear error."""

from __future__ import annotations

import array
import asyncio
import contextlib
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import aldente
from aldente._command_line import commands
from aldente._explore import progress_json
from aldente._explore.batches import Batch, BatchResult, Bounds, FailedRun, StopFile, needed_by
from aldente._explore.result import Exploration
from aldente._explore.sharded_search import SearchPlan, SearchProgress, ShardedSearch
from aldente._explore.soak_state import Soak, SoakState
from aldente._records import Finding, SourcePlace
from aldente._schedules import Schedule
from aldente._simulation import tokens
from aldente._strategies.shared_coverage import Covered, Covering, Shared
from aldente.errors import EndlessTimeError, UnusableState
from tests.outside_input import inputs

Kind = Literal["valid", "clear error", "anything else"]


class Parser(NamedTuple):
    """One reader of outside input.

    Attributes:
        name: what it reads.
        always: inputs of other things, which are tried every time.
        make: makes an input, malformed more often than not.
        read: reads it, and uses what it has read as far as its type matters.
        errors: what it may raise.
        says: what the text of an error must have, given the input: a name for that, and what to do.
    """

    name: str
    always: Sequence[Any]
    make: Callable[[Random], Any]
    read: Callable[[Any], object]
    errors: tuple[type[BaseException], ...]
    says: Callable[[Any], Sequence[str]]


class Outcome(NamedTuple):
    """What came of an input.

    Attributes:
        kind: what.
        text: the error, if it raised one.
        given: the input.
    """

    kind: Kind
    text: str
    given: Any


def outcome_of(parser: Parser, given: Any) -> Outcome:
    """Have a parser read an input."""
    try:
        parser.read(given)
    except parser.errors as error:
        text = str(error)
        missing = [part for part in parser.says(given) if part not in text]
        kind: Kind = "anything else" if missing else "clear error"
        lacks = f" (it lacks {missing})" if missing else ""
        return Outcome(kind, f"{type(error).__name__}: {text}{lacks}", given)
    except BaseException as error:
        return Outcome("anything else", f"{type(error).__name__}: {error}", given)
    return Outcome("valid", "", given)


def outcomes(parser: Parser, count: int, seed: int = 0) -> Iterator[Outcome]:
    """What comes of so many inputs; one more for each in which something was executed."""
    random = Random(f"{parser.name} {seed}")
    for number in range(count):
        is_other = number < len(parser.always)
        yield outcome_of(parser, parser.always[number] if is_other else parser.make(random))
        if inputs.executed:
            inputs.executed.clear()
            yield Outcome("anything else", "a part of it was executed", "the one before")


# Tokens.

SCHEDULES = (
    Schedule((), (), "any"),
    Schedule((0, 0, 1), (2, 2, 3), "io", python=(3, 14)),
    Schedule((1, 0, 40, *[0] * 30, 2), (), "any", 0.25, 2**64 - 1, 7, (3, 11)),
    Schedule(tuple(range(1, 60)), (), "io", 1e308, 3),
)
_TOKENS = tuple(map(tokens.encode, SCHEDULES))


def _make_token(random: Random) -> object:
    if random.random() < 0.02:
        return inputs.odd_value(random)
    return inputs.nearly_token(random.choice(_TOKENS), random)


_OTHER_TOKENS = (
    *inputs.ODD_TEXTS,
    *inputs.ODD_VALUES,
    *(inputs.with_checksum(each[:1_000]) for each in inputs.ODD_BYTES),
)


def _read_token(token: Any) -> None:
    schedule = tokens.decode(token)
    # A token that was read is one of its schedule.
    again = tokens.decode(tokens.encode(schedule))
    assert (again.order, again.slack, again.seed) == (schedule.order, schedule.slack, schedule.seed)
    assert again.python == schedule.python
    commands.decode(token)


def _says_of_token(token: object) -> tuple[str, ...]:
    return repr(token)[:90], "is not a token of a schedule", "Fix: "


async def small() -> None:
    """A program with some choices; it passes under every schedule."""

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(asyncio.sleep(number * 0.5))


def _make_whole_token(random: Random) -> str:
    """A token that can be read, of a schedule that no run has had."""
    most = random.choice((1, 2, 2**16, 2**69))
    choices = [random.randint(0, most) for _ in range(random.choice((0, 1, 5, 60)))]
    slack = random.choice((0.0, 1.0, 5e-324, 1e308, random.random()))
    seed = random.randrange(2**64)
    python = random.choice((None, (3, 14), (0, 0), (2**69, 2**69)))
    digest = random.choice((None, 0, 0xFFFF))
    return tokens.encode(
        Schedule(tuple(choices), (), random.choice(("any", "io")), slack, seed, digest, python)
    )


def _replay(token: str) -> None:
    aldente.replay(small, token)


# States of long searches.

_FOUND = Finding(
    "race", "lost", "lock it", SourcePlace("/a/b.py", 7), ("a line",), subject="x", token="3A"
)


def progress() -> SearchProgress:
    """Progress that has something of all that it may have."""
    exploration = Exploration(
        90, 80, exhausted=False, escaped="threads", coverage="some", faults={"loss": 2}
    )
    schedules = [
        Covering(b"\0\1\2", True, ()),
        Covering((0, 1_000, 3), False, ((2**63, 4), (7, 1))),
    ]
    failed = FailedRun(SCHEDULES[1], 5, "Traceback ...", True, ("small", 2.5, "still running"))
    covered = Covered(Shared(schedules, {2**63: 0b10010, 7: 2}))
    result = BatchResult(exploration, array.array("q"), failed, schedules, findings=(_FOUND,))
    return SearchProgress(
        (3, 1),
        exploration,
        {1: Shared(), 2: covered.shared()},
        covered,
        {(3, 2): result, (4, 0): result},
        [_FOUND],
        result,
        (failed, 95),
    )


def _with_checksum(body: bytes) -> bytes:
    """A file of a state, whatever that is."""
    return b"%d\n%b" % (zlib.crc32(body), body)


class States:
    """Reads states of long searches.

    Args:
        folder: a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        settings = {"seed": 0, "strategy": "auto", "number of shards": 8}
        self._state = SoakState(folder, Soak("shop:main", settings, 1234))
        self._file = folder / "search.json"
        with self._state:
            self._state.save(progress(), 7.5)
        self._valid = json.loads(self._file.read_text().partition("\n")[2])

    always = (*inputs.ODD_BYTES, *map(_with_checksum, inputs.ODD_BYTES))

    def make(self, random: Random) -> bytes:
        """A file that is nearly a state; more often than not its checksum is right."""
        data = _with_checksum(inputs.json_bytes(self._valid, random))
        return inputs.changed_bytes(data, random) if random.random() < 0.1 else data

    def read(self, data: bytes) -> None:
        """Load it, and go on with it as a search does."""
        self._file.write_bytes(data)
        with self._state:
            kept = self._state.load()
        assert kept is not None
        told = progress_json.of_progress(kept.progress)
        again = progress_json.progress_of(json.loads(json.dumps(told)))
        assert progress_json.of_progress(again) == told
        assert kept.seconds + kept.progress.runs >= 0
        kept.progress.failure = None
        plan = SearchPlan(2, 200, "auto", 0, looks_for_races=False)
        search = ShardedSearch(
            plan, _submit, progress=kept.progress, is_soak=True, folder=self._state.folder
        )
        search.run()

    def says(self, data: bytes) -> Sequence[str]:
        """What its errors must say."""
        return "The search can't use the directory", str(self._state.folder), "\nFix: "


def _submit(batch: Batch, bounds: Bounds) -> Future[BatchResult]:
    future: Future[BatchResult] = Future()
    exploration = Exploration(batch.runs, batch.runs, exhausted=False)
    future.set_result(BatchResult(exploration, array.array("q")))
    return future


# Stop files.


class StopFiles:
    """Reads stop files.

    Args:
        folder: a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with StopFile(folder) as stop_file:
            stop_file.note((3, 4))
            self._valid = stop_file.path.read_bytes()
        self._file = folder / "stop"

    def make(self, random: Random) -> bytes:
        """A file that is nearly a stop file, or one of its length."""
        if random.random() < 0.3:
            return inputs.odd_bytes(random)
        if random.random() < 0.5:
            letters = b" 0123456789-+_\n\0\t\xff"
            return bytes(random.choices(letters, k=len(self._valid)))
        return inputs.changed_bytes(self._valid, random)

    def read(self, data: bytes) -> None:
        """Ask it whether a batch is needed."""
        self._file.write_bytes(data)
        assert needed_by(str(self._file), (1, 1))() in (True, False)


# The command line "python -m aldente".

# No search is run: there is no such program.
_SEARCH = "search", "tests.outside_input.parsers:missing"
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("decode", _TOKENS[2]),
    ("explain", "slow-step"),
    ("replay", _TOKENS[1], "tests.outside_input.parsers:small"),
    (*_SEARCH, "--runs", "20", "--hours", "1.5", "--order", "io", "--seed", "7"),
    (*_SEARCH, "--seconds", "3", "--workers", "2", "--shards", "4", "--state", "s"),
)


def _make_command(random: Random) -> list[str]:
    given = list(random.choice(_COMMANDS))
    place = random.randrange(1, len(given))
    if random.random() < 0.3:
        given[place] = inputs.odd_text(random)
    else:
        given[place] = inputs.changed_text(given[place], random)
    return given


_OTHER_COMMANDS = tuple(["decode", each] for each in inputs.ODD_TEXTS)


class WrongUse(Exception):
    """A command ended with status 2; the text is what it printed."""


def _read_command(given: list[str]) -> None:
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            status = commands.main(given)
        except SystemExit as ended:
            # Of argparse.
            status = int(ended.code or 0)
    assert status in (0, 1, 2)
    if status == 2:
        raise WrongUse(errors.getvalue())


def _says_of_command(given: list[str]) -> tuple[str, ...]:
    return ("python -m aldente",)


def parsers(folder: Path) -> tuple[Parser, ...]:
    """All that needs no pytest.

    Args:
        folder: an empty folder.
    """
    states, stop_files = States(folder / "state"), StopFiles(folder / "stop")
    invalid = (aldente.InvalidToken,)
    return (
        Parser("tokens", _OTHER_TOKENS, _make_token, _read_token, invalid, _says_of_token),
        Parser(
            "replays of forged tokens",
            (),
            _make_whole_token,
            _replay,
            # Sleeps may take as long as the token has it.
            (aldente.ReplayMismatch, EndlessTimeError),
            lambda token: (),
        ),
        Parser(
            "search states", states.always, states.make, states.read, (UnusableState,), states.says
        ),
        # They are written by a search, and a wrong one says nothing: then a batch is needed.
        Parser(
            "stop files", inputs.ODD_BYTES, stop_files.make, stop_files.read, (), lambda data: ()
        ),
        Parser(
            "commands", _OTHER_COMMANDS, _make_command, _read_command, (WrongUse,), _says_of_command
        ),
    )
