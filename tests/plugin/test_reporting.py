"""What users see: header, tracebacks, errors in the configuration."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

PASSING = "async def test_it():\n    pass"


def test_the_header_is_silent_by_default(run_project: RunProject) -> None:
    """Nothing is printed that differs in nothing from the defaults."""
    result = run_project(test_it=PASSING)
    result.stdout.no_fnmatch_line("aldente:*")


def test_the_header_names_what_differs(run_project: RunProject) -> None:
    """Mode, debug and loop scopes are in the header when they differ from the defaults."""
    result = run_project(
        "--asyncio-debug",
        ini="asyncio_mode = strict\n"
        "asyncio_default_fixture_loop_scope = module\n"
        "asyncio_default_test_loop_scope = session",
        test_it="",
    )
    result.stdout.fnmatch_lines(
        [
            "aldente: mode=strict, debug=True, asyncio_default_fixture_loop_scope=module, "
            "asyncio_default_test_loop_scope=session"
        ]
    )


def test_the_command_line_beats_the_ini_file(run_project: RunProject) -> None:
    """``--asyncio-mode`` wins over ``asyncio_mode``, and a plugin may change it later."""
    result = run_project("--asyncio-mode=auto", ini="asyncio_mode = strict", test_it=PASSING)
    result.assert_outcomes(passed=1)
    result = run_project(
        ini="asyncio_mode = strict",
        conftest="""
        def pytest_configure(config):
            config.option.asyncio_mode = "auto"
        """,
        test_it=PASSING,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("how", ["--asyncio-debug", "ini"])
def test_debug_mode(run_project: RunProject, how: str) -> None:
    """``--asyncio-debug`` and ``asyncio_debug`` put every loop into asyncio's debug mode."""
    result = run_project(
        *([how] if how != "ini" else []),
        ini="asyncio_debug = true" if how == "ini" else "",
        test_it="""
        import asyncio

        async def test_debug():
            assert asyncio.get_running_loop().get_debug()
        """,
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        (
            "asyncio_mode = atuo",
            "'atuo' is not a valid asyncio_mode. Valid modes: auto, strict.\n"
            "It was given as asyncio_mode='atuo' (str).",
        ),
        (
            "asyncio_default_test_loop_scope = modul",
            "'modul' is not a valid asyncio_default_test_loop_scope. Valid scopes are: function, class, "
            "module, package, session.\n"
            "It was given as asyncio_default_test_loop_scope='modul' (str).",
        ),
        (
            "asyncio_default_fixture_loop_scope = loop",
            "*'loop' is not a valid asyncio_default_fixture_loop_scope. Valid scopes are: *",
        ),
        (
            "aldente_colour = red",
            "unknown configuration key 'aldente_colour': aldente has no such "
            "setting. Allowed are: *",
        ),
    ],
)
def test_wrong_configuration_is_a_usage_error(
    run_project: RunProject, ini: str, message: str
) -> None:
    """A wrong value or misspelt key stops the run with the name, the value, its type and what is allowed."""
    result = run_project(ini=ini, test_it=PASSING)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(f"ERROR: *{message}".splitlines())


def test_a_misspelt_key_of_pytest_asyncio_is_a_warning(run_project: RunProject) -> None:
    """pytest-asyncio runs such a suite, so aldente does, and says what was meant."""
    result = run_project("-Wdefault", ini="asyncio_mod = auto", test_it=PASSING)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*PytestConfigWarning: unknown configuration key 'asyncio_mod': * Did you mean 'asyncio_mode'? Allowed are: *"
        ]
    )


def test_keys_of_other_plugins_are_left_alone(run_project: RunProject) -> None:
    """A key that merely begins with asyncio_ is pytest's business."""
    result = run_project("-W", "default", ini="asyncio_something_else = 1", test_it=PASSING)
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*Unknown config option: asyncio_something_else"])


