"""Ctrl-C beside a server in this process that handles SIGINT by itself, as uvicorn does."""

from __future__ import annotations

import textwrap

import pytest

from tests.plugin.conftest import RunProject

# What uvicorn's Server.serve() does about signals: it puts back what it has found in its place when
# it ends, and sends the signal once more.
_SERVER = """
    import asyncio
    import contextlib
    import os
    import signal
    import pytest

    class Server:
        def __init__(self):
            self.should_exit = asyncio.Event()
            self.started = asyncio.Event()
            self.captured = []

        def handle_exit(self, number, frame):
            self.captured.append(number)
            self.loop.call_soon_threadsafe(self.should_exit.set)

        async def serve(self):
            self.loop = asyncio.get_running_loop()
            original = signal.signal(signal.SIGINT, self.handle_exit)
            try:
                self.started.set()
                await self.should_exit.wait()
            finally:
                signal.signal(signal.SIGINT, original)
            for number in self.captured:
                signal.raise_signal(number)

    @pytest.fixture(scope={scope!r})
    async def server():
        server = Server()
        task = asyncio.create_task(server.serve())
        await server.started.wait()
        yield server
        server.should_exit.set()
        await task

    def press():
        os.kill(os.getpid(), signal.SIGINT)
"""

_TESTS = {
    "fixture": """
        async def test_pressed(server):
            asyncio.get_running_loop().call_later(0.05, press)
            await asyncio.Event().wait()
    """,
    "task": """
        async def test_pressed():
            server = Server()
            task = asyncio.create_task(server.serve())
            asyncio.get_running_loop().call_later(0.05, press)
            await asyncio.Event().wait()
    """,
    "test itself": """
        async def test_pressed():
            asyncio.get_running_loop().call_later(0.05, press)
            await Server().serve()
    """,
    "spinning": """
        import time

        async def test_pressed(server):
            press()
            # The server ends meanwhile.
            await asyncio.sleep(0.05)
            while True:
                await asyncio.sleep(0)
    """,
}


@pytest.mark.parametrize(
    ("which", "scope"),
    [
        ("fixture", "function"),
        ("fixture", "session"),
        ("spinning", "module"),
        ("task", "function"),
        ("test itself", "function"),
    ],
)
def test_ctrl_c_ends_the_run(run_project: RunProject, which: str, scope: str) -> None:
    """It ends with status 2, and no test after it is run."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        conftest=_conftest(scope),
        test_it="import asyncio\n" + textwrap.dedent(_TESTS[which]) + "\ndef test_next(): pass\n",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED, result.outlines
    result.stdout.fnmatch_lines(["*!!! KeyboardInterrupt !!!*"])
    result.stdout.no_fnmatch_line("*FixtureEnded*")
    assert not result.parseoutcomes().get("passed")


def _conftest(scope: str) -> str:
    """A conftest file whose names the tests have too."""
    shared = "import builtins\nbuiltins.Server, builtins.press = Server, press\n"
    return textwrap.dedent(_SERVER.format(scope=scope)) + shared


def test_servers_that_end_by_themselves_leave_ctrl_c_as_it_was(run_project: RunProject) -> None:
    """After them, Ctrl-C ends the next async test, and a sync one."""
    result = run_project(
        "-p",
        "no:randomly",
        subprocess=True,
        conftest=_conftest("function"),
        test_it="""
        import asyncio
        import pytest

        async def test_serves(server):
            await asyncio.sleep(0)

        def test_as_python_has_it():
            with pytest.raises(KeyboardInterrupt):
                press()

        async def test_as_it_was():
            asyncio.get_running_loop().call_soon(press)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise asyncio.CancelledError
        """,
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED, result.outlines
    assert result.parseoutcomes()["passed"] == 2
