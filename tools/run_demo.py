"""Runs the worked example on two sources that it makes itself, so that no network is needed.

One source is an API on this machine's loopback address, the other an SQLite file; both are gone
afterwards. Run by ``make demo`` with the Python in whose environment the example is installed.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_TOWNS = [{"name": "London", "people": 8_866_000}, {"name": "Arlington", "people": 238_600}]
_PEOPLE = [("Ada", 36), ("Grace", 85), ("Mary", 80)]


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without writing a line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@contextlib.contextmanager
def api_serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; gives the address."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_database(path: Path) -> None:
    """Make an SQLite file with a table of people."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE people (name TEXT, age INTEGER)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", _PEOPLE)


def main() -> int:
    """Run the example on both sources; its exit status is ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "towns").write_text(json.dumps(_TOWNS), encoding="utf-8")
        make_database(folder / "people.db")
        with api_serving(folder) as address:
            query = "SELECT+name,+age+FROM+people+ORDER+BY+age"
            command = ["-m", "fetcher", f"{address}/towns", f"sqlite:///people.db?query={query}"]
            print(f"\n$ python {shlex.join(command)}", flush=True)
            return subprocess.run([sys.executable, *command], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
