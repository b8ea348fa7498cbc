"""``python -m aldente``: what its commands print, their exit statuses, and searches that go on."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import aldente
from aldente._command_line import commands
from aldente._explore import soak
from aldente._explore.sharded_search import SearchProgress
from aldente._explore.soak_state import Soak, SoakState
from aldente._schedules import Schedule
from aldente._simulation.tokens import encode

PROGRAMS = """
import asyncio

number = 3

async def sells_twice():
    seats, sold = 1, []
    async def buy(name, pause):
        nonlocal seats
        await asyncio.sleep(pause)
        if seats:
            await asyncio.sleep(0.01)
            seats -= 1
            sold.append(name)
    await asyncio.gather(buy("Ann", 0.1), buy("Bob", 0.115))
    assert len(sold) == 1

async def passes():
    for _ in range(3):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))

async def needs(what):
    pass

class Shop:
    @staticmethod
    async def opens():
        pass
"""


class Done(NamedTuple):
    """What a command has done: its exit status, and what it has printed."""

    status: int
    output: str
    errors: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in a folder with the module ``programs_of_test``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, PROGRAMS)
    # Every batch is saved, so that nothing depends on how long one takes.
    monkeypatch.setattr(soak, "_SAVE_EVERY", 0.0)

    def run_one(*arguments: str) -> Done:
        monkeypatch.delitem(sys.modules, "programs_of_test", raising=False)
        try:
            status = commands.main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        output, errors = capsys.readouterr()
        return Done(status, output, errors)

    return run_one


def write(folder: Path, text: str) -> None:
    """Write the module, which Python imports anew."""
    (folder / "programs_of_test.py").write_text(text)
    for file in folder.glob("__pycache__/*"):
        file.unlink()


FAILING, PASSING = "programs_of_test:sells_twice", "programs_of_test:passes"


def token_in(output: str) -> str:
    """The token of the last line of a report."""
    words = output.splitlines()[-1].split()
    assert words[:-2] == ["Run", "it", "again:", "python", "-m", "aldente", "replay"]
    return words[-2]


def test_a_failure(run: Run) -> None:
    """It is reported with its story and how to see it again, and the status is 1."""
    done = run("search", FAILING)
    assert done.status == 1
    assert "AssertionError" in done.output
    assert "What happened" in done.output
    assert "1 context switch away from stock order" in done.output
    again = run("replay", token_in(done.output), FAILING)
    assert again.status == 1
    assert token_in(again.output) == token_in(done.output)


def test_a_failure_that_cannot_be_encoded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told all the same, and standard output is then as it was."""
    write(tmp_path, "async def fails():\n    raise ValueError('caf\\xe9 \\udcff')\n")
    written = io.BytesIO()
    output = io.TextIOWrapper(written, "ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert run("search", "programs_of_test:fails").status == 1
    output.flush()
    assert rb"ValueError: caf\xe9 \udcff" in written.getvalue()
    assert output.errors == "strict"


def test_no_failure(run: Run) -> None:
    """The number of runs is told, and the status is 0."""
    done = run("search", PASSING, "--runs", "30", "--seed", "7")
    assert done == (0, "No failure in 30 runs (seed 7).\n", "")
    assert run("search", "programs_of_test:Shop.opens").status == 0


def test_a_replay_that_passes(run: Run) -> None:
    """A schedule under which the program passes is told as such."""
    done = run("replay", "3AKERpQ", PASSING)
    assert done.status == 0
    assert done.output == "The program passes under this schedule.\n"


def test_workers(run: Run) -> None:
    """With workers the result is that of one process with the same shards."""
    two = run("search", FAILING, "--workers", "2")
    assert two.status == 1
    assert two == run("search", FAILING, "--workers", "1")


def test_explain(run: Run) -> None:
    """A rule is explained; the status of one that there is not is 2."""
    assert run("explain", "never-awaited").output.startswith("never-awaited [error]: ")
    done = run("explain", "never-awaitd")
    assert done.status == 2
    assert "Did you mean 'never-awaited'?" in done.errors


def test_decode(run: Run) -> None:
    """A token's parts are shown."""
    done = run("decode", "3AKERpQ")
    assert done.output.splitlines()[0] == "order     any"
    assert done.output.splitlines()[-1].split() == ["0", "0", "1"]


def test_a_token_that_stands_for_millions(run: Run) -> None:
    """Of many choices the first are shown."""
    done = run("decode", encode(Schedule((*[0] * 2_000_000, 1))))
    assert "choices   2,000,001, of which 1 is not the first option" in done.output
    assert done.output.splitlines()[-1] == "          ... and 1,990,001 more"
    assert len(done.output) < 30_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "programs_of_test"], "must be module:function"),
        (["search", "programs_of_test.py:passes"], "Did you mean programs_of_test:passes?"),
        (["search", "no_such_module:main"], "there is no module 'no_such_module'"),
        (["search", "asyncio.nothing:main"], "there is no module 'asyncio.nothing'"),
        (["search", "programs_of_test:nothing"], "functions without arguments are: sells_twice"),
        (["search", "programs_of_test:number"], "is not a coroutine function (it is a int)"),
        (["search", "programs_of_test:needs"], "it needs what"),
        (["search", PASSING, "--runs", "0"], "whole number"),
        (["search", PASSING, "--runs", "9" * 5_000], "whole number"),
        (["search", PASSING, "--seed", "x"], "whole number"),
        (["search", PASSING, "--hours", "no"], "number of hours greater than 0"),
        (["search", PASSING, "--hours", "1e308"], "number of hours greater than 0"),
        (["search", PASSING, "--seconds", "-1"], "number of seconds greater than 0"),
        (["search", PASSING, "--strategy", "best"], "not a valid strategy"),
        (["search", PASSING, "--strategy", "dfs", "--state", "s"], "With --state"),
        (["search", PASSING, "--order", "no"], "invalid choice"),
        (["search", PASSING, "--workers", "0"], "whole number"),
        (["replay", "3AK", PASSING], "is not a token"),
        (["decode", "nothing"], "is not a token"),
        (["search", PASSING, "--state", ""], "the path of a directory"),
        ([], "required"),
    ],
)
def test_wrong_arguments(run: Run, arguments: list[str], message: str) -> None:
    """Each is told with what is wrong, and the status is 2."""
    done = run(*arguments)
    assert done.status == 2
    assert message in done.errors


