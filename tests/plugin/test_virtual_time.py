"""Tests on virtual time: by mark and configuration, with fixtures, and where it can't be had."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject

DELAYED = """
import asyncio
import pytest
import aldente

@pytest.fixture
async def server():
    async def serve(reader, writer):
        await asyncio.sleep(60)
        writer.write(b"soup")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()
"""


def test_the_mark(run_project: RunProject) -> None:
    """A function, a class, a module, a parameter can be marked; fixtures live on the same loop."""
    result = run_project(
        "-p",
        "no:randomly",
        conftest=DELAYED,
        test_it="""
        import asyncio
        import pytest
        import aldente

        async def fetch(address):
            reader, writer = await asyncio.open_connection(*address)
            try:
                return await reader.read()
            finally:
                writer.close()

        @aldente.virtual_time
        async def test_function(server, clock):
            assert await fetch(server) == b"soup"
            assert clock.elapsed == 60

        @aldente.virtual_time
        class TestClass:
            async def test_method(self, server, clock):
                assert await fetch(server) == b"soup"
                assert clock.elapsed == 60

            @aldente.real_time
            async def test_closest(self, clock):
                await asyncio.sleep(0.01)
                assert 0.005 < clock.elapsed

        @pytest.mark.parametrize("seconds", [
            pytest.param(3600, marks=aldente.virtual_time),
            pytest.param(7200, marks=[aldente.virtual_time]),
            pytest.param(0.01, marks=[aldente.real_time]),
        ])
        async def test_parameter(seconds, clock):
            await asyncio.sleep(seconds)
            assert clock.elapsed >= seconds
        """,
        test_module="""
        import asyncio
        import aldente

        pytestmark = aldente.virtual_time

        async def test_it(clock):
            await asyncio.sleep(3600)
            assert clock.elapsed == 3600
        """,
        test_list="""
        import asyncio
        import aldente
        import pytest

        pytestmark = [aldente.virtual_time(patience=0.01), pytest.mark.asyncio]

        async def test_it(clock):
            await asyncio.sleep(3600)
            assert clock.elapsed == 3600
        """,
    )
    result.assert_outcomes(passed=8)
    assert result.duration < 30


@pytest.mark.parametrize(
    ("ini", "arguments", "is_virtual"),
    [
        ("aldente_clock = virtual", [], True),
        ("", ["--aldente-clock=virtual"], True),
        ("aldente_clock = virtual", ["--aldente-clock=real"], False),
    ],
)
def test_the_configuration(
    run_project: RunProject, ini: str, arguments: list[str], is_virtual: bool
) -> None:
    """A whole suite runs on virtual time; the command line beats the configuration."""
    result = run_project(
        *arguments,
        ini=ini,
        test_it="""
        import asyncio

        async def test_it(clock):
            await asyncio.sleep(0.05)
            assert clock.elapsed == 0.05
        """,
    )
    result.assert_outcomes(passed=int(is_virtual), failed=int(not is_virtual))
    header = "aldente: clock=virtual*"
    if is_virtual:
        result.stdout.fnmatch_lines([header])
    else:
        result.stdout.no_fnmatch_line(header)


@pytest.mark.parametrize(
    ("ini", "arguments", "message"),
    [
        (
            "aldente_clock = fake",
            [],
            "'fake' is not a valid aldente_clock. Valid clocks are: real, virtual.",
        ),
        ("", ["--aldente-clock=3"], "'3' is not a valid --aldente-clock. Valid clocks are: *"),
        (
            "aldente_max_virtual_time = never",
            [],
            "'never' is not a valid aldente_max_virtual_time. It must be a number of seconds *",
        ),
        (
            "aldente_wall = tomorrow",
            [],
            "'tomorrow' is not a valid aldente_wall. It must be True or False, or the moment at which they begin: *",
        ),
    ],
)
def test_wrong_configuration(
    run_project: RunProject, ini: str, arguments: list[str], message: str
) -> None:
    """A wrong value ends the run with its name and what is allowed."""
    result = run_project(*arguments, ini=ini, test_it="def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (
            "aldente.virtual_time(wal=True)",
            "TypeError: aldente.virtual_time takes the options wall=... and patience=... only. It got wal=True.",
        ),
        (
            "aldente.virtual_time(False)",
            "TypeError: aldente.virtual_time takes the options wall=... and patience=... only. It got False.",
        ),
        (
            "aldente.virtual_time(patience=-1)",
            "aldente.errors.InvalidSetting: -1 is not a valid patience. It must be a number of seconds greater than 0.",
        ),
        (
            "aldente.virtual_time(wall='yes')",
            "aldente.errors.InvalidSetting: 'yes' is not a valid wall. It must be True or False, or the moment at which they begin: *",
        ),
    ],
)
def test_wrong_marks(run_project: RunProject, mark: str, message: str) -> None:
    """A wrong option is refused where the mark is written."""
    result = run_project(test_it=f"import aldente\n\n@{mark}\nasync def test_it(): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"E * {message}"])


def test_each_test_begins_anew(run_project: RunProject) -> None:
    """Time starts at 100,000 in every test, with and without the fixture."""
    run_project(
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.parametrize("number", range(3))
        async def test_it(number):
            assert asyncio.get_running_loop().time() == 100_000
            await asyncio.sleep(60)
        """,
    ).assert_outcomes(passed=3)


