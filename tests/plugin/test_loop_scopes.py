"""Tests and fixtures run on the event loop that the rule says."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

SCOPES = ["function", "class", "module", "package", "session"]

_MODULE_THAT_RECORDS_LOOPS = """
import asyncio
import pytest
import loops

MARK

class TestClass:
    async def test_first(self):
        loops.seen.append(asyncio.get_running_loop())

    async def test_second(self):
        loops.seen.append(asyncio.get_running_loop())

async def test_third():
    loops.seen.append(asyncio.get_running_loop())
"""


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("how", ["mark", "ini"])
def test_a_named_loop_scope_is_shared_by_its_tests(
    run_project: RunProject, pytester: pytest.Pytester, scope: str, how: str
) -> None:
    """Tests of one class, module, package or session share the loop that mark or ini names."""
    mark = f'pytestmark = pytest.mark.asyncio(loop_scope="{scope}")' if how == "mark" else ""
    ini = f"asyncio_default_test_loop_scope = {scope}" if how == "ini" else ""
    for package in ("one", "two"):
        pytester.mkpydir(package)
        for module in ("test_a", "test_b"):
            path = pytester.path / package / f"{module}.py"
            path.write_text(_MODULE_THAT_RECORDS_LOOPS.replace("MARK", mark))
    result = run_project(
        ini=ini,
        loops="seen = []",
        conftest="""
        import loops

        def pytest_sessionfinish():
            distinct = len(set(map(id, loops.seen)))
            print("DISTINCT LOOPS", distinct, all(loop.is_closed() for loop in loops.seen))
        """,
    )
    result.assert_outcomes(passed=12)
    # Per module: a class with two tests, and one test outside of it.
    expected = {"function": 12, "class": 8, "module": 4, "package": 2, "session": 1}[scope]
    result.stdout.fnmatch_lines([f"*DISTINCT LOOPS {expected} True*"])


def test_closest_mark_wins(run_project: RunProject) -> None:
    """A mark on the test beats one on its class, which beats one on the module."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")
        loops = {}

        async def test_module():
            loops["module"] = asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_scope="class")
        class TestClass:
            async def test_class(self):
                loops["class"] = asyncio.get_running_loop()
                assert loops["class"] is not loops["module"]

            async def test_same_class(self):
                assert asyncio.get_running_loop() is loops["class"]

            @pytest.mark.asyncio(loop_scope="function")
            async def test_function(self):
                assert asyncio.get_running_loop() not in loops.values()

            @pytest.mark.asyncio(loop_scope="module")
            async def test_module_again(self):
                assert asyncio.get_running_loop() is loops["module"]
        """
    )
    result.assert_outcomes(passed=5)


def test_plain_tests_have_fresh_loops(run_project: RunProject) -> None:
    """A test that uses no wide fixture has a loop of its own, closed at its end."""
    result = run_project(
        test_it="""
        import asyncio

        loops = []

        async def test_one():
            loops.append(asyncio.get_running_loop())

        async def test_two():
            assert loops[0].is_closed()
            assert asyncio.get_running_loop() is not loops[0]
        """
    )
    result.assert_outcomes(passed=2)


def test_the_widest_async_fixture_decides(run_project: RunProject) -> None:
    """A session pool, what is built on it and a plain test share a loop, with nothing configured."""
    result = run_project(
        conftest="""
        import asyncio
        import pytest

        @pytest.fixture(scope="session")
        async def pool():
            return asyncio.get_running_loop()

        @pytest.fixture(scope="session")
        def facade(pool):
            return pool
        """,
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def connection(facade):
            assert asyncio.get_running_loop() is facade
            yield facade
            assert asyncio.get_running_loop() is facade

        @pytest.fixture
        async def unrelated():
            return asyncio.get_running_loop()

        @pytest.fixture(scope="module")
        async def table(facade):
            return asyncio.get_running_loop()

        seen = {}

        async def test_direct(pool):
            seen["pool"] = pool
            assert asyncio.get_running_loop() is pool

        async def test_indirect(unrelated, connection):
            assert asyncio.get_running_loop() is connection
            assert unrelated is connection

        async def test_module_fixture(table, pool):
            assert table is pool

        @pytest.fixture
        def asks(request):
            return request.getfixturevalue("pool")

        async def test_asked_for_at_run_time(asks):
            assert asyncio.get_running_loop() is asks

        async def test_own():
            assert asyncio.get_running_loop() is not seen["pool"]
        """,
    )
    result.assert_outcomes(passed=5)


def test_a_named_scope_beats_the_widest_fixture(run_project: RunProject) -> None:
    """A test that names its loop scope gets it, whatever its fixtures run on."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="session")
        async def pool():
            return asyncio.get_running_loop()

        @pytest.fixture
        async def beside():
            return asyncio.get_running_loop()

        @pytest.mark.asyncio(loop_scope="function")
        async def test_apart(pool, beside):
            assert asyncio.get_running_loop() is not pool
            assert asyncio.get_running_loop() is beside
        """
    )
    result.assert_outcomes(passed=1)


