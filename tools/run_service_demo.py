"""Runs the example examples/tickets as its users would, so that no network is needed.

The servers of prices and payments are made here, on this machine's loopback address. Run by
``make demo`` with the Python in whose environment the example is installed.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

_CONCERT = "Winterreise=2"


class _Outside(http.server.BaseHTTPRequestHandler):
    """Tells prices, and accepts all payments."""

    def do_GET(self) -> None:
        self._answer({"cents": 4500})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def _answer(self, content: dict[str, int]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def outside_serving() -> Iterator[str]:
    """Serve prices and payments; gives the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Outside) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def ask(address: str, path: str, content: dict[str, str] | None = None) -> Any:
    """Ask the service, print what it answers, and return it."""
    method = "GET" if content is None else "POST"
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address + path, data=body, method=method)
    request.add_header("Content-Type", "application/json")
    # Not by a proxy that the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        answer = json.load(response)
    print(f"{method} {path}\n  {json.dumps(answer)}", flush=True)
    return answer


def buy(address: str) -> None:
    """Buy a ticket."""
    ask(address, "/concerts/1")
    reserved = ask(address, "/concerts/1/reservations", {"email": "ann@example.org"})
    ask(address, f"/reservations/{reserved['key']}/payment", {})
    ask(address, "/concerts")


def main() -> int:
    """Start the service, buy a ticket, and end it; its exit status is ours."""
    with tempfile.TemporaryDirectory() as folder, outside_serving() as outside:
        options = [f"--concert={_CONCERT}", f"--prices={outside}", f"--payments={outside}"]
        command = ["-m", "tickets", "--port=0", *options]
        print(f"\n$ python {shlex.join(command)}", flush=True)
        with subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, text=True
        ) as service:
            assert service.stdout is not None
            line = service.stdout.readline()
            print(line, end="", flush=True)
            try:
                if line:
                    buy(line.split()[-1])
            finally:
                # Windows has no signal that a process could answer.
                if sys.platform == "win32":
                    service.terminate()
                else:
                    service.send_signal(signal.SIGINT)
        return 0 if sys.platform == "win32" and line else service.returncode


if __name__ == "__main__":
    sys.exit(main())
