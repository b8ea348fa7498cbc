"""Holds up the start of ``python -m pytest``, forks this process for each run, and lets these go on.

Python imports it before it runs pytest. So it is a run's own start that goes on in a fork: no frame
of this module is below it, and ``__main__``, ``sys.flags`` and the rest are as Python makes them.

The forks and the process that asks for them are explained in ``tests/forks.py``.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Mapping

# Variables that Python, or what is imported here, reads at the start.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
# What Python itself imports at the start, from the folders of PYTHONPATH.
_IMPORTED_AT_START = ("sitecustomize", "usercustomize")


def _serve(descriptor: int) -> None:
    """Fork for each request. Returns in each fork, and ends the server with its connection."""
    at_ctrl_c = signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import_pytest()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as connection:
        while True:
            message, files, *_ = socket.recv_fds(connection, 1, 4)
            if not message:
                os._exit(0)
            with open(files.pop(), "rb") as file:
                request = json.load(file)
            pid = os.fork() if _is_possible(**request) else None
            if pid == 0:
                break
            for number in files:
                os.close(number)
            answer = "refused"
            if pid is not None:
                answer = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            connection.send(answer.encode())
    signal.signal(signal.SIGINT, at_ctrl_c)
    for standard, number in enumerate(files):
        os.dup2(number, standard)
        os.close(number)
    _become(**request)


def _import_pytest() -> None:
    """Import what each run of pytest imports, asyncio and aldente."""
    plugins = importlib.import_module("_pytest.config").default_plugins
    for name in ("pytest", "asyncio", "pdb", "unittest", *(f"_pytest.{each}" for each in plugins)):
        importlib.import_module(name)
    importlib.import_module("whole_package").import_all()
    importlib.import_module("packages").read_once()
    # Each run asks where Python's own files are.
    importlib.import_module("sysconfig").get_paths()
    # Else pytest warns that it can't rewrite the assertions of a plugin that is imported already.
    package = sys.modules["aldente"]
    package.__doc__ = f"{package.__doc__}PYTEST_DONT_REWRITE"


def _is_possible(
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
) -> bool:
    """Whether a fork of this process would be like a new one."""
    if _read_at_start(environment) != _read_at_start(os.environ):
        return False
    known = {*sys.modules, *_IMPORTED_AT_START}
    return known.isdisjoint(
        name.removesuffix(".py")
        for each in (folder, *_paths(environment))
        if os.path.isdir(each)
        for name in os.listdir(each)
    )


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name != "PYTHONPATH"
    }


def _paths(environment: Mapping[str, str]) -> list[str]:
    return [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]


def _become(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Give this process what a new one would have."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    # Up to Python 3.13 that of the server is left.
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]
    sys.argv[1:] = arguments
    sys.orig_argv[3:] = arguments
    # Each folder once, without that of this module. Python itself adds the current one.
    here = os.path.dirname(__file__)
    absolute = map(os.path.abspath, [*_paths(environment), *sys.path])
    sys.path[:] = dict.fromkeys(path for path in absolute if path != here)


# So that the process of the tests has no child, which aldente would take for one that can wake a test.
if os.fork():
    os._exit(0)
try:
    _serve(int(os.environ.pop("FORK_SERVER")))
except Exception:
    # Python would tell nothing of it, and go on.
    traceback.print_exc()
    os._exit(1)

# As where there is no such module.
raise ImportError(name=__name__)