def test_a_module_that_fails(run: Run, tmp_path: Path) -> None:
    """A module that can't be imported is told with its traceback."""
    write(tmp_path, "import nothing_of_the_kind\n")
    done = run("search", PASSING)
    assert done.status == 2
    assert "can't be imported" in done.errors
    assert "nothing_of_the_kind" in done.errors


# Searches that go on.


def runs_of(folder: Path) -> int:
    """How many runs a state directory has."""
    body = (folder / "search.json").read_text().partition("\n")[2]
    found: int = json.loads(body)["progress"]["exploration"]["runs"]
    return found


def test_it_goes_on(run: Run, tmp_path: Path) -> None:
    """A search with a state begins where the one before it has ended."""
    state = tmp_path / "state"
    first = run("search", PASSING, "--state", str(state), "--runs", "200", "--seconds", "0.000001")
    assert first.status == 0
    assert "The time limit of the search has passed." in first.output
    done = run("search", PASSING, "--state", str(state), "--runs", "200")
    assert done.output.startswith("No failure in 200 runs (seed 0")
    again = run("search", PASSING, "--state", str(state), "--runs", "200", "--workers", "2")
    assert again.output == "No failure in 200 runs (seed 0, 200 of them earlier).\n"


def test_a_finished_search(run: Run, tmp_path: Path) -> None:
    """When all schedules were tried, the next start tries none."""
    state = tmp_path / "state"
    write(tmp_path, f"{PROGRAMS}\nasync def small():\n    await passes_once()\n{_SMALL}")
    arguments = "search", "programs_of_test:small", "--state", str(state)
    first = run(*arguments)
    assert first.status == 0
    assert "were tried; there are no others." in first.output
    runs = runs_of(state)
    again = run(*arguments)
    assert f"No failure in {runs} runs (seed 0, {runs} of them earlier)." in again.output


_SMALL = """
async def passes_once():
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
"""


def test_a_kept_failure(run: Run, tmp_path: Path) -> None:
    """A failure is reported again, until the program is fixed; then the search begins anew."""
    state = tmp_path / "state"
    arguments = "search", FAILING, "--state", str(state), "--runs", "60"
    first = run(*arguments)
    assert first.status == 1
    again = run(*arguments)
    assert again.status == 1
    assert again.output.startswith("The failure that an earlier search found still occurs:")
    assert token_in(again.output) == token_in(first.output)
    write(tmp_path, PROGRAMS.replace("len(sold) == 1", "len(sold) >= 1"))
    fixed = run(*arguments)
    assert fixed.status == 0
    assert fixed.output.startswith("The failure in the state directory no longer occurs")
    assert "No failure in 60 runs" in fixed.output


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ((PASSING, "--seed", "1"), "seed: 0"),
        ((PASSING, "--strategy", "random"), "strategy: auto"),
        ((PASSING, "--order", "io"), "order: any"),
        ((PASSING, "--shards", "3"), "number of shards: 8"),
        (("programs_of_test:Shop.opens",), f"program: {PASSING}"),
    ],
)
def test_a_state_of_another_search(
    run: Run, tmp_path: Path, others: tuple[str, ...], name: str
) -> None:
    """It is refused, and left as it is."""
    state = tmp_path / "state"
    first = "--state", str(state), "--runs", "40"
    assert run("search", PASSING, *first).status == 0
    before = (state / "search.json").read_bytes()
    done = run("search", *others, *first)
    assert done.status == 2
    assert f"its search has another {name}" in done.errors
    assert (state / "search.json").read_bytes() == before