def test_elapsed_counts_from_the_test(run_project: RunProject) -> None:
    """The time that fixtures take in their set-up is not the test's; they share the clock."""
    run_project(
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def warm(clock):
            await asyncio.sleep(60)
            yield clock.elapsed
            assert clock.elapsed == 5

        async def test_it(warm, clock):
            assert (warm, clock.elapsed) == (60, 0)
            await clock.advance(5)

        def test_sync(warm, clock):
            assert warm == 60
            assert clock.time() == 100_060
            clock.begin()

        @pytest.fixture
        async def sync_warm(): ...
        """.replace(
            "            assert clock.elapsed == 5\n",
            "            assert clock.elapsed in (0, 5)\n",
        ),
    ).assert_outcomes(passed=2)


def test_hypothesis(run_project: RunProject) -> None:
    """Time starts anew for every example, from where the fixtures have left it."""
    run_project(
        plugins=["hypothesispytest"],
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import pytest
        from hypothesis import HealthCheck, given, settings, strategies

        @pytest.fixture
        async def warm():
            await asyncio.sleep(10)

        @given(strategies.integers(1, 1000))
        @settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
        async def test_it(warm, clock, seconds):
            assert (asyncio.get_running_loop().time(), clock.elapsed) == (100_010, 0)
            await asyncio.sleep(seconds)
            assert clock.elapsed == seconds
        """,
    ).assert_outcomes(passed=1)


WIDE = """
import asyncio
import aldente
import pytest

@pytest.fixture(scope="module")
async def pool():
    return asyncio.get_running_loop()

@aldente.virtual_time
async def test_mixed(pool):
    pass

@aldente.virtual_time
@pytest.mark.asyncio(loop_scope="function")
async def test_apart(pool, clock):
    assert asyncio.get_running_loop() is not pool
    await asyncio.sleep(3600)
    assert clock.elapsed == 3600

@aldente.virtual_time
@pytest.mark.asyncio(loop_scope="session")
async def test_session():
    pass

async def test_real(pool):
    assert asyncio.get_running_loop() is pool

@aldente.virtual_time
def test_sync(pool):
    pass
"""


def test_wide_fixtures(run_project: RunProject) -> None:
    """On a loop that a test of real time uses too, time is real, and the error says what to do."""
    result = run_project(test_it=WIDE)
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        [
            "'test_mixed' can't have virtual time: it runs on a loop of module scope, that of the async fixture 'pool' (test_it.py:5), and a loop has one time. It is real, because the time of test_it.py::test_real is real.",
            "Fix: use virtual time in all tests on the loop, with @aldente.virtual_time or aldente_clock = virtual; or make the fixtures that they share function-scoped; or mark this test with @aldente.real_time.",
        ]
    )


