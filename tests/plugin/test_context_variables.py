"""Context variables reach those who may see them, and nobody else."""

from __future__ import annotations

import pytest

from aldente._runner import context
from tests.plugin.conftest import RunProject

MODULE = """
import asyncio
import contextvars
import pytest

V = contextvars.ContextVar("V")
W = contextvars.ContextVar("W", default="none")
"""


def test_what_an_async_fixture_sets_is_seen_by_its_dependents(run_project: RunProject) -> None:
    """Fixtures that depend on it, the test and its own tear-down see it; afterwards it is gone."""
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture
async def sets():
    token = V.set("set")
    yield
    assert V.get() == "set"
    V.reset(token)

@pytest.fixture
async def returns():
    W.set("returned")

@pytest.fixture
def sync_dependent(sets):
    assert V.get() == "set"

@pytest.fixture
async def async_dependent(sets, returns):
    assert (V.get(), W.get()) == ("set", "returned")
    yield
    assert (V.get(), W.get()) == ("set", "returned")

async def test_async(sync_dependent, async_dependent):
    assert (V.get(), W.get()) == ("set", "returned")

def test_sync(sync_dependent, async_dependent):
    assert (V.get(), W.get()) == ("set", "returned")

def test_gone():
    assert (V.get(None), W.get()) == (None, "none")

async def test_gone_async():
    assert (V.get(None), W.get()) == (None, "none")
"""
    )
    result.assert_outcomes(passed=4)


def test_what_a_sync_fixture_sets_is_gone_after_the_test(run_project: RunProject) -> None:
    """A sync fixture of an async test may set variables and never reset them."""
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture
def sets():
    V.set("set")

@pytest.fixture
def resets():
    token = W.set("reset")
    yield
    assert W.get() == "reset"
    W.reset(token)

@pytest.fixture
async def dependent(sets, resets):
    assert (V.get(), W.get()) == ("set", "reset")
    yield
    assert (V.get(), W.get()) == ("set", "reset")

class TestMethods:
    def setup_method(self):
        self.token = V.set("method")

    def teardown_method(self):
        V.reset(self.token)

    async def test_method(self):
        assert V.get() == "method"

async def test_sees_it(dependent):
    assert (V.get(), W.get()) == ("set", "reset")

async def test_gone():
    assert (V.get(None), W.get()) == (None, "none")

def test_gone_sync():
    assert (V.get(None), W.get()) == (None, "none")
"""
    )
    result.assert_outcomes(passed=4)


def test_tests_do_not_leak_into_one_another(run_project: RunProject) -> None:
    """What an async test sets, and what it resets, ends with it."""
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture
async def sets():
    V.set("fixture")
    yield
    assert V.get() == "fixture"

async def test_one(sets):
    V.set("test")

async def test_two():
    assert V.get(None) is None
"""
    )
    result.assert_outcomes(passed=2)


def test_wide_fixtures_keep_their_variables_for_their_scope(run_project: RunProject) -> None:
    """What a module fixture sets, sync or async, is seen by every test of the module and reset by it."""
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture(scope="module")
def sync_wide():
    token = V.set("sync wide")
    yield
    V.reset(token)

@pytest.fixture(scope="module")
async def async_wide():
    token = W.set("async wide")
    yield
    assert W.get() == "async wide"
    W.reset(token)

@pytest.fixture
def narrow():
    V.set("narrow")
    yield

@pytest.fixture
def asks(narrow, request):
    assert V.get() == "narrow"
    request.getfixturevalue("async_wide")

async def test_one(sync_wide, narrow):
    assert V.get() == "narrow"

async def test_asks(asks):
    assert (V.get(), W.get()) == ("narrow", "async wide")

async def test_two(sync_wide, async_wide):
    assert (V.get(), W.get()) == ("sync wide", "async wide")

def test_three(sync_wide, async_wide):
    assert (V.get(), W.get()) == ("sync wide", "async wide")
""",
        test_later="""
        from test_it import V, W

        async def test_gone():
            assert (V.get(None), W.get()) == (None, "none")
        """,
    )
    result.assert_outcomes(passed=5)


def test_sync_suites_are_untouched(run_project: RunProject) -> None:
    """Sync tests and their fixtures share one context, as they do without aldente."""
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture
def sets():
    token = V.set("fixture")
    yield token
    assert V.get("reset by the test") == "reset by the test"

def test_resets(sets):
    V.reset(sets)

def test_sets():
    V.set("left by the test before")

def test_sees():
    assert V.get() == "left by the test before"
"""
    )
    result.assert_outcomes(passed=3)


def test_without_the_c_api_nothing_breaks(
    run_project: RunProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where contexts can't be entered, fixtures and tests still see each other's variables."""
    monkeypatch.setattr(context, "_find_switch", lambda: None)
    result = run_project(
        test_it=MODULE
        + """
@pytest.fixture
def sets():
    token = V.set("set")
    yield
    V.reset(token)

@pytest.fixture(scope="module")
def wide():
    yield

async def test_sees_it(sets, wide):
    assert V.get() == "set"
"""
    )
    result.assert_outcomes(passed=1)
