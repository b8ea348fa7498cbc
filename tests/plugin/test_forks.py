"""The forks in which tests run pytest are like new processes."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="every process is a new one here")

# pytester numbers the folders of its runs.
TELLS = r"""
import os
import re
import signal
import sys
import threading

def told():
    frame = sys._getframe()
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_code.co_name
        frame = frame.f_back
    yield from (sys.argv, sys.orig_argv[-4:], sys.path, sys.flags, os.getcwd())
    yield sorted(vars(sys.modules["__main__"]))
    yield sorted(os.environ.items())
    yield sorted(os.listdir("/proc/self/fd"))
    for number in sorted(signal.valid_signals()):
        yield number, signal.getsignal(number)
    yield threading.enumerate() == [threading.main_thread()]
    yield threading.main_thread().native_id == os.getpid()
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        yield stream.name, stream.encoding, stream.errors, stream.line_buffering, stream.isatty()
    yield sys.__stdin__.read()
    yield "sitecustomize" in sys.modules

def test_it():
    for each in told():
        print("told:", re.sub(r"runpytest-\d", "", str(each)))
    assert "no" in "yes"
"""


def test_a_fork_is_like_a_new_process(run_project: RunProject) -> None:
    """It has the same frames, arguments, paths, variables, descriptors, streams and signals."""
    fork, new = [
        run_project("-p", "no:faulthandler", test_it=TELLS, **kind)
        for kind in ({"subprocess": True}, {"fresh": True})
    ]
    assert fork.ret == new.ret == pytest.ExitCode.TESTS_FAILED
    told = [[line for line in each.outlines if line.startswith("told:")] for each in (fork, new)]
    assert told[0] == told[1]
    assert len(told[0]) > 100
    assert fork.errlines == new.errlines == []


# Whether this process has been forked: the server imports more than a run does.
WAS_FORKED = "import sys\ndef test_it():\n    print('forked:', '_pytest.stepwise' in sys.modules)\n"


@pytest.mark.parametrize(
    ("variable", "module", "is_forked"),
    [("MINE", "mine", True), ("PYTHONWARNINGS", "mine", False), ("MINE", "difflib", False)],
    ids=["like any other", "a variable for Python", "a module in the place of Python's"],
)
def test_what_would_be_different_is_a_new_process(
    run_project: RunProject,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    module: str,
    is_forked: bool,
) -> None:
    """What Python reads or imports when it starts is not taken from another process."""
    monkeypatch.setenv(variable, "default")
    modules = {"test_it": WAS_FORKED, module: ""}
    result = run_project("-s", "-p", "no:stepwise", subprocess=True, **modules)
    result.stdout.fnmatch_lines([f"*forked: {is_forked}*"])


@pytest.mark.parametrize(
    ("code", "status"), [("os._exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", -9)]
)
def test_how_a_fork_ends(run_project: RunProject, code: str, status: int) -> None:
    """Its exit status, or the signal that ended it, is told, and the next one runs."""
    project = f"import os, signal\ndef test_it():\n    {code}\n"
    assert run_project(subprocess=True, test_it=project).ret == status
    run_project(subprocess=True, test_it="def test_it(): pass").assert_outcomes(passed=1)