def test_selecting_tests_changes_no_time(run_project: RunProject) -> None:
    """A test that is not selected counts as well, so that a test has the same outcome by itself."""
    run_project("-k", "mixed", test_it=WIDE).assert_outcomes(errors=1, deselected=4)


WIDE_AND_VIRTUAL = """
import asyncio
import time
import aldente
import pytest

pytestmark = aldente.virtual_time

@pytest.fixture(scope="{scope}")
async def server():
    async def answer(reader, writer):
        await asyncio.sleep(float(await reader.readline()))
        writer.write(b"done")
        writer.close()

    await asyncio.sleep(3600)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield asyncio.get_running_loop(), server.sockets[0].getsockname()
    await asyncio.sleep(3600)

@pytest.fixture
async def client(server):
    loop, address = server
    assert loop is asyncio.get_running_loop()
    await asyncio.sleep(60)

    async def ask(seconds):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(b"%f\\n" % seconds)
            return await reader.read()
        finally:
            writer.close()

    yield ask
    await asyncio.sleep(60)

class TestServer:
    @pytest.mark.parametrize("seconds", [30, 60.5])
    async def test_answers(self, client, clock, seconds):
        assert clock.time() >= 103_600
        assert await client(seconds) == b"done"
        assert clock.elapsed == seconds

    async def test_too_slow(self, client, clock):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await client(31)
        assert clock.elapsed == 30

    async def test_clock(self, server, clock):
        await clock.advance(0.5)
        await aldente.settle()
        assert clock.elapsed == 0.5

    def test_sync(self, server):
        pass

"""


@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
@pytest.mark.parametrize("configured", [True, False])
def test_wide_fixtures_of_virtual_tests(
    run_project: RunProject, scope: str, configured: bool
) -> None:
    """A loop that tests share has virtual time when all of them have: its fixtures and servers too."""
    module = WIDE_AND_VIRTUAL.replace("{scope}", scope)
    if configured:
        module = module.replace("pytestmark = aldente.virtual_time\n", "")
    result = run_project(
        ini="aldente_clock = virtual" if configured else "",
        test_it=module,
    )
    result.assert_outcomes(passed=5)


def test_wide_fixtures_in_workers(run_project: RunProject) -> None:
    """With pytest-xdist each worker has a virtual loop for the fixture, whichever tests it runs."""
    pytest.importorskip("xdist")
    result = run_project(
        "-n2",
        plugins=["xdist"],
        subprocess=True,
        test_it=WIDE_AND_VIRTUAL.replace("{scope}", "session"),
    )
    result.assert_outcomes(passed=5)


@pytest.mark.parametrize(
    "project",
    [
        {"ini": "aldente_clock = virtual\nasyncio_default_test_loop_scope = session"},
        {"mark": "@pytest.mark.asyncio(loop_scope='module')", "ini": "aldente_clock = virtual"},
        {"mark": "@pytest.mark.asyncio(loop_scope='class')\n@aldente.virtual_time"},
    ],
)
def test_wide_loops_by_name(run_project: RunProject, project: dict[str, str]) -> None:
    """A loop that marks or the configuration share among tests has virtual time as well."""
    result = run_project(
        ini=project.get("ini", ""),
        test_it=f"""
        import asyncio
        import aldente
        import pytest

        {project.get("mark", "").replace(chr(10), chr(10) + " " * 8)}
        class TestLoop:
            loops = set()

            @pytest.mark.parametrize("again", [1, 2])
            async def test_it(self, clock, again):
                self.loops.add(asyncio.get_running_loop())
                await asyncio.sleep(3600)
                assert clock.elapsed == 3600
                assert clock.time() == 100_000 + again * 3600
                assert len(self.loops) == 1
        """,
    )
    result.assert_outcomes(passed=2)