FAILING = """
import asyncio
import pytest

async def slow():
    await asyncio.sleep(3600)

async def fail():
    raise ValueError("deep down")

@pytest.fixture
async def broken():
    async with asyncio.timeout(0):
        await slow()

async def test_time_out():
    await asyncio.wait_for(slow(), 0)

async def test_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())

async def test_chained():
    try:
        await asyncio.gather(fail())
    except ValueError as error:
        raise RuntimeError("on top") from error

async def test_fixture(broken):
    pass
"""


def test_tracebacks_show_the_users_frames_only(run_project: RunProject) -> None:
    """A failing async test shows the test's own lines, in groups and causes too."""
    result = run_project(test_it=FAILING)
    result.assert_outcomes(failed=3, errors=1)
    result.stdout.fnmatch_lines(["test_it.py:*: TimeoutError", "*deep down*", "*on top*"])
    for ours in (
        "*base_events.py*",
        "*taskgroups.py*",
        "*timeouts.py*",
        "*aldente?_*",
        "*runner.py*",
    ):
        result.stdout.no_fnmatch_line(ours)


def test_full_trace_shows_every_frame(run_project: RunProject) -> None:
    """``--aldente-full-trace`` keeps the frames of asyncio and aldente."""
    result = run_project("--aldente-full-trace", test_it=FAILING)
    result.assert_outcomes(failed=3, errors=1)
    result.stdout.fnmatch_lines(["*asyncio*timeouts.py:*"])
    result.stdout.fnmatch_lines(["*taskgroups.py*"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest has subtests from 9 on")
@pytest.mark.parametrize("options", [(), ("--full-trace",)])
def test_tracebacks_of_subtests_show_the_users_frames_only(
    run_project: RunProject, options: tuple[str, ...]
) -> None:
    """A failure inside ``subtests.test()`` is shortened as one of the whole test is."""
    result = run_project(
        *options,
        test_it="""
        import asyncio

        async def work(number):
            await asyncio.sleep(0)
            assert number != 1

        async def test_it(subtests):
            for number in range(3):
                with subtests.test("work", number=number):
                    await asyncio.wait_for(work(number), 60)
        """,
    )
    result.stdout.fnmatch_lines(["*SUBFAILED*number=1*test_it.py::test_it*"])
    frames = [line for line in result.outlines if "tasks.py:" in line or "timeouts.py:" in line]
    assert bool(frames) == bool(options), result.outlines


def test_explanations_of_hypothesis_name_no_lines_of_aldente(run_project: RunProject) -> None:
    """What is run by failing examples only is the user's, not what aldente does with a failure."""
    result = run_project(
        subprocess=True,
        test_it="""
        import asyncio
        from hypothesis import given, settings, strategies as st

        async def check(first, second):
            await asyncio.sleep(0)
            assert first < 10 or second > 5

        @settings(database=None, derandomize=True)
        @given(st.integers(), st.integers())
        async def test_it(first, second):
            await check(first if first > 5 else 0, second)
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_it(*"])
    result.stdout.no_fnmatch_line("*aldente*.py:*")


def test_set_up_is_shown_as_for_sync_fixtures(run_project: RunProject) -> None:
    """``--setup-show``, ``--setup-plan`` and ``--fixtures`` show async fixtures and nothing of ours."""
    modules = {
        "test_it": '''
        import pytest

        @pytest.fixture
        async def resource():
            """A resource of the user's."""
            yield 1

        async def test_it(resource):
            pass
        '''
    }
    for option in ("--setup-show", "--setup-plan"):
        result = run_project(option, **modules)
        result.stdout.fnmatch_lines(
            [
                "        SETUP    F resource",
                "        test_it.py::test_it (fixtures used: resource)*",
                "        TEARDOWN F resource",
            ]
        )
    result = run_project("--fixtures", **modules)
    result.stdout.fnmatch_lines(["resource -- test_it.py:[34]*", "    A resource of the user's."])
    titles = [line for line in result.stdout.lines if "fixtures defined from" in line]
    assert [line.split()[4] for line in titles if "aldente" in line] == ["aldente"]
    ours = [line for line in result.stdout.lines if "aldente" in line and " -- " in line]
    # pytest sorts them by the text of their places.
    assert sorted(line.split()[0] for line in ours) == [
        "clock",
        "doubles",
        "event_loop_policy",
        "network",
        "unused_tcp_port",
        "unused_tcp_port_factory",
        "unused_udp_port",
        "unused_udp_port_factory",
    ]


def test_stopping_and_durations(run_project: RunProject) -> None:
    """``-x`` and ``--maxfail`` stop at a failing async test; ``--durations`` times all three phases."""
    modules = {
        "test_it": """
        import asyncio
        import pytest

        @pytest.fixture
        async def resource():
            await asyncio.sleep(0.01)
            yield
            await asyncio.sleep(0.01)

        async def test_one(resource):
            await asyncio.sleep(0.01)
            assert False

        async def test_two(resource):
            assert False

        async def test_three():
            pass
        """
    }
    run_project("-x", **modules).assert_outcomes(failed=1)
    run_project("--maxfail=2", **modules).assert_outcomes(failed=2)
    result = run_project("--durations=0", "--durations-min=0.005", "-vv", **modules)
    for phase in ("setup", "call", "teardown"):
        result.stdout.fnmatch_lines([f"*.*s {phase}* test_it.py::test_one"])


def test_last_failed_runs_async_tests_again(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """``--lf`` selects the async tests that failed."""
    modules = {"test_it": "async def test_good(): pass\nasync def test_bad(): assert False"}
    pytester.makepyfile(**modules)
    options = ("-p", "aldente", "-p", "cacheprovider")
    pytester.runpytest_inprocess(*options, "-p", "no:rerunfailures").assert_outcomes(
        passed=1, failed=1
    )
    pytester.runpytest_inprocess(*options, "-p", "no:rerunfailures", "--lf").assert_outcomes(
        failed=1, deselected=0
    )


def test_junit_xml_is_as_for_sync_tests(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """JUnit XML has the same test cases and failures for ``async def`` as for ``def``."""
    body = """
    import pytest

    class TestClass:
        PREFIXdef test_passes(self):
            pass

    PREFIXdef test_fails():
        assert 1 == 2
    """
    reports = []
    for prefix in ("", "async "):
        run_project("--junit-xml=report.xml", test_it=body.replace("PREFIX", prefix))
        report = (pytester.path / "report.xml").read_text()
        names = [part.split(" time=")[0] for part in report.split("<testcase ")[1:]]
        reports.append((names, report.count("<failure"), 'message="assert 1 == 2"' in report))
    assert reports[0] == reports[1]
    assert reports[0][1:] == (1, True)


# Plugins of the run that these tests are in have threads, of which Python warns in a fork.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("only_aldente")
def test_the_debugger_stops_in_the_users_frame(pytester: pytest.Pytester) -> None:
    """``--pdb`` after a failure, and ``breakpoint()`` inside a test, are in the test's own frame."""
    pytest.importorskip("pexpect")
    pytester.makepyfile(
        """
        async def test_breaks():
            local_name = "seen"
            breakpoint()
            assert local_name == "other"
        """
    )
    child = pytester.spawn_pytest("--pdb -p no:cacheprovider")
    child.expect("Pdb")
    child.sendline("p local_name")
    child.expect("'seen'")
    child.sendline("continue")
    child.expect("AssertionError")
    child.expect("Pdb")
    child.sendline("p 'post mortem', local_name")
    child.expect(r"\('post mortem', 'seen'\)")
    child.sendline("quit")
    child.expect("1 failed")
    child.wait()


def test_output_of_async_tests_is_captured(run_project: RunProject) -> None:
    """Output of test and fixtures is captured, and shown with ``-s``."""
    modules = {
        "test_it": """
        import pytest

        @pytest.fixture
        async def resource():
            print("in set-up")
            yield

        async def test_it(resource, capsys, caplog):
            print("in the test")
            assert capsys.readouterr().out .strip() == "in the test"
            print("left over")
        """
    }
    result = run_project("-s", **modules)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*in set-up*"])
    run_project(**modules).stdout.no_fnmatch_line("*in set-up*")
