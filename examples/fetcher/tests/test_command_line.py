"""The program as its users start it: `python -m fetcher`, in a process of its own."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass

import pytest

from fetcher.command_line import main
from loopback import LoopbackServer

# A process started in the background may have been told to ignore Ctrl-C; these do not.
START_LISTENING_TO_CTRL_C = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('fetcher', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Finished:
    """How a process ended, and what it wrote."""

    status: int | None
    output: str
    errors: str


async def start(*command: str) -> asyncio.subprocess.Process:
    """Start Python with a command line."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
    )


async def finish(process: asyncio.subprocess.Process) -> Finished:
    """Wait for the end of a process."""
    output, errors = await process.communicate()
    return Finished(process.returncode, output.decode(), errors.decode())


async def test_json_goes_to_standard_output_and_the_bar_to_standard_error(
    server: LoopbackServer, people_source: str
) -> None:
    """Output is one JSON list in the order of the sources; the progress bar does not disturb it."""
    numbers = server.json_route("/numbers", [1, 2])

    finished = await finish(await start("-m", "fetcher", numbers.url, people_source))

    assert json.loads(finished.output) == [
        {"source": numbers.url, "data": [1, 2]},
        {"source": people_source, "data": [{"name": "Grace"}, {"name": "Alan"}, {"name": "Ada"}]},
    ]
    assert "2/2" in finished.errors
    assert "0 failed" in finished.errors
    assert finished.status == 0


async def test_some_failures_give_status_1(server: LoopbackServer, unreachable_url: str) -> None:
    """A failed source is in the output and in the bar, beside the others' data."""
    numbers = server.json_route("/numbers", [1, 2])

    finished = await finish(await start("-m", "fetcher", unreachable_url, numbers.url))

    failed, fetched = json.loads(finished.output)
    assert (failed["source"], failed["kind"]) == (unreachable_url, "SourceUnreachable")
    assert fetched == {"source": numbers.url, "data": [1, 2]}
    assert "1 failed" in finished.errors
    assert finished.status == 1


async def test_retries_are_asked_for(server: LoopbackServer) -> None:
    """With `--retries`, a server error may be followed by an answer."""
    flaky = server.json_route("/flaky", "data")
    flaky.fail(1)

    finished = await finish(await start("-m", "fetcher", "--retries=1", flaky.url))

    assert json.loads(finished.output) == [{"source": flaky.url, "data": "data"}]
    assert finished.status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C only to whole consoles")
async def test_ctrl_c_keeps_what_had_come_in(server: LoopbackServer) -> None:
    """Interrupted, the program prints what it has, marks the rest, and exits with 130."""
    quick = server.json_route("/quick", "here")
    slow = server.json_route("/slow", "too late")
    slow.hold()

    # One at a time: when the slow source is asked, the quick one has come in.
    process = await start("-c", START_LISTENING_TO_CTRL_C, "--limit=1", quick.url, slow.url)
    await slow.wait_arrived(1)
    process.send_signal(signal.SIGINT)
    finished = await finish(process)

    fetched, cancelled = json.loads(finished.output)
    assert fetched == {"source": quick.url, "data": "here"}
    assert (cancelled["source"], cancelled["kind"]) == (slow.url, "SourceCancelled")
    assert "1/2" in finished.errors
    assert "Traceback" not in finished.errors
    assert finished.status == 130
    await slow.wait_dropped(1)


def test_quiet_shows_no_bar(people_source: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--quiet`, nothing is written to standard error."""
    assert main(["--quiet", people_source]) == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out)[0]["source"] == people_source
    assert captured.err == ""


def test_values_json_does_not_know_become_text(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database's bytes are printed as text instead of breaking the output."""
    assert main(["--quiet", f"{database_url}?query=SELECT+x'00ff'+AS+bytes"]) == 0

    assert json.loads(capsys.readouterr().out)[0]["data"] == [{"bytes": "b'\\x00\\xff'"}]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: SOURCE"),
        (["--limit=0", "http://a"], "limit=0 (int): must be a whole number of at least 1"),
        (["--limit=few", "http://a"], "limit='few' (str): must be a whole number of at least 1"),
        (["--timeout=-1", "http://a"], "timeout=-1.0 (float): must be a finite number"),
        (["--retries=-1", "http://a"], "retries=-1 (int): must be a whole number of at least 0"),
        (["--timeout=nan", "http://a"], "timeout=nan (float): must be a finite number"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument ends the program with status 2, and says what is allowed."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err