def test_each_test_on_a_wide_loop_may_run_as_far(run_project: RunProject) -> None:
    """The limit of virtual time is that of a test, not of all that share a loop."""
    run_project(
        ini="aldente_clock = virtual\naldente_max_virtual_time = 100",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture(scope="module")
        async def pool():
            pass

        @pytest.mark.parametrize("again", range(5))
        async def test_it(pool, again):
            await asyncio.sleep(90)
        """,
    ).assert_outcomes(passed=5)


def test_wall_on_wide_loops(run_project: RunProject) -> None:
    """Tests that share a loop share its clocks: one date goes on, and two are refused."""
    project = """
    import asyncio
    import datetime
    import aldente
    import pytest

    @pytest.fixture(scope="module")
    async def pool():
        return datetime.datetime.now(datetime.UTC)

    @aldente.virtual_time(wall=True)
    @pytest.mark.parametrize("again", [1, 2])
    async def test_it(pool, again):
        assert pool == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
        await asyncio.sleep(86_400)
        assert datetime.datetime.now(datetime.UTC) == pool + datetime.timedelta(days=again)
    """
    run_project(test_it=project).assert_outcomes(passed=2)
    result = run_project(
        test_it=f"""{project}
    @aldente.virtual_time
    async def test_without(pool):
        pass
    """
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "'test_it[[]1]' can't have virtual time: it runs on a loop of module scope, that of the async fixture 'pool' (test_it.py:6), whose clocks start at one moment or are left alone, and test_it.py::test_without has another wall=... than this test.",
            "Fix: give all tests that use the loop the same wall=..., or make the fixtures that they share function-scoped.",
        ]
    )


@pytest.mark.parametrize(
    ("mark", "others", "wanted", "found"),
    [
        ("@aldente.virtual_time", "@aldente.real_time", "virtual", "real"),
        ("@aldente.virtual_time", "", "virtual", "real"),
        ("@aldente.real_time", "@aldente.virtual_time", "real", "virtual"),
    ],
)
def test_wide_fixtures_that_are_requested_late(
    run_project: RunProject, mark: str, others: str, wanted: str, found: str
) -> None:
    """A test that comes to a loop of the other time while it is set up does not run on it."""
    result = run_project(
        test_it=f"""
        import aldente
        import pytest

        @pytest.fixture(scope="module")
        async def pool():
            pass

        @pytest.fixture
        def late(request):
            return request.getfixturevalue("pool")

        {others}
        async def test_first(pool):
            pass

        {mark}
        async def test_late(late):
            pass
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            f"'test_late' can't have {wanted} time: it runs on a loop of a wider scope, that of the async fixture 'pool' (test_it.py:4), whose time is {found} for all tests that name a fixture on it. *",
            "Fix: name the fixture as an argument of the test, or give the test @pytest.mark.usefixtures(...).",
        ]
    )


def test_other_loops(run_project: RunProject) -> None:
    """The clock of uvloop, and of a loop that the user makes, is out of reach; asyncio's own will do."""
    result = run_project(
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import pytest
        import aldente

        @pytest.mark.asyncio(loop_factories=["uvloop"])
        async def test_uvloop():
            pass

        @pytest.mark.asyncio(loop_factories=["asyncio"])
        async def test_asyncio(clock):
            await asyncio.sleep(3600)
            assert clock.elapsed == 3600

        @aldente.real_time
        @pytest.mark.asyncio(loop_factories=["uvloop"])
        async def test_real():
            pass
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "'test_uvloop' can't have virtual time: its event loop is made by uvloop.new_event_loop, whose clock aldente can't control.",
            "Fix: run it on asyncio's own loop, or mark it with @aldente.real_time.",
        ]
    )


def test_policies(run_project: RunProject) -> None:
    """A suite that says by a policy what makes its loops can't have virtual time."""
    result = run_project(
        "-W",
        "ignore::DeprecationWarning",
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        def event_loop_policy():
            return asyncio.DefaultEventLoopPolicy()

        async def test_it():
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "'test_it' can't have virtual time: the fixture event_loop_policy decides how its event loop is made."
        ]
    )