def test_a_changed_program(run: Run, tmp_path: Path) -> None:
    """The runs of another source are not taken for runs of this one."""
    state = tmp_path / "state"
    arguments = "search", PASSING, "--state", str(state), "--runs", "40"
    assert run(*arguments).status == 0
    write(tmp_path, f"{PROGRAMS}\n# changed\n")
    done = run(*arguments)
    assert done.status == 2
    assert "has changed since, so that its 40 runs say nothing" in done.errors


@pytest.mark.parametrize("text", ["", "nothing", "12\n{}", None])
def test_a_damaged_state(run: Run, tmp_path: Path, text: str | None) -> None:
    """A file that is no state of a search is refused."""
    state = tmp_path / "state"
    state.mkdir()
    if text is None:
        # A whole file of another format.
        text = f"{zlib.crc32(b'[]')}\n[]"
    (state / "search.json").write_text(text)
    done = run("search", PASSING, "--state", str(state))
    assert done.status == 2
    assert "is not the state of a search" in done.errors


def test_another_version(run: Run, tmp_path: Path) -> None:
    """A state of another aldente is refused."""
    state = tmp_path / "state"
    arguments = "search", PASSING, "--state", str(state), "--runs", "40"
    assert run(*arguments).status == 0
    file = state / "search.json"
    found = json.loads(file.read_text().partition("\n")[2])
    body = json.dumps({**found, "aldente": "0.0.1"})
    file.write_text(f"{zlib.crc32(body.encode())}\n{body}")
    done = run(*arguments)
    assert done.status == 2
    assert "another version of aldente: 0.0.1" in done.errors


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_a_state_is_not_followed(run: Run, tmp_path: Path) -> None:
    """A directory from elsewhere has no other file written."""
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    other.write_text("mine")
    (state / "search.json.part").symlink_to(other)
    assert run("search", PASSING, "--state", str(state), "--runs", "20").status == 0
    assert other.read_text() == "mine"
    assert runs_of(state) == 20


def test_a_state_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """A file in the place of the directory is told."""
    (tmp_path / "file").write_text("")
    done = run("search", PASSING, "--state", str(tmp_path / "file"))
    assert done.status == 2
    assert "can't be written" in done.errors


@pytest.mark.parametrize(
    ("name", "status", "word"), [("SIGINT", 130, "Interrupted"), ("SIGTERM", 143, "Terminated")]
)
def test_an_interrupted_search(run: Run, tmp_path: Path, name: str, status: int, word: str) -> None:
    """Ctrl-C and SIGTERM end it, with a status of their own; what it has done is kept."""
    write(tmp_path, f"{PROGRAMS}\nruns = 0\n{_INTERRUPTED.replace('SIGINT', name)}")
    state = tmp_path / "state"
    arguments = "search", "programs_of_test:interrupted", "--state", str(state)
    # Of pytest, aldente handles this signal.
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        done = run(*arguments)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done.status == status
    # Nothing of the tasks that it has left.
    assert done.errors == f"{word}. The directory {state} keeps its progress.\n"
    assert runs_of(state) >= 128
    assert sorted(os.listdir(state)) == ["lock", "search.json"]


_INTERRUPTED = """
import signal

async def interrupted():
    global runs
    runs += 1
    tasks = asyncio.gather(*(asyncio.sleep(0) for _ in range(4)))
    if runs == 300:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            # A program that hides it is interrupted all the same.
            pass
    await tasks
    await passes()
"""


def test_a_program_that_goes_elsewhere(run: Run, tmp_path: Path) -> None:
    """The state stays in its directory when the program changes the current one."""
    leaving = "import os\nasync def leaves():\n    os.chdir('/')\n    await passes()\n"
    write(tmp_path, f"{PROGRAMS}\n{leaving}")
    done = run("search", "programs_of_test:leaves", "--state", "state", "--runs", "40")
    assert done.status == 0
    assert runs_of(tmp_path / "state") == 40


