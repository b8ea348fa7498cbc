"""The loop of a test is there, and current, before its first fixture and until its last is torn down."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

START = """
import asyncio, logging, os, socket
from unittest import mock
import pytest
"""

PROJECTS = {
    "only the test's records": """
@pytest.fixture
def logs(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog

async def test_it(logs):
    logging.getLogger("shop").debug("buying tea")
    assert logs.messages == ["buying tea"]
""",
    "patched sockets": """
@pytest.fixture
def fake_socket():
    with mock.patch("socket.socket") as fake, mock.patch("socket.socketpair") as pair:
        yield fake
    assert not pair.called

async def test_it(fake_socket):
    socket.socket().connect(("host", 80))
    fake_socket.return_value.connect.assert_called_once()
""",
    "patched sockets by monkeypatch": """
@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.delattr("socket.socket")
    monkeypatch.delattr("socket.socketpair")

async def test_it():
    await asyncio.sleep(0)
""",
    "descriptors": """
@pytest.fixture
def no_descriptor_left():
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) - before == set()

async def test_it(no_descriptor_left):
    await asyncio.sleep(0.01)
""",
    "a future": """
@pytest.fixture
def future():
    return asyncio.get_event_loop().create_future()

async def test_it(future):
    asyncio.get_running_loop().call_soon(future.set_result, 5)
    assert await future == 5
""",
    "setup_method": """
class TestIt:
    def setup_method(self):
        self.loop = asyncio.get_event_loop()

    async def test_it(self):
        assert asyncio.get_running_loop() is self.loop

    def teardown_method(self):
        assert asyncio.get_event_loop() is self.loop
""",
    "tear-down": """
@pytest.fixture
def resource():
    loop = asyncio.get_event_loop()
    yield loop
    assert asyncio.get_event_loop() is loop
    assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"

async def test_it(resource):
    assert asyncio.get_running_loop() is resource
""",
    "a sync test with an async fixture": """
@pytest.fixture
def first():
    return asyncio.get_event_loop()

@pytest.fixture
async def second(first):
    assert asyncio.get_running_loop() is first

def test_it(first, second):
    assert asyncio.get_event_loop() is first
""",
    "a wide loop": """
pytestmark = pytest.mark.asyncio(loop_scope="module")

@pytest.fixture
def loop():
    return asyncio.get_event_loop()

async def test_it(loop):
    assert asyncio.get_running_loop() is loop
""",
    "the loop of a wide fixture that comes later": """
@pytest.fixture
def loop():
    return asyncio.get_event_loop()

@pytest.fixture(scope="module")
async def wide():
    return asyncio.get_running_loop()

async def test_it(loop, wide):
    assert asyncio.get_running_loop() is loop is wide
""",
    "after another loop of a fixture's": """
@pytest.fixture
def prepared():
    asyncio.run(asyncio.sleep(0))

@pytest.fixture
def loop(prepared):
    return asyncio.get_event_loop()

async def test_it(loop):
    assert asyncio.get_running_loop() is loop
""",
    "after another loop of a fixture's tear-down": """
@pytest.fixture
def loop():
    loop = asyncio.get_event_loop()
    yield
    assert asyncio.get_event_loop() is loop

@pytest.fixture
def cleaned_up(loop):
    yield
    asyncio.run(asyncio.sleep(0))

async def test_it(cleaned_up):
    pass
""",
    "after another loop of a test's": """
@pytest.fixture
async def value():
    return 5

class TestIt:
    def setup_method(self):
        self.loop = asyncio.get_event_loop()

    def test_it(self, value):
        asyncio.run(asyncio.sleep(0))

    def teardown_method(self):
        assert asyncio.get_event_loop() is self.loop
""",
    "an explored test": """
import aldente

@pytest.fixture
def future():
    yield asyncio.get_event_loop().create_future()
    assert asyncio.get_event_loop() is not None

