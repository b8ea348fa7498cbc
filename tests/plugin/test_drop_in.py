"""The names, fixtures and warnings of pytest-asyncio that test suites rely on."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.conftest import RunProject

NEEDS_POLICIES = pytest.mark.skipif(sys.version_info >= (3, 16), reason="there are no policies")


def test_the_names_can_be_imported(run_project: RunProject) -> None:
    """``import pytest_asyncio`` and its plugin module work, in a conftest too."""
    run_project(
        conftest="""
        import pytest_asyncio
        from pytest_asyncio import fixture, is_async_test
        from pytest_asyncio.plugin import unused_tcp_port

        assert tuple(map(int, pytest_asyncio.__version__.split("."))) >= (1, 5)

        def pytest_collection_modifyitems(items):
            assert [is_async_test(item) for item in items] == [True, False]
        """,
        test_it="""
        import pytest_asyncio.plugin

        async def test_async():
            pass

        def test_sync():
            assert pytest_asyncio.plugin._unused_port
        """,
        subprocess=True,
    ).assert_outcomes(passed=2)


def test_a_run_inside_a_run_leaves_the_names(run_project: RunProject) -> None:
    """After a nested run the names are still those of the outer one."""
    result = run_project(
        test_it="""
        import pytest

        def test_nested(tmp_path):
            (tmp_path / "test_inner.py").write_text(
                "async def test_inner(unused_tcp_port):\\n    import pytest_asyncio"
            )
            assert pytest.main(["-p", "aldente", "-q", str(tmp_path)]) == 0

        def test_still_there():
            import pytest_asyncio.plugin
        """,
        subprocess=True,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["pytest_asyncio", "pytest_asyncio.plugin"])
def test_pytest_plugins_does_not_register_it_twice(run_project: RunProject, name: str) -> None:
    """``pytest_plugins = "pytest_asyncio"`` in a conftest is accepted."""
    run_project(
        conftest=f'pytest_plugins = "{name}"',
        test_it="""
        async def test_async(unused_tcp_port):
            assert unused_tcp_port
        """,
        subprocess=True,
    ).assert_outcomes(passed=1)


def test_the_plugin_is_found_by_its_name(run_project: RunProject) -> None:
    """``getplugin("asyncio")`` gives the drop-in; ``-p no:asyncio`` leaves its fixtures out."""
    modules = {
        "test_it": """
        def test_plugin(request):
            plugin = request.config.pluginmanager.getplugin("asyncio")
            assert hasattr(plugin, "unused_tcp_port")
            assert request.config.pluginmanager.getplugin("aldente") is not plugin

        async def test_async(unused_tcp_port):
            pass
        """
    }
    run_project(**modules).assert_outcomes(passed=2)
    result = run_project("-p", "no:asyncio", **modules)
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'unused_tcp_port' not found*"])


def test_unused_ports(run_project: RunProject) -> None:
    """The port fixtures give ports that can be bound, and the factories never one twice."""
    run_project(
        test_it="""
        import socket

        def test_ports(
            unused_tcp_port, unused_udp_port, unused_tcp_port_factory, unused_udp_port_factory
        ):
            with socket.socket(type=socket.SOCK_STREAM) as tcp:
                tcp.bind(("127.0.0.1", unused_tcp_port))
            with socket.socket(type=socket.SOCK_DGRAM) as udp:
                udp.bind(("127.0.0.1", unused_udp_port))
            assert len({unused_tcp_port_factory() for _ in range(50)}) == 50
            assert len({unused_udp_port_factory() for _ in range(50)}) == 50
        """
    ).assert_outcomes(passed=1)


def test_the_port_fixtures_call_what_suites_patch(run_project: RunProject) -> None:
    """``pytest_asyncio.plugin._unused_port`` decides which port is offered."""
    run_project(
        test_it="""
        import pytest_asyncio.plugin

        def test_ports(monkeypatch, request):
            offered = iter([7, 7, 8])
            monkeypatch.setattr(pytest_asyncio.plugin, "_unused_port", lambda kind: next(offered))
            new_port = request.getfixturevalue("unused_tcp_port_factory")
            assert [new_port(), new_port()] == [7, 8]
        """
    ).assert_outcomes(passed=1)


def test_missing_names_are_explained(run_project: RunProject) -> None:
    """Who imports an internal of pytest-asyncio is told why it is not there."""
    result = run_project(test_it="from pytest_asyncio.plugin import PytestAsyncioFunction")
    result.assert_outcomes(errors=1)
    # Python's own words for a name that a module does not have.
    result.stdout.fnmatch_lines(["*ImportError: cannot import name 'PytestAsyncioFunction'*"])
    result = run_project(
        test_it="import pytest_asyncio.plugin\npytest_asyncio.plugin.PytestAsyncioFunction"
    )
    result.stdout.fnmatch_lines(
        [
            "*AttributeError: pytest_asyncio.plugin has no 'PytestAsyncioFunction': aldente "
            "replaces pytest-asyncio*",
            "*Fix: use a documented name; or run the tests with pytest-asyncio, by -p no:aldente.",
        ]
    )


@NEEDS_POLICIES
@pytest.mark.parametrize("scope", ["function", "session"])
def test_an_overridden_policy_makes_the_loops(run_project: RunProject, scope: str) -> None:
    """Tests and async fixtures that see an override of ``event_loop_policy`` run under it."""
    result = run_project(
        "-Wdefault",
        test_it=f"""
        import asyncio
        import pytest

        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self):
                loop = super().new_event_loop()
                loop.made_by_policy = True
                return loop

        class TestOverridden:
            @pytest.fixture(scope="{scope}")
            def event_loop_policy(self):
                return Policy()

            @pytest.fixture
            async def resource(self):
                return asyncio.get_running_loop()

            async def test_policy(self, resource):
                assert resource is asyncio.get_running_loop()
                assert resource.made_by_policy
                assert isinstance(asyncio.get_event_loop_policy(), Policy)

        async def test_others():
            assert not hasattr(asyncio.get_running_loop(), "made_by_policy")
            assert not isinstance(asyncio.get_event_loop_policy(), Policy)

        def test_sync():
            assert not isinstance(asyncio.get_event_loop_policy(), Policy)
        """,
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ['*PytestDeprecationWarning: Overriding the "event_loop_policy" fixture is deprecated*']
    )


@pytest.mark.parametrize("name", ["pytest_asyncio", "pytest_asyncio.plugin"])
@pytest.mark.parametrize("where", ["conftest", "test module"])
def test_suites_may_name_pytest_asyncio_as_a_plugin(
    run_project: RunProject, name: str, where: str
) -> None:
    """Where warnings are errors, too: pytest does not warn that it is imported already."""
    line = f'pytest_plugins = "{name}"\n'
    result = run_project(
        # Later ones win: the configuration of these tests leaves this warning out.
        "-W",
        "error::pytest.PytestAssertRewriteWarning",
        subprocess=True,
        conftest=line if where == "conftest" else "",
        test_it=(line if where == "test module" else "") + "async def test_it(): pass",
    )
    result.assert_outcomes(passed=1)


@NEEDS_POLICIES
def test_a_refused_policy_is_told_in_each_test(run_project: RunProject) -> None:
    """Where warnings are errors, each test that uses the fixture fails with the warning."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="module")
        def event_loop_policy():
            return asyncio.DefaultEventLoopPolicy()

        @pytest.fixture
        def narrow(event_loop_policy):
            pass

        async def test_first():
            pass

        async def test_second():
            pass

        def test_sync(narrow):
            pass
        """
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        ['*PytestDeprecationWarning: Overriding the "event_loop_policy" fixture is deprecated*'] * 3
    )
    result.stdout.no_fnmatch_line("*AssertionError*")


def test_a_python_without_policies(run_project: RunProject) -> None:
    """Async tests run there, but those whose suite says by a policy what makes their loop."""
    modules = {
        "conftest": """
        import asyncio

        # As in Python 3.16; asyncio itself goes on to use its own.
        for name in ("get_event_loop_policy", "set_event_loop_policy"):
            vars(asyncio).pop(name, None)
        """,
        "test_it": """
        import asyncio
        import pytest

        async def test_without(request):
            assert request.getfixturevalue("event_loop_policy") is None

        class TestOverridden:
            @pytest.fixture
            def event_loop_policy(self):
                return object()

            async def test_it(self):
                pass

            def test_sync(self):
                pass
        """,
    }
    result = run_project(
        "-W", "ignore::pytest.PytestDeprecationWarning", subprocess=True, **modules
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*'test_it' has no event loop: the fixture event_loop_policy should make it, but this "
            "Python no longer has event loop policies.",
            "*Fix: remove the fixture; *",
        ]
    )


@NEEDS_POLICIES
def test_a_parametrized_policy_parametrizes_the_tests(run_project: RunProject) -> None:
    """Each test runs once for each policy, a sync one too, as with pytest-asyncio."""
    result = run_project(
        "-v",
        "-Wignore",
        conftest="""
        import asyncio
        import pytest

        class First(asyncio.DefaultEventLoopPolicy):
            pass

        class Second(asyncio.DefaultEventLoopPolicy):
            pass

        @pytest.fixture(scope="session", params=[First(), Second()], ids=["first", "second"])
        def event_loop_policy(request):
            return request.param
        """,
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.asyncio(loop_scope="module")
        async def test_policy(request):
            name = type(asyncio.get_event_loop_policy()).__name__.lower()
            assert name in request.node.name

        def test_sync():
            pass
        """,
    )
    result.assert_outcomes(passed=4)
    for name in (
        "test_policy?first?",
        "test_policy?second?",
        "test_sync?first?",
        "test_sync?second?",
    ):
        result.stdout.fnmatch_lines([f"*{name} PASSED*"])


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_runner_fixtures_give_a_runner_on_the_tests_loop(
    run_project: RunProject, scope: str
) -> None:
    """``_function_scoped_runner`` and its likes are real runners, for those who reach for them."""
    run_project(
        test_it=f"""
        import asyncio
        import pytest

        @pytest.fixture
        def loop(_{scope}_scoped_runner):
            assert isinstance(_{scope}_scoped_runner, asyncio.Runner)
            return _{scope}_scoped_runner.get_loop()

        @pytest.mark.asyncio(loop_scope="{scope}")
        async def test_async(loop):
            assert asyncio.get_running_loop() is loop

        def test_sync(loop, _{scope}_scoped_runner):
            async def answer():
                return 42

            assert loop.run_until_complete(answer()) == 42
            assert _{scope}_scoped_runner.run(answer()) == 42
        """
    ).assert_outcomes(passed=2)