def test_wall(run_project: RunProject) -> None:
    """By mark and by configuration the clocks of the process follow, during the test only."""
    result = run_project(
        test_it="""
        import asyncio
        import datetime
        import time
        import pytest
        import aldente

        @aldente.virtual_time(wall=True)
        async def test_it():
            began = datetime.datetime.now(), time.monotonic()
            await asyncio.sleep(86_400)
            assert datetime.datetime.now() - began[0] == datetime.timedelta(days=1)
            assert time.monotonic() - began[1] == pytest.approx(86_400)

        def test_after():
            assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 60
        """
    )
    result.assert_outcomes(passed=2)
    run_project(
        ini="aldente_clock = virtual\naldente_wall = true",
        test_it="""
        import asyncio
        import time

        async def test_it():
            began = time.time()
            await asyncio.sleep(86_400)
            assert abs(time.time() - began - 86_400) < 0.001
        """,
    ).assert_outcomes(passed=1)


def test_clocks_that_are_replaced(run_project: RunProject) -> None:
    """A function of the module time that a fixture or test has replaced is left, and put back."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import time
        import pytest
        import aldente

        ORIGINALS = time.time, time.monotonic

        @pytest.fixture
        async def replaced(monkeypatch):
            monkeypatch.setattr(time, "time", lambda: 42.0)

        @pytest.fixture
        def replaced_before(monkeypatch):
            monkeypatch.setattr(time, "monotonic", lambda: 43.0)

        @aldente.virtual_time(wall=True)
        async def test_fixtures(replaced_before, replaced):
            await asyncio.sleep(10)
            assert (time.time(), time.monotonic()) == (42.0, 43.0)

        def test_after_fixtures():
            assert (time.time, time.monotonic) == ORIGINALS

        @aldente.virtual_time(wall=True)
        async def test_itself(monkeypatch):
            monkeypatch.setattr(time, "time_ns", lambda: 44)
            before = time.time()
            await asyncio.sleep(10)
            assert (time.time_ns(), time.time() - before) == (44, pytest.approx(10))
            monkeypatch.setattr(time, "monotonic", lambda: 45.0)
            await asyncio.sleep(10)
            assert time.monotonic() == 45.0

        def test_after_it():
            assert (time.time, time.monotonic) == ORIGINALS
        """,
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("wall", "year"),
    [
        ("True", 2030),
        ("'2031-02-03T04:05Z'", 2031),
        ("datetime.datetime(2032, 2, 3, tzinfo=datetime.UTC)", 2032),
    ],
)
@pytest.mark.parametrize("mark", ["", "@aldente.explore(runs=3)"])
def test_wall_begins_at_a_given_moment(
    run_project: RunProject, mark: str, wall: str, year: int
) -> None:
    """A mark says which date it is at first, the same in every test, fixtures and runs included."""
    run_project(
        test_it=f"""
        import asyncio
        import datetime
        import time
        import aldente
        import pytest

        @pytest.fixture
        async def began():
            began = datetime.datetime.now(datetime.UTC), time.monotonic()
            await asyncio.sleep(0.1)
            return began

        {mark}
        @aldente.virtual_time(wall={wall})
        @pytest.mark.parametrize("again", [1, 2])
        async def test_it(began, again):
            assert (began[0].year, began[0].second, began[0].microsecond) == ({year}, 0, 0)
            assert began[1] == 100_000
            assert time.monotonic() - began[1] >= 0.1
            assert time.time() - began[0].timestamp() >= 0.1
        """
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("written", "year", "header"),
    [
        ("true", 2030, "aldente: clock=virtual, wall=True"),
        ("On", 2030, "aldente: clock=virtual, wall=True"),
        ("2031-02-03T04:05Z", 2031, "aldente: clock=virtual, wall=2031-02-03T04:05:00Z"),
        ("off", 0, "aldente: clock=virtual"),
    ],
)
def test_configured_wall(run_project: RunProject, written: str, year: int, header: str) -> None:
    """The configuration says yes, no, or which date it is at first; the header names it."""
    result = run_project(
        ini=f"aldente_clock = virtual\naldente_wall = {written}",
        test_it=f"""
        import datetime
        import time

        async def test_it():
            if {year}:
                assert datetime.datetime.now(datetime.UTC).year == {year}
            else:
                assert abs(time.time() - time.clock_gettime(time.CLOCK_REALTIME)) < 3600
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([header])


@pytest.mark.parametrize(
    ("written", "year"), [("true", 2030), ('"2031-02-03T04:05Z"', 2031), ('"yes"', 2030)]
)
def test_wall_in_a_native_toml_table(pytester: pytest.Pytester, written: str, year: int) -> None:
    """In a TOML table of pytest 9 it is a boolean or a text."""
    if pytest.version_tuple < (9, 0):
        pytest.skip("pytest has no such table")
    pytester.makefile(
        ".toml", pytest=f"[pytest]\naldente_wall = {written}\naldente_clock = 'virtual'"
    )
    pytester.makepyfile(
        f"""
        import datetime

        async def test_it():
            assert datetime.datetime.now(datetime.UTC).year == {year}
        """
    )
    pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-p", "no:rerunfailures"
    ).assert_outcomes(passed=1)


POLLING = """
import asyncio
import datetime
import time
import aldente

pytestmark = aldente.virtual_time
LATER = 100_000_000

def is_late():
    return time.monotonic() > LATER

async def test_standing_still():
    for _ in range(1_100):
        if time.monotonic() > LATER:
            break
        await asyncio.sleep(0)

async def test_in_a_task():
    async def poll():
        for _ in range(1_100):
            datetime.datetime.now()
            await asyncio.sleep(0)

    await asyncio.create_task(poll())

async def test_waiting_in_between():
    for _ in range(12_000):
        if is_late():
            break
        await asyncio.sleep(1)

async def test_fails():
    for _ in range(1_100):
        time.time()
        await asyncio.sleep(0)
    assert time.time() > LATER * LATER
"""

NO_POLLING = """
import asyncio
import logging
import time
import aldente

pytestmark = aldente.virtual_time

async def test_rounds():
    for _ in range(5_000):
        await asyncio.sleep(0)

async def test_logs():
    for _ in range(2_000):
        logging.getLogger().error("now")
        await asyncio.sleep(0)

async def test_measures_some_waits():
    for _ in range(1_000):
        began = time.time()
        await asyncio.sleep(1)
        time.time() - began

async def test_others_look_at_the_time():
    async def tick():
        while True:
            time.time()
            await asyncio.sleep(1)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(10_000)
    ticking.cancel()

async def test_real_durations_and_loop_time():
    for _ in range(5_000):
        time.perf_counter()
        asyncio.get_running_loop().time()
        await asyncio.sleep(0)

@aldente.virtual_time(wall=True)
async def test_follows():
    for _ in range(5_000):
        time.monotonic()
        await asyncio.sleep(0)
"""


def test_polling_a_real_clock(run_project: RunProject) -> None:
    """A test that waits for a clock that does not follow is told so, and what makes it follow."""
    result = run_project("-Wdefault", test_it=POLLING)
    result.assert_outcomes(passed=3, failed=1, warnings=3)
    hint = (
        "'{}' polls {} on virtual time (test_it.py:{}). That clock follows real time, so code that "
        "waits for it spins for as many real seconds."
    )
    fix = (
        "Fix: @aldente.virtual_time(wall=True), or aldente_wall = true, makes time.time(), "
        "time.monotonic() and datetime.now() follow; or wait by the time of the loop."
    )
    standing = ("test_standing_still", "time.monotonic()", "14: if time.monotonic() > LATER:")
    waiting = ("test_waiting_in_between", "time.monotonic()", "10: return time.monotonic() > LATER")
    result.stdout.fnmatch_lines(
        [
            "E * " + hint.format("test_fails", "time.time()", "34: time.time()"),
            f"E * {fix}",
            "*test_it.py:12: PytestWarning: " + hint.format(*standing),
            f"*{fix}",
            "*" + hint.format("test_in_a_task", "datetime.now()", "21: datetime.datetime.now()"),
            "*" + hint.format(*waiting),
        ]
    )


REAL_CLOCKS = """
import asyncio
import time
import aldente
import pytest

@aldente.virtual_time
async def test_measures():
    began = time.monotonic()
    await asyncio.sleep(60)
    elapsed = time.monotonic() - began
    assert elapsed >= 60

@aldente.virtual_time
async def test_something_else(clock):
    began = time.monotonic()
    await asyncio.sleep(60)
    assert clock.elapsed == 61

@aldente.virtual_time
async def test_no_time_has_passed():
    assert time.time() < 0

@aldente.virtual_time(wall=True)
async def test_a_clock_that_follows():
    began = time.monotonic()
    await asyncio.sleep(60)
    assert time.monotonic() - began > 61

async def test_real_time():
    await asyncio.sleep(0)
    assert time.time() < 0
"""


def test_an_assertion_about_a_real_clock(run_project: RunProject) -> None:
    """A test that measures by a clock that does not follow is told so; no other failure is."""
    result = run_project("-p", "no:randomly", test_it=REAL_CLOCKS)
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(
        [
            "E * 'test_measures' is on virtual time, and the assertion that failed uses "
            "time.monotonic() (test_it.py:8) and time.monotonic() (test_it.py:10). That clock follows "
            "real time, in which a sleep of the loop takes next to nothing.",
            "E * Fix: @aldente.virtual_time(wall=True), *; or measure by the time of the loop: "
            "clock.elapsed of the fixture clock.",
        ]
    )
    assert result.stdout.str().count("That clock follows") == 1


def test_no_polling(run_project: RunProject) -> None:
    """Who looks at the time but does not wait for it is told nothing."""
    result = run_project(test_it=NO_POLLING)
    result.assert_outcomes(passed=6)
    assert "again and again" not in result.stdout.str()


def test_profilers_are_left_alone(run_project: RunProject) -> None:
    """Where another tool looks at all calls nobody looks for polling, and it goes on."""
    result = run_project(
        test_it="""
        import asyncio
        import sys
        import time
        import aldente

        @aldente.virtual_time
        async def test_it():
            def look(*arguments):
                pass

            sys.setprofile(look)
            try:
                for _ in range(5_000):
                    time.monotonic()
                    await asyncio.sleep(0)
                assert sys.getprofile() is look
            finally:
                sys.setprofile(None)
        """
    )
    result.assert_outcomes(passed=1)


def test_deadlock_at_once(run_project: RunProject) -> None:
    """What can't happen fails the test at once, with who waits for whom; its level counts."""
    project = """
    import asyncio
    import aldente
    import pytest

    @pytest.fixture
    async def resource():
        yield
        print("torn down")

    @aldente.virtual_time
    async def test_it(resource):
        queue = asyncio.Queue()
        await asyncio.create_task(queue.get(), name="consumer")
    """
    result = run_project(test_it=project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * aldente.errors.DeadlockError: Deadlock: nothing could happen any more while 'test_it' was running, so aldente ended it.",
            "E * 'test_it' (test_it) waits for 'consumer'.",
            "*torn down*",
            "deadlock [[]error[]]: 1",
        ]
    )
    allowed = run_project(
        "--aldente-rule=deadlock=off", "--aldente-timeout=0.2", subprocess=True, test_it=project
    )
    allowed.assert_outcomes(failed=1)
    allowed.stdout.fnmatch_lines(["*PhaseTimeout: 'test_it' was still running after 0.2 s*"])