def test_fixtures_name_their_loop_scope(run_project: RunProject) -> None:
    """A fixture's ``loop_scope``, else the ini default, else its caching scope decide its loop."""
    modules = {
        "test_it": """
        import asyncio
        import pytest
        import pytest_asyncio

        loops = {}

        @pytest_asyncio.fixture(loop_scope="session")
        async def named():
            return asyncio.get_running_loop()

        @pytest.fixture
        async def unnamed():
            return asyncio.get_running_loop()

        async def test_first(named):
            loops["session"] = named
            assert asyncio.get_running_loop() is named

        async def test_second(named, unnamed):
            assert named is unnamed is loops["session"]

        async def test_third(unnamed, request):
            in_session = request.config.getini("asyncio_default_fixture_loop_scope") == "session"
            assert (unnamed is loops["session"]) == in_session
        """
    }
    run_project(**modules).assert_outcomes(passed=3)
    for value in ("session", "fixture-scope"):
        ini = f"asyncio_default_fixture_loop_scope = {value}"
        run_project(ini=ini, **modules).assert_outcomes(passed=3)


def test_an_impossible_pair_is_an_error_with_both_ways_out(run_project: RunProject) -> None:
    """A fixture cached for longer than its loop lives is an error at set-up."""
    result = run_project(
        ini="asyncio_default_fixture_loop_scope = function",
        test_it="""
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture(scope="session", loop_scope="module")
        async def pool():
            return 1

        @pytest.fixture(scope="class")
        async def by_ini():
            return 1

        async def test_named(pool):
            pass

        async def test_by_ini(by_ini):
            pass
        """,
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "Async fixture 'pool' (test_it.py:4) is cached for the session but runs on a loop that lives "
            "for one module (loop_scope='module').",
            "Its value would outlive the event loop it belongs to: the next test would get connections "
            "and locks of a closed loop.",
            "Fix: either let the loop live as long (loop_scope='session'), or cache the fixture no "
            "longer than its loop (scope='module').",
            "Async fixture 'by_ini' (test_it.py:8) is cached for the class but runs on a loop that lives "
            "for one function (asyncio_default_fixture_loop_scope).",
        ]
    )


def test_package_fixtures_live_with_the_package_that_defines_them(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A package fixture of an outer conftest is one value on one loop for its subpackages."""
    for folder in ("outer", "outer/inner"):
        (pytester.path / folder).mkdir()
        (pytester.path / folder / "__init__.py").touch()
        (pytester.path / folder / "test_module.py").write_text(
            "import asyncio\n"
            "async def test_it(shared):\n"
            "    assert asyncio.get_running_loop() is shared\n"
            "    assert not shared.is_closed()\n"
        )
    (pytester.path / "outer" / "conftest.py").write_text(
        "import asyncio, pytest\n"
        "@pytest.fixture(scope='package')\n"
        "async def shared():\n"
        "    print('UP')\n"
        "    yield asyncio.get_running_loop()\n"
    )
    result = run_project("-s")
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("UP") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            'loop_scope="modul"',
            "unexpected loop scope value 'modul'. Valid scopes are: function, "
            "class, module, package, session.\nIt was given as loop_scope='modul' (str).",
        ),
        (
            "loop_scope=3",
            "unexpected loop scope value 3. Valid scopes are: *\nIt was given as loop_scope=3 (int).",
        ),
        (
            'lop_scope="module"',
            "accepts only keyword arguments 'loop_scope' and 'loop_factories'. It got "
            "asyncio(lop_scope='module').",
        ),
        ('"module"', "accepts only keyword arguments*It got asyncio('module')."),
        ('loop_scope="class", scope="class"', '*defines both "scope" and "loop_scope"*'),
    ],
)
def test_wrong_mark_arguments_are_explained(
    run_project: RunProject, arguments: str, message: str
) -> None:
    """A wrong argument of the mark names the test, the value, its type and what is allowed."""
    result = run_project(
        test_it=f"""
        import pytest

        @pytest.mark.asyncio({arguments})
        async def test_it():
            pass
        """
    )
    result.assert_outcomes(errors=1)
    pattern = f"*test_it.py::test_it: *{message}"
    result.stdout.fnmatch_lines(pattern.replace("[", "[[]").splitlines())


def test_deprecated_scope_argument_warns(run_project: RunProject) -> None:
    """``asyncio(scope=...)`` still works, with the deprecation that pytest-asyncio gives."""
    result = run_project(
        "-W",
        "default",
        test_it="""
        import asyncio
        import pytest

        loops = set()

        @pytest.mark.asyncio(scope="module")
        class TestScope:
            async def test_one(self):
                loops.add(asyncio.get_running_loop())

            async def test_two(self):
                loops.add(asyncio.get_running_loop())
                assert len(loops) == 1
        """,
    )
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 2
    result.stdout.fnmatch_lines(['*The "scope" keyword argument to the asyncio marker*'])
