"""Runs a suite's tests with one environment, and reads what became of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compat.environments import ENVIRONMENTS, clean_variables, unpack
from tests.compat.suites import Suite

_RECORDER = Path(__file__).parent / "recorder"

# pytest's exit statuses for a run that came to its end: all passed, some failed, and interrupted
# by errors in collection, which the record holds.
_ENDED = (0, 1, 2)


class RunFailed(Exception):
    """A run came to no end, so that what it recorded says nothing about the tests it missed.

    Args:
        side: the name of the plugin that it ran with.
        problem: what went wrong.
        log: the file with what it printed.
    """

    def __init__(self, side: str, problem: str, log: Path) -> None:
        self.side = side
        self.problem = problem
        self.log = log
        super().__init__(side, problem, log)

    def __str__(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        last = "\n".join(f"    {line}" for line in lines[-5:])
        return f"with {self.side}: {self.problem}\n{last}"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What became of the tests of a suite.

    Attributes:
        outcomes: of each test, by its node id, in the order of the run. Modules that could not be
            collected, or were skipped as a whole, stand among them.
        messages: of what failed, by node id.
    """

    outcomes: Mapping[str, str]
    messages: Mapping[str, str]


def run_suite(suite: Suite, environment: Path, archive: Path) -> Run:
    """Run a suite's tests once, on freshly unpacked sources.

    Raises:
        RunFailed: pytest did not run to its end, or ran nothing.
    """
    side = environment.name
    folder = ENVIRONMENTS / "runs" / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    # Of the same name for both sides, as tests may show it.
    source = unpack(suite, archive, folder / "source")
    record = folder / f"{side}.jsonl"
    record.unlink(missing_ok=True)
    log = folder / f"{side}.log"
    status = _run_pytest(suite, environment, source, record, log)
    if status is None:
        last = _last_started(record)
        raise RunFailed(side, f"not done after {suite.seconds} s, last started: {last}", log)
    run = read_record(record)
    if status not in _ENDED or not run.outcomes:
        raise RunFailed(side, f"pytest's exit status was {status}", log)
    return run


def run_alone(
    suite: Suite, environment: Path, archive: Path, options: Sequence[str]
) -> tuple[Path, Run]:
    """Run a suite's tests once, with more options.

    Returns:
        The file with what pytest printed, and what became of the tests.

    Raises:
        RunFailed: pytest did not run to its end.
    """
    folder = ENVIRONMENTS / "runs" / suite.name
    folder.mkdir(parents=True, exist_ok=True)
    source = unpack(suite, archive, folder / "source")
    record, log = folder / "alone.jsonl", folder / "alone.log"
    record.unlink(missing_ok=True)
    status = _run_pytest(suite, environment, source, record, log, options)
    if status not in _ENDED:
        how = f"not done after {suite.seconds} s" if status is None else f"exit status {status}"
        raise RunFailed(environment.name, how, log)
    run = read_record(record)
    if not run.outcomes:
        raise RunFailed(environment.name, "it ran no test", log)
    return log, run


def _run_pytest(
    suite: Suite,
    environment: Path,
    source: Path,
    record: Path,
    log: Path,
    more: Sequence[str] = (),
) -> int | None:
    """The exit status of a run of pytest, None when its time was up."""
    programs = environment / "bin"
    variables = {
        **clean_variables(),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(_RECORDER),
        "COMPAT_RECORDER_FILE": str(record),
        **suite.variables,
    }
    options = ("-p", "compat_recorder", "-p", "no:cacheprovider")
    # The script pytest, unlike python -m pytest, does not put the sources before what is installed.
    command = [str(programs / "pytest"), *options, "--continue-on-collection-errors"]
    with log.open("w", encoding="utf-8") as output:
        child = subprocess.Popen(
            [*command, *suite.arguments, *more],
            cwd=source,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return child.wait(suite.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it has started and left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def read_record(record: Path) -> Run:
    """Read what the recorder wrote."""
    outcomes: dict[str, str] = {}
    messages: dict[str, str] = {}
    for entry in _entries(record):
        nodeid, phase, outcome = entry["nodeid"], entry["phase"], entry["outcome"]
        if phase != "start":
            outcomes[nodeid] = _joined(outcomes.get(nodeid, ""), phase, outcome)
        if entry["message"]:
            messages[nodeid] = entry["message"]
    return Run(outcomes, messages)


def _joined(before: str, phase: str, outcome: str) -> str:
    """The outcome of a test after one more phase.

    >>> _joined("passed", "call", "failed")
    'failed'
    >>> _joined("failed", "teardown", "failed")
    'failed, error in teardown'
    """
    if phase == "collect":
        return "collection error" if outcome == "failed" else outcome
    if phase == "setup":
        return "error in setup" if outcome == "failed" else outcome
    if phase == "call":
        return outcome
    return before if outcome == "passed" else f"{before}, error in teardown"


def _last_started(record: Path) -> str:
    started = [entry["nodeid"] for entry in _entries(record) if entry["phase"] == "start"]
    return started[-1] if started else "no test"


def _entries(record: Path) -> list[dict[str, str]]:
    if not record.is_file():
        return []
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
