"""Nothing that aldente does makes Python warn, of what is deprecated or of anything else."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

EVERYTHING = {
    "conftest": """
    import asyncio
    import sys

    def refuse(*arguments):
        raise AssertionError("an event loop policy was touched")

    # They warn from 3.14 on, where asyncio itself calls others, and are gone in 3.16.
    if (3, 14) <= sys.version_info < (3, 16):
        for module in (asyncio, asyncio.events):
            module.get_event_loop_policy = module.set_event_loop_policy = refuse
    """,
    "clients": """
    import asyncio
    import dataclasses

    @dataclasses.dataclass
    class Client:
        name: str
        retries: int = dataclasses.field(default=3)

        async def fetch(self, number: int) -> int:
            return number

    async def fetch(number: int) -> int:
        return number
    """,
    "test_it": """
    import asyncio
    import unittest

    import aldente
    import pytest

    import clients

    @pytest.fixture(params=["function"])
    async def narrow():
        async with asyncio.TaskGroup() as group:
            yield group

    @pytest.fixture(scope="class")
    async def of_class():
        yield 1

    @pytest.fixture(scope="module")
    async def of_module():
        return 2

    @pytest.fixture(scope="session")
    async def of_session(of_package):
        yield 3

    @pytest.fixture(scope="session")
    def of_package():
        yield 4

    class TestScopes:
        async def test_async(self, narrow, of_class, of_module, of_session):
            task = narrow.create_task(asyncio.sleep(0, 1))
            assert await task == 1

        def test_sync(self, narrow, of_class, of_module, of_session):
            pass

    @aldente.virtual_time
    async def test_virtual_time(clock, narrow):
        await asyncio.sleep(3600)
        assert clock.elapsed == 3600
        await aldente.settle()

    @pytest.mark.asyncio(loop_scope="module")
    async def test_wide_loop():
        await asyncio.to_thread(lambda: None)
        await asyncio.sleep(0.05)

    async def test_doubles(doubles):
        double = aldente.Double(clients.Client)
        double.fetch.returns(5).takes(0.001)
        assert await double.fetch(1) == 5
        with aldente.patch("clients.fetch") as patched:
            patched.returns(6)
            assert await clients.fetch(1) == 6

    @aldente.explore(runs=20)
    async def test_explored():
        results = []

        async def add(number):
            await asyncio.sleep(number)
            results.append(await asyncio.to_thread(abs, -number))

        await asyncio.gather(add(1), add(2))
        assert sorted(results) == [1, 2]

    async def test_connection():
        async def serve(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"line\\n")
            assert await reader.readline() == b"line\\n"
            writer.close()
            await writer.wait_closed()

    def test_sync_that_runs_a_loop():
        asyncio.run(asyncio.sleep(0))

    class TestCase(unittest.IsolatedAsyncioTestCase):
        async def test_it(self):
            await asyncio.sleep(0)
    """,
}


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ((), 9),
        (("--aldente-strict",), 9),
        # Its tests have no marks, but for one.
        (("--asyncio-mode=strict", "-k", "wide_loop or sync_that"), 2),
    ],
    ids=["auto", "strict rules", "strict mode"],
)
def test_a_project_with_everything(
    run_project: RunProject,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    passed: int,
) -> None:
    """Tests and fixtures of all kinds run without a warning, and touch no event loop policy."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    result = run_project("-W", "error", *options, fresh=True, **EVERYTHING)
    result.assert_outcomes(passed=passed, warnings=0, deselected=9 - passed)
    assert "Warning" not in result.stdout.str() + result.stderr.str()
