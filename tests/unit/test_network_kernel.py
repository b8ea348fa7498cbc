"""Simulated sockets: each call gives, or raises, what a call of the system's sockets does."""

from __future__ import annotations

import errno
import gc
import socket
import sys
from pathlib import Path

import pytest

import tests.unit.socket_scripts  # noqa: F401
from aldente._explore.runs import RunSettings
from aldente._explore.simulate import simulate
from aldente._strategies.fifo import Fifo
from tests.unit.socket_scripts.notes import SCRIPTS, Notes, Script

# What takes longer on the system's sockets than it is waited for makes a try differ.
_TRIES = 4


def notes_on_system(run: Script, folder: Path) -> list[object]:
    """What a script notes on the system's sockets."""
    folder.mkdir()
    notes = Notes(folder, is_real=True)
    try:
        run(notes)
    finally:
        notes.close()
    return notes.notes


def notes_on_simulated(run: Script, folder: Path) -> list[object]:
    """What a script notes on simulated sockets, in stock order."""
    folder.mkdir()
    notes = Notes(folder, is_real=False)

    async def main() -> None:
        with socket.socket() as made:
            assert type(made) is not socket.socket
        try:
            run(notes)
        finally:
            notes.close()

    error = simulate(main, Fifo(), RunSettings()).error
    if error is not None:
        raise error
    return notes.notes


# Those that a script does not close are closed by Python, which warns.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="it is Linux's sockets that are simulated")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_notes_the_same_on_both(name: str, tmp_path: Path) -> None:
    """Results, types of errors and their numbers are those of Linux."""
    simulated = notes_on_simulated(SCRIPTS[name], tmp_path / "simulated")
    for number in range(_TRIES):
        system = notes_on_system(SCRIPTS[name], tmp_path / f"system {number}")
        if system == simulated:
            break
    assert simulated == system
    gc.collect()


@pytest.mark.skipif(sys.platform == "win32", reason="it is Linux's sockets that are simulated")
def test_a_port_of_the_run_is_not_taken_for_a_real_one() -> None:
    """Where the run has had a server, a real one with the same number is not meant."""
    refused: list[int] = []

    async def main() -> None:
        with socket.socket() as made:
            made.bind(("127.0.0.1", port))
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            refused.append(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    with socket.create_server(("127.0.0.1", 0)) as real:
        port: int = real.getsockname()[1]
        run = simulate(main, Fifo(), RunSettings())
    assert run.error is None
    assert refused == [errno.ECONNREFUSED]