def test_runners_are_made_only_for_tests_that_ask(run_project: RunProject) -> None:
    """A plain test requests no fixture of the drop-in."""
    result = run_project(
        "--setup-show",
        test_it="""
        async def test_plain():
            pass
        """,
    )
    result.stdout.no_fnmatch_line("*SETUP*")
    result.stdout.no_fnmatch_line("*fixtures used*")


def test_a_sync_fixture_of_pytest_asyncio_finds_a_loop(run_project: RunProject) -> None:
    """``@pytest_asyncio.fixture def`` has a current loop in set-up and tear-down: its test's."""
    run_project(
        test_it="""
        import asyncio
        import pytest
        import pytest_asyncio

        loops = []

        @pytest_asyncio.fixture
        def plain():
            return asyncio.get_event_loop()

        @pytest_asyncio.fixture
        def generator():
            yield asyncio.get_event_loop()
            loops.append(asyncio.get_event_loop())

        async def test_async(plain, generator):
            assert plain is generator is asyncio.get_running_loop()
            loops.append(generator)

        def test_after():
            assert len(loops) == 2 and loops[0] is loops[1]
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
        """,
        ini="asyncio_default_fixture_loop_scope = function",
    ).assert_outcomes(passed=2)


def test_a_marked_sync_test_is_warned_about(run_project: RunProject) -> None:
    """The mark does nothing for a function that is not async, and that is said."""
    result = run_project(
        "-Wdefault",
        test_it="""
        import pytest

        pytestmark = pytest.mark.asyncio

        def test_sync():
            pass

        async def test_async():
            pass
        """,
    )
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("Please remove the asyncio mark") == 1
    result.stdout.fnmatch_lines(
        [
            "*PytestWarning: The test <Function test_sync> is marked with '@pytest.mark.asyncio' "
            "but it is not an async function. Please remove the asyncio mark.*"
        ]
    )


