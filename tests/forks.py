"""Runs pytest in forks of a process that has imported it.

To start Python and to import pytest, asyncio and aldente takes longer than most runs of a small
project. ``fork_server/sitecustomize.py`` does this once for each process that runs tests. Each run
then is a process of its own all the same, which starts and ends as any other.

In this a fork is not like a new process: the seed of hashes is the server's, what it has imported
is in ``sys.modules``, and garbage collections leave out the objects that were there before the
fork. A test about such things starts a new process (``fresh=True`` of ``run_project``), and so does
`run_pytest` where it knows that there would be a difference.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any


class _Server:
    """A server of this process: starts it, and asks it for runs.

    Args:
        python: the interpreter; it has pytest and aldente.
    """

    def __init__(self, python: str) -> None:
        self._python = python
        self._lock = threading.Lock()
        self._pid = 0
        self._connection: socket.socket | None = None

    def run(self, request: Mapping[str, Any], files: Sequence[int]) -> int | None:
        """The exit status of a run; None if it needs a new process.

        Args:
            request: the arguments of pytest, the variables of the environment, and the folder.
            files: the descriptors of input, output and errors.
        """
        # Coverage is measured from the start of a process.
        if sys.platform != "linux" or any(name.startswith("COVERAGE_") for name in os.environ):
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            connection = self._connect()
            with TemporaryFile() as file:
                file.write(json.dumps(request).encode())
                file.seek(0)
                socket.send_fds(connection, [b"!"], [*files, file.fileno()])
            answer = connection.recv(100).decode()
            if not answer:
                raise RuntimeError("The server has ended; the errors tell why")
        except BaseException:
            # The answer could still come, and be taken for that to another request.
            self.stop()
            raise
        finally:
            self._lock.release()
        return None if answer == "refused" else int(answer)

    def _connect(self) -> socket.socket:
        if self._connection is None or self._pid != os.getpid():
            ours, theirs = socket.socketpair()
            with theirs:
                variables = {
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).parent / "fork_server"),
                    "FORK_SERVER": str(theirs.fileno()),
                }
                subprocess.run(
                    [self._python, "-m", "pytest"],
                    pass_fds=[theirs.fileno()],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
            self._connection, self._pid = ours, os.getpid()
        return self._connection

    def stop(self) -> None:
        """End the server, if this process has started one; it ends when its connection does."""
        if self._connection is None or self._pid != os.getpid():
            return
        self._connection.close()
        self._connection = None


_SERVERS: dict[str, _Server] = {}


def _server_of(python: str) -> _Server:
    if python not in _SERVERS:
        _SERVERS[python] = _Server(python)
        atexit.register(_SERVERS[python].stop)
    return _SERVERS[python]


def run_pytest(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str,
    stdout: IO[str],
    stderr: IO[str],
    python: str = sys.executable,
) -> int:
    """Run pytest without input in a process of its own, and return its exit status.

    Args:
        arguments: the arguments of pytest.
        python: the interpreter; it has pytest and aldente.
        environment: the variables of the environment.
        folder: where it runs.
        stdout: the file for what it prints.
        stderr: the file for its errors.
    """
    request = {
        "arguments": list(arguments),
        "environment": dict(environment),
        "folder": os.path.abspath(folder),
    }
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as stdin:
        files = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
        status = _server_of(python).run(request, files)
        if status is None:
            status = subprocess.run(
                [python, "-m", "pytest", *arguments],
                env=environment,
                cwd=folder,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                check=False,
            ).returncode
    return status