class FailingDisk:
    """Has no room left after some writes.

    Args:
        writes: how many there can be.
    """

    def __init__(self, writes: int) -> None:
        self._left = writes

    def sync(self, _: int) -> None:
        """In place of `os.fsync`."""
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_beginning(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is searched for which nothing could be kept."""
    monkeypatch.setattr(os, "fsync", FailingDisk(0).sync)
    done = run("search", PASSING, "--state", str(tmp_path / "state"))
    assert done.status == 2
    assert "No space left" in done.errors
    assert "free space on the disk" in done.errors
    assert os.listdir(tmp_path / "state") == ["lock"]


@pytest.mark.parametrize(
    ("program", "status", "text"),
    [(FAILING, 1, "AssertionError"), (PASSING, 2, "No failure in 600 runs")],
)
def test_a_full_disk_later(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    status: int,
    text: str,
) -> None:
    """The search goes on and tells its result; and that it is not kept."""
    # Each save has two: of the file, and of its name.
    monkeypatch.setattr(os, "fsync", FailingDisk(2).sync)
    arguments = "search", program, "--state", str(tmp_path / "state"), "--runs", "600"
    done = run(*arguments)
    assert done.status == status
    assert text in done.output
    assert "No space left" in done.errors
    # What was saved before is whole.
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run(*arguments).status == status % 2


def test_a_directory_that_was_replaced(tmp_path: Path) -> None:
    """A search whose directory is another one's by now writes nothing into it."""
    soak_of_test = Soak("it", {}, None)
    folder = tmp_path / "state"
    with SoakState(folder, soak_of_test) as first:
        shutil.rmtree(folder)
        with pytest.raises(aldente.UnusableState, match="can't be written"):
            first.save(SearchProgress(), 0.0)
        with SoakState(folder, soak_of_test) as second:
            second.save(SearchProgress(), 1.0)
            with pytest.raises(aldente.UnusableState, match="another search has begun"):
                first.save(SearchProgress(), 2.0)
            kept = second.load()
    assert kept is not None
    assert kept.seconds == 1.0


# Forks searches, each of which goes on, and kills it at some moment after it has saved twice.
_KILLING = """
import os, random, signal, sys, time
from pathlib import Path
from aldente._command_line.commands import main
from aldente._explore import soak
from aldente._explore.soak_state import Soak, SoakState

soak._SAVE_EVERY = 0.0
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
workers = ["--workers", sys.argv[3]] if len(sys.argv) > 3 else []
draw = random.Random(1)
file = folder / "search.json"
arguments = ["search", "programs_of_test:passes", "--state", str(folder), *workers]

def stamp():
    return file.stat().st_mtime_ns if file.exists() else 0

for _ in range(kills):
    before = stamp()
    child = os.fork()
    if not child:
        os._exit(main(arguments))
    while stamp() == before:
        assert os.waitpid(child, os.WNOHANG)[0] == 0
        time.sleep(0.001)
    time.sleep(draw.random() * 0.03)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    settings = {
        "seed": 0,
        "strategy": "auto",
        "order": "any",
        "number of runs": None,
        "number of shards": 8,
    }
    with SoakState(folder, Soak("programs_of_test:passes", settings, None)) as state:
        kept = state.load()
    assert kept is not None
    print(kept.progress.runs)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("kills", "workers"), [("12", []), ("3", ["2"])])
def test_killed_at_any_moment(tmp_path: Path, kills: str, workers: list[str]) -> None:
    """After each of many kills the state can be read, and has no fewer runs than before."""
    write(tmp_path, PROGRAMS)
    path = os.pathsep.join([str(tmp_path), str(Path(aldente.__file__).parents[1])])
    done = subprocess.run(
        # Worker processes take time to start.
        [sys.executable, "-c", _KILLING, str(tmp_path / "state"), kills, *workers],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = [int(line) for line in done.stdout.split()]
    assert len(runs) == int(kills)
    assert runs == sorted(runs)
    assert runs[-1] > runs[0]


def test_two_at_once(tmp_path: Path) -> None:
    """A second search with the same directory is refused while the first one goes on."""
    holding = (
        "import sys\nfrom pathlib import Path\n"
        "from aldente._explore.soak_state import Soak, SoakState\n"
        "with SoakState(Path(sys.argv[1]), Soak('it', {}, None)):\n"
        "    print('holding', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    source = str(Path(aldente.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": source},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"holding"
        state = SoakState(tmp_path, Soak("it", {}, None))
        with pytest.raises(aldente.UnusableState, match="another process"):
            state.__enter__()
        other.stdin.close()
        assert other.wait() == 0
    with state:
        assert state.load() is None


def test_as_a_module() -> None:
    """``python -m aldente`` is the command."""
    source = str(Path(aldente.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "aldente", "decode", "3AKERpQ"],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("order     any\n")
