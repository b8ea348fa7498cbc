"""One async fixture for the whole session: started once, used by every test here."""

from collections.abc import AsyncIterator

import pytest

from fetcher import fetch_data
from loopback import LoopbackServer, running_server


# Session-scoped on purpose: a server that is expensive to start is shared, and lives on the loop
# of the session. The tests below say nothing about loops; they run on that one because it is the
# widest among their fixtures', so the server can answer while they wait.
@pytest.fixture(scope="session")
async def shared_server() -> AsyncIterator[LoopbackServer]:
    """Run one server for all tests."""
    async with running_server() as running:
        running.json_route("/shared", "from the shared server")
        yield running


@pytest.mark.parametrize("visit", [1, 2])
async def test_a_session_fixture_serves_every_test(
    shared_server: LoopbackServer, visit: int
) -> None:
    """Each test is answered by the same running server, which was started by the first."""
    fetched = await fetch_data(f"{shared_server.url}/shared?visit={visit}")

    assert fetched["data"] == "from the shared server"


async def test_narrow_and_wide_fixtures_work_together(
    shared_server: LoopbackServer, server: LoopbackServer
) -> None:
    """A function-scoped server and a session-scoped one answer the same test."""
    own = server.json_route("/own", "from the test's own server")

    wide = await fetch_data(f"{shared_server.url}/shared")
    narrow = await fetch_data(own.url)

    assert wide["data"] != narrow["data"]