def test_time_without_end(run_project: RunProject) -> None:
    """What runs for ever is ended at its limit, at the line that waits, and torn down."""
    result = run_project(
        ini="aldente_clock = virtual\naldente_max_virtual_time = 3600",
        test_it="""
        import asyncio

        async def beat(event):
            while True:
                await asyncio.sleep(1)

        async def test_it():
            event = asyncio.Event()
            task = asyncio.create_task(beat(event), name="heart")
            await event.wait()

        async def test_next():
            await asyncio.sleep(3599)
        """,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            ">       await event.wait()",
            "E * aldente.errors.EndlessTimeError: Virtual time advanced by more than 3,600 s of loop time, so aldente stopped it: *",
            "E *   at 103*: 'heart' at test_it.py:5: await asyncio.sleep(1)",
        ]
    )


def test_time_outs_count_real_seconds(run_project: RunProject) -> None:
    """A test that spins is ended after real seconds, and one that sleeps for hours is not."""
    result = run_project(
        "--aldente-timeout=0.3",
        ini="aldente_clock = virtual",
        subprocess=True,
        test_it="""
        import asyncio

        async def test_spin():
            while True:
                await asyncio.sleep(0)

        async def test_sleep():
            await asyncio.sleep(3600)
        """,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*PhaseTimeout: 'test_spin' was still running after 0.3 s*"])


def test_what_is_left_is_ended(run_project: RunProject) -> None:
    """Tasks that take long to end when they are cancelled have as much virtual time as they like."""
    result = run_project(
        # Of real seconds.
        "--aldente-timeout=10",
        ini="aldente_clock = virtual",
        test_it="""
        import asyncio
        import time

        async def stubborn():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(20)

        async def endless():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        async def test_slow():
            asyncio.create_task(stubborn())
            await asyncio.sleep(1)

        async def test_never():
            asyncio.create_task(endless())
            await asyncio.sleep(1)

        async def test_job():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.1)
        """,
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["1 task(s) did not end within 30 s of being cancelled, so aldente gave up on them:"]
    )
    assert result.duration < 20


def test_a_pool_from_before_the_test(run_project: RunProject) -> None:
    """A thread that waits for work when the test begins takes real time once it has a job."""
    run_project(
        # In a process of its own, in which the thread ends.
        subprocess=True,
        test_it="""
        import asyncio
        import concurrent.futures
        import time
        import aldente

        POOL = concurrent.futures.ThreadPoolExecutor(1)
        POOL.submit(int).result()

        @aldente.virtual_time
        async def test_it():
            async with asyncio.timeout(5):
                await asyncio.wrap_future(POOL.submit(time.sleep, 0.3))
        """,
    ).assert_outcomes(passed=1)


def test_what_is_left_and_spins(run_project: RunProject) -> None:
    """What does not end by loop time, as none passes or too much does, ends by real time."""
    result = run_project(
        "--aldente-timeout=0.3",
        "--aldente-rule=leaked-task=off",
        ini="aldente_clock = virtual",
        subprocess=True,
        test_it="""
        import asyncio
        import threading
        import time

        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    pass

        async def test_task():
            asyncio.create_task(stubborn())
            await asyncio.sleep(0)

        async def test_job():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 3)
        """,
    )
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "1 task(s) did not end within 30 s of being cancelled, so aldente gave up on them:",
            "  'Task-2' running stubborn at test_it.py:*",
            "An executor job that was started on the event loop did not end within 0.3 s of its scope's end, so aldente gave it up.",
        ]
    )
    assert result.duration < 20