@pytest.mark.skipif(pytest.version_tuple >= (9,), reason="pytest 9 itself refuses them")
def test_strict_mode_warns_of_fixtures_it_leaves_alone(run_project: RunProject) -> None:
    """In strict mode an async fixture of plain ``pytest.fixture`` is not run, and that is said."""
    result = run_project(
        "-Wdefault",
        "--asyncio-mode=strict",
        test_it="""
        import pytest

        @pytest.fixture
        async def resource():
            return 1

        @pytest.mark.asyncio
        async def test_it(resource):
            assert await resource == 1
        """,
    )
    result.stdout.fnmatch_lines(
        [
            "*PytestDeprecationWarning: asyncio test 'test_it' requested async @pytest.fixture "
            "'resource' in strict mode. You might want to use @pytest_asyncio.fixture or switch to "
            "auto mode.*"
        ]
    )


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 8.4 only warns of them")
@pytest.mark.parametrize(
    ("arguments", "ini", "source"),
    [
        (("--asyncio-mode=strict",), "", "--asyncio-mode=strict"),
        (("-o", "asyncio_mode=strict"), "", "-o asyncio_mode=strict"),
        ((), "asyncio_mode = strict", "asyncio_mode = strict in tox.ini"),
    ],
)
def test_strict_mode_explains_fixtures_it_leaves_alone(
    run_project: RunProject, arguments: tuple[str, ...], ini: str, source: str
) -> None:
    """The errors name the fixture, strict mode, what sets it, and both ways out."""
    result = run_project(
        "-p",
        "no:randomly",
        *arguments,
        ini=ini,
        test_it="""
        import pytest

        @pytest.fixture
        async def resource():
            return 1

        @pytest.fixture
        async def generator():
            yield 1

        @pytest.mark.asyncio
        async def test_it(resource):
            pass

        @pytest.mark.asyncio
        async def test_generator(generator):
            pass

        def test_sync(resource):
            pass

        async def test_unmarked():
            pass
        """,
    )
    result.assert_outcomes(errors=3, failed=1)
    for test, fixture in (("it", "resource"), ("generator", "generator"), ("sync", "resource")):
        result.stdout.fnmatch_lines(
            [
                f"'test_{test}' requested the async fixture '{fixture}' (test_it.py:*), which strict "
                f"mode does not run; the mode is set by {source}.",
                "Fix: write @pytest_asyncio.fixture there, or set asyncio_mode = auto to run every "
                "async test and fixture.",
            ]
        )
    result.stdout.fnmatch_lines(
        [
            "test_it.py:*: async test 'test_unmarked' has no 'asyncio' mark, and asyncio_mode=strict "
            f"runs only marked tests; the mode is set by {source}."
        ]
    )


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 8.4 only warns of them")
def test_fixtures_that_pytest_refuses_are_told_in_each_test(run_project: RunProject) -> None:
    """Without aldente's say, too: pytest 9 alone fails the second with a bare AssertionError."""
    result = run_project(
        "-p",
        "no:asyncio",
        test_it="""
        import pytest

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "trio"

        @pytest.fixture(scope="module")
        async def resource():
            return 1

        @pytest.mark.trio
        async def test_first(resource):
            pass

        @pytest.mark.trio
        async def test_second(resource):
            pass
        """,
        ini="markers =\n    trio\nasyncio_mode = strict",
    )
    result.assert_outcomes(errors=2)
    result.stdout.no_fnmatch_line("*AssertionError*")