@aldente.explore(runs=3)
async def test_it(future):
    asyncio.get_running_loop().call_soon(future.set_result, 5)
    assert await future == 5
""",
    "virtual time": """
import aldente

@pytest.fixture
def loop():
    return asyncio.get_event_loop()

@aldente.virtual_time
async def test_it(loop):
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop() is loop
""",
    "a loop factory": """
class Loop(asyncio.SelectorEventLoop):
    pass

@pytest.fixture
def loop():
    return asyncio.get_event_loop()

async def test_it(loop):
    assert asyncio.get_running_loop() is loop
    assert type(loop).__name__ == "Loop"
""",
}
CONFTEST = """
import sys

def pytest_asyncio_loop_factories(item):
    return {"own": item.module.Loop} if hasattr(item.module, "Loop") else {"asyncio": None}
"""


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
@pytest.mark.parametrize(
    "before", ["", "async def test_before():\n    pass\n"], ids=["alone", "after"]
)
def test_what_a_fixture_sees(run_project: RunProject, project: str, before: str) -> None:
    """Fixtures find the loop of their test, alone and after another test, and can't spoil its making."""
    conftest = CONFTEST if "class Loop" in project else ""
    result = run_project(subprocess=True, conftest=conftest, test_it=START + before + project)
    result.assert_outcomes(passed=2 if before else 1)


def test_a_policy_that_needs_fixtures_is_set_up_once(run_project: RunProject) -> None:
    """An overridden policy, and what it depends on, is not set up by looking for the test's loop."""
    result = run_project(
        "-W",
        "ignore",
        test_it="""
        import asyncio
        import pytest

        made = []

        class Policy(asyncio.DefaultEventLoopPolicy):
            pass

        @pytest.fixture
        def dependency():
            made.append("dependency")

        @pytest.fixture
        def event_loop_policy(dependency):
            made.append("policy")
            return Policy()

        @pytest.fixture
        def other():
            pass

        async def test_it(other):
            assert made == ["dependency", "policy"]
            assert isinstance(asyncio.get_event_loop_policy(), Policy)
        """,
    )
    result.assert_outcomes(passed=1)


def test_nothing_is_current_after_the_test(run_project: RunProject) -> None:
    """The next test, a sync one, finds no loop of the test before."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest
        from aldente._asyncio_compat import current_event_loop

        @pytest.fixture
        def fixture():
            assert current_event_loop() is not None

        async def test_it(fixture):
            pass

        def test_next():
            assert current_event_loop() is None
        """,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "marks",
    ["", "@pytest.mark.asyncio(loop_scope='module')", "@aldente.explore", "@aldente.virtual_time"],
)
def test_sync_test_finds_the_current_loop_of_before(run_project: RunProject, marks: str) -> None:
    """After async tests ``asyncio.get_event_loop()`` does in a sync test what it did before them."""
    result = run_project(
        subprocess=True,
        test_it=f"""
        import asyncio
        import sys
        import warnings

        import aldente
        import pytest

        def current():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                try:
                    return asyncio.get_event_loop()
                except RuntimeError as error:
                    return str(error)

        @pytest.fixture
        async def connection():
            yield asyncio.get_running_loop()

        {marks}
        async def test_first(connection):
            pass

        def test_sync():
            # Up to Python 3.13 a loop is made where none was ever made current.
            assert isinstance(current(), str) == (sys.version_info >= (3, 14))

        made = []

        def test_sets_loop():
            if not isinstance(current(), str):
                current().close()
            made.append(asyncio.new_event_loop())
            asyncio.set_event_loop(made[0])

        {marks}
        async def test_second(connection):
            assert current() is not made[0]

        def test_finds_loop():
            assert current() is made[0]
            current().run_until_complete(asyncio.sleep(0))
            asyncio.set_event_loop(None)

        {marks}
        async def test_third(connection):
            pass

        def test_finds_none():
            made[0].close()
            assert isinstance(current(), str)
        """,
    )
    result.assert_outcomes(passed=7)