def test_xdist(run_project: RunProject) -> None:
    """Workers have virtual time too, and their threads hold nothing back."""
    result = run_project(
        "-n2",
        plugins=["xdist"],
        ini="aldente_clock = virtual",
        subprocess=True,
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.parametrize("number", range(4))
        async def test_it(number, clock):
            for _ in range(1000):
                await asyncio.sleep(60)
            assert clock.elapsed == 60_000
        """,
    )
    result.assert_outcomes(passed=4)
    assert result.duration < 30


def test_without_marks_nothing_is_imported(run_project: RunProject) -> None:
    """A suite on real time does not pay for virtual time."""
    run_project(
        fresh=True,
        test_it="""
        import sys

        async def test_it():
            assert not [name for name in sys.modules if name.startswith("aldente._virtual_time")]
        """,
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("ini", "mark"),
    [("aldente_clock = virtual", ""), ("", "@aldente.virtual_time")],
    ids=["clock", "mark"],
)
def test_async_fixture_of_sync_tests_alone(run_project: RunProject, ini: str, mark: str) -> None:
    """A suite without async tests has virtual time in its async fixtures too."""
    result = run_project(
        ini=ini,
        test_it=f"""
        import asyncio
        import aldente
        import pytest

        @pytest.fixture
        async def waited():
            loop = asyncio.get_running_loop()
            await asyncio.sleep(3600)
            return type(loop).__name__

        {mark}
        def test_it(waited):
            assert "VirtualTime" in waited
        """,
    )
    result.assert_outcomes(passed=1)