def test_the_mode_may_change_while_plugins_are_configured(run_project: RunProject) -> None:
    """The mode is read when it is needed: plugins set it in their own ``pytest_configure``."""
    run_project(
        conftest="""
        def pytest_configure(config):
            config.option.asyncio_mode = "auto"
        """,
        test_it="""
        async def test_it():
            pass
        """,
        ini="asyncio_mode = strict",
    ).assert_outcomes(passed=1)


def test_no_loop_is_current_after_a_test(run_project: RunProject) -> None:
    """After an async test there is no current loop, as before it."""
    run_project(
        test_it="""
        from aldente._asyncio_compat import current_event_loop

        async def test_async():
            assert current_event_loop() is not None

        def test_none_is_set():
            # Not get_event_loop(), which makes a loop up to Python 3.13 if none was ever set.
            assert current_event_loop() is None
        """,
        subprocess=True,
    ).assert_outcomes(passed=2)


def test_a_wide_loop_is_current_for_sync_fixtures(run_project: RunProject) -> None:
    """A sync fixture finds its test's wide loop in every test, in set-up and in tear-down."""
    run_project(
        test_it="""
        import asyncio
        import pytest

        def current():
            return asyncio.get_event_loop()

        @pytest.fixture(scope="session", autouse=True)
        async def database():
            yield 1

        @pytest.fixture
        def client():
            loop = current()
            yield loop
            assert current() is loop

        async def test_first(client):
            assert client is asyncio.get_running_loop()

        async def test_second(client):
            assert client is asyncio.get_running_loop()

        def test_sync(client):
            client.run_until_complete(asyncio.sleep(0))
        """,
        ini="asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session",
    ).assert_outcomes(passed=3)


def test_sync_tests_set_up_fixtures_on_the_hooks_loop(run_project: RunProject) -> None:
    """A wide fixture that a sync test asks for first is on the same loop as the async tests."""
    run_project(
        conftest="""
        import asyncio

        class Loop(asyncio.SelectorEventLoop):
            pass

        def pytest_asyncio_loop_factories(config, item):
            return {"loop": Loop}
        """,
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="session")
        async def server():
            yield asyncio.get_running_loop()

        def test_sync(server):
            assert type(server).__name__ == "Loop"

        async def test_async(server):
            assert server is asyncio.get_running_loop()
        """,
    ).assert_outcomes(passed=2)


@NEEDS_POLICIES
def test_a_policy_s_fixtures_end_with_it(run_project: RunProject) -> None:
    """Wide fixtures are set up anew for each parameter of a wide policy."""
    run_project(
        "-Wignore",
        test_it="""
        import asyncio
        import pytest

        class First(asyncio.DefaultEventLoopPolicy):
            pass

        class Second(asyncio.DefaultEventLoopPolicy):
            pass

        @pytest.fixture(scope="module", params=[First(), Second()], ids=["first", "second"])
        def event_loop_policy(request):
            return request.param

        @pytest.fixture(scope="module")
        async def server():
            yield asyncio.get_running_loop()

        async def test_one(server):
            assert server is asyncio.get_running_loop()

        async def test_two(server):
            assert server is asyncio.get_running_loop()
        """,
    ).assert_outcomes(passed=4)
