"""Explored tests: one test to pytest, run under many schedules; what the user sees of it."""

from __future__ import annotations

import fnmatch
import re
from textwrap import dedent
from xml.etree import ElementTree

import pytest

import aldente
from tests.plugin.conftest import RunProject

# Warnings are shown, but for that of pytest that its plugins are imported here already.
_WARNINGS = ("-W", "default", "-W", "ignore:Module already imported")

# Two withdrawals that are lost when one goes on while the other waits.
RACE = """
import asyncio
import aldente

async def transfer(pause):
    balance = 100
    async def withdraw(amount):
        nonlocal balance
        await asyncio.sleep(pause * amount)
        before = balance
        await asyncio.sleep(pause)
        balance = before - amount
    async with asyncio.TaskGroup() as group:
        group.create_task(withdraw(10), name="Ann")
        group.create_task(withdraw(11.5), name="Bob")
    return balance

@aldente.explore
async def test_transfer():
    assert await transfer(1) == 78.5
"""


def token_in(result: pytest.RunResult) -> str:
    """The token that a report names."""
    found = re.search(r"--aldente-replay=(\S+)", result.stdout.str())
    assert found is not None, result.stdout.str()
    return found[1]


def test_a_race_is_found_told_and_replayed(run_project: RunProject) -> None:
    """The report has the test's own assertion, the steps that matter, and how to replay it."""
    result = run_project(test_it=RACE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       assert await transfer(1) == 78.5",
            "E       assert * == 78.5",
            "test_it.py:*: AssertionError",
            "*- aldente: what happened -*",
            "What happened, in * of * steps; > marks where the schedule left stock order:",
            "  > * 10 s  Ann * sleep takes 2.5 s longer than its 10 s",
            "* Ann * test_it.py:8  await asyncio.sleep(pause * amount)",
            "*goes on after sleep*",
            "Run * of at most 200 failed, after * s in all (strategy auto, seed 0).",
            "Its schedule has 1 context switch away from stock order; it had * before shrinking.",
            "* more runs confirmed that this is the minimum.",
            'With order="io" the search finds it too, in run *.',
            "Run it again: pytest test_it.py::test_transfer --aldente-replay=*",
            "1 test explored in * runs",
        ],
        consecutive=False,
    )
    token = token_in(result)
    assert len(token) < 40
    again = run_project(f"--aldente-replay={token}", "test_it.py::test_transfer")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        [
            "aldente: replaying one schedule",
            ">       assert await transfer(1) == 78.5",
            "  > * 10 s  Ann * sleep takes 2.5 s longer than its 10 s",
            "This is the schedule of --aldente-replay.",
        ]
    )


def test_replaying_what_is_fixed_or_has_changed(run_project: RunProject) -> None:
    """A schedule that passes now is a test that passes; one that does not fit says so."""
    token = token_in(run_project(test_it=RACE))
    fixed = RACE.replace(
        "        before = balance\n        await asyncio.sleep(pause)\n", ""
    ).replace("before - amount", "balance - amount")
    result = run_project(f"--aldente-replay={token}", test_it=fixed)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["The run differs from the recorded one: *"])
    same = RACE.replace("== 78.5", "< 100")
    run_project(f"--aldente-replay={token}", test_it=same).assert_outcomes(passed=1)


def test_the_mark_goes_on_functions_classes_modules_and_parameters(run_project: RunProject) -> None:
    """The closest mark decides, key by key; every test is one item."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import pytest
        import aldente

        pytestmark = aldente.explore(runs=30, seed=3)
        runs = []

        async def three(name):
            runs.append(name)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))

        async def test_module():
            await three("module")

        @aldente.explore(runs=20)
        class TestClass:
            async def test_class(self):
                await three("class")

            @aldente.explore(runs=10, strategy="random")
            async def test_method(self):
                await three("method")

        @pytest.mark.parametrize("number", [1, pytest.param(2, marks=aldente.explore(runs=5))])
        async def test_parameters(number):
            await three(f"parameter {number}")

        @aldente.explore
        async def test_bare():
            await three("bare")

        def test_counts():
            # Two runs more for each: one tells whether a test depends on more than its schedule, one
            # looks for lost updates.
            counts = {name: runs.count(name) for name in dict.fromkeys(runs)}
            assert counts == {
                "module": 32, "class": 22, "method": 12,
                "parameter 1": 32, "parameter 2": 7, "bare": 32,
            }
        """,
    )
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["6 tests explored in *"])


def test_how_many_runs_and_which_seed(run_project: RunProject) -> None:
    """The ini file gives a default, marks beat it, and the command line beats marks."""
    modules = {
        "test_it": """
        import asyncio
        import random
        import aldente

        async def many():
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(6)))
            print("random is", random.random())

        @aldente.explore
        async def test_default():
            await many()

        @aldente.explore(runs=7, seed=5)
        async def test_marked():
            await many()
        """
    }
    ini = "aldente_runs = 12"
    result = run_project("-v", "-p", "no:randomly", ini=ini, **modules)
    result.stdout.fnmatch_lines(
        [
            "aldente: runs=12",
            "test_it.py::test_default: 12 runs.*",
            "test_it.py::test_marked: 7 runs.*",
        ]
    )
    forced = run_project(
        "-v", "--aldente-runs=9", "--aldente-seed=8", "-rP", "-p", "no:randomly", ini=ini, **modules
    )
    forced.stdout.fnmatch_lines(
        [
            "aldente: runs=9, seed=8",
            "test_it.py::test_default: 9 runs.*",
            "test_it.py::test_marked: 9 runs.*",
        ]
    )
    shown = re.findall(r"random is (\S+)", forced.stdout.str())
    assert len(set(shown)) == 1
    other = run_project("-rP", "--aldente-seed=9", "-p", "no:randomly", ini=ini, **modules)
    assert not set(shown) & set(re.findall(r"random is (\S+)", other.stdout.str()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("runs=0", "It must be a whole number from 1 *It was given as runs=0 (int)"),
        ('runs="many"', "runs='many' (str)"),
        ("seed=-1", "It must be a whole number from 0 *seed=-1 (int)"),
        ('order="odd"', "Orders are: any, io. It was given as order='odd' (str)"),
        ("slack=-1", "It must be a number, 0 or greater. It was given as slack=-1 (int)"),
        ("max_steps=1.5", "max_steps=1.5 (float)"),
        ("wall='yes'", "wall='yes' (str)"),
        ("max_seconds=0", "greater than 0. It was given as max_seconds=0 (int)"),
        ('strategy="best"', "Strategies are: auto, *strategy='best' (str)"),
        ("strategy=3", "Strategies are: auto, *strategy=3 (int)"),
        ("step=1", "aldente.explore takes the options runs=..., strategy=..., *It got step=1."),
    ],
)
def test_a_wrong_option_of_the_mark(run_project: RunProject, options: str, message: str) -> None:
    """What is wrong with it is told where the mark is made."""
    result = run_project(
        test_it=f"""
        import aldente

        @aldente.explore({options})
        async def test_it():
            pass
        """
    )
    result.assert_outcomes(errors=1)
    text = " ".join(line.removeprefix("E").strip() for line in result.stdout.lines)
    assert re.search(re.escape(message).replace(r"\*", ".*"), text), text


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        (
            ["--aldente-runs=0"],
            "",
            "*It must be a whole number from 1 to *It was given as --aldente-runs='0' (str)*",
        ),
        (["--aldente-runs=few"], "", "*--aldente-runs='few' (str)*"),
        (["--aldente-seed=x"], "", "*--aldente-seed='x' (str)*"),
        ([], "aldente_runs = all", "*aldente_runs='all' (str)*"),
        (["--aldente-replay=3AKERpA"], "", "*checksum is wrong*--aldente-replay='3AKERpA' (str)*"),
    ],
)
def test_a_wrong_setting(
    run_project: RunProject, arguments: list[str], ini: str, message: str
) -> None:
    """A wrong value ends the session with what is wrong with it."""
    result = run_project(*arguments, ini=ini, test_it=RACE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = " ".join(result.stderr.lines)
    assert fnmatch.fnmatchcase(text, message.replace("[", "[[]")), text


def test_only_one_test_can_be_replayed(run_project: RunProject) -> None:
    """With several explored tests, or none, the token is refused and they are named."""
    two = RACE + "\n@aldente.explore\nasync def test_other():\n    pass\n"
    result = run_project("--aldente-replay=3AKERpQ", test_it=two)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "*--aldente-replay runs one explored test again, but 2 are selected:",
            "  test_it.py::test_transfer",
            "  test_it.py::test_other",
            "Fix: name the test, as in the report of its failure.",
        ]
    )
    two = "async def test_it():\n    pass\n\nasync def test_other():\n    pass\n"
    none = run_project("--aldente-replay=3AKERpQ", test_it=two)
    assert none.ret == pytest.ExitCode.USAGE_ERROR
    none.stderr.fnmatch_lines(["*but 0 are selected. Of several tests *"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            """
            @pytest.fixture(scope="module")
            async def wide():
                yield

            @aldente.explore
            async def test_it(wide):
                pass
            """,
            "'test_it' can't be explored: the async fixture 'wide' (test_it.py:*) outlives the test, "
            "and every run has an event loop of its own.",
        ),
        (
            """
            @aldente.explore
            @pytest.mark.asyncio(loop_scope="module")
            async def test_it():
                pass
            """,
            "'test_it' can't be explored: it runs on a loop of module scope, *",
        ),
        (
            """
            @pytest.fixture
            def event_loop_policy():
                return asyncio.DefaultEventLoopPolicy()

            @aldente.explore
            async def test_it():
                pass
            """,
            "'test_it' can't be explored: the fixture event_loop_policy decides how *",
        ),
        (
            """
            @aldente.explore
            @aldente.real_time
            async def test_it():
                pass
            """,
            "'test_it' can't be explored: it is also marked with aldente.real_time, *",
        ),
        (
            """
            @pytest.fixture(scope="module")
            async def wide():
                yield

            @aldente.explore
            async def test_it(request):
                request.getfixturevalue("wide")
            """,
            "*'test_it' can't be explored with the async fixture 'wide': it outlives the test, *",
        ),
    ],
    ids=["async-fixture", "loop-scope", "policy", "real-time", "asked-for"],
)
def test_what_cannot_be_explored(run_project: RunProject, body: str, reason: str) -> None:
    """The reason is told before anything is run, with what to do."""
    lines = "\n".join(line.removeprefix("            ") for line in body.splitlines())
    result = run_project(
        "-W",
        "ignore",
        test_it=f"import asyncio\nimport pytest\nimport aldente\n{lines}",
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([reason, "Fix: *"])


def test_a_mark_on_a_sync_test_is_warned_of(run_project: RunProject) -> None:
    """A test without schedules is run once, with a warning; one of a marked class without."""
    result = run_project(
        *_WARNINGS,
        test_it="""
        import aldente

        @aldente.explore
        def test_marked():
            pass

        @aldente.explore
        class TestClass:
            def test_inside(self):
                pass
        """,
    )
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        ["*test_marked* is marked with aldente.explore() but it is not an async function, so it *"]
    )


def test_without_durations_no_search_is_exhaustive(run_project: RunProject) -> None:
    """With ``slack=0`` all orders may have been tried, but not what sleeps and time-outs may do."""
    module = """
        import asyncio
        import aldente

        async def work():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

        @aldente.explore(slack=0)
        async def test_orders():
            await work()
        """
    orders = "1 in all orders (slack=0: sleeps and time-outs were not varied)"
    result = run_project(test_it=module)
    result.stdout.fnmatch_lines([f"1 test explored in 2 runs, {orders}"])
    other = """
        @aldente.explore
        async def test_all():
            await work()
        """
    result = run_project(test_it=module + other)
    result.stdout.fnmatch_lines([f"2 tests explored in 4 runs, 1 exhaustively, {orders}"])


def test_the_summary_tells_of_time_outs_that_never_fire(run_project: RunProject) -> None:
    """A test that passes exhaustively may have time-outs that nothing ever reaches."""
    generous = """
        import asyncio
        import aldente

        @aldente.explore
        async def test_generous():
            async with asyncio.timeout(100):
                await asyncio.sleep(1)
        """
    result = run_project(test_it=generous)
    result.stdout.fnmatch_lines(
        ["1 test explored in * run*, 1 exhaustively (no time-out ever fired)"]
    )
    tight = """
        @aldente.explore
        async def test_tight():
            try:
                async with asyncio.timeout(1.5):
                    await asyncio.create_task(asyncio.sleep(1))
            except TimeoutError:
                pass
        """
    result = run_project(test_it=generous + tight)
    result.stdout.fnmatch_lines(
        ["2 tests explored in * run*, 2 exhaustively (in 1 of them no time-out ever fired)"]
    )
    result = run_project(test_it="import asyncio\nimport aldente\n" + dedent(tight))
    result.stdout.fnmatch_lines(["1 test explored in * run*, 1 exhaustively"])


def test_the_summary_tells_how_far_it_was(run_project: RunProject) -> None:
    """Complete, cut short, and what depends on more than its schedule, are told at the end."""
    result = run_project(
        "-v",
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import time
        import aldente

        @aldente.explore
        async def test_small():
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

        @aldente.explore(max_seconds=0.5, runs=1_000_000)
        async def test_long():
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(9)))

        @aldente.explore(runs=2)
        async def test_clock():
            if time.time_ns() % 2:
                await asyncio.sleep(1)
            await asyncio.sleep(time.time_ns() % 100 + 1)
        """,
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "*- aldente: exploration -*",
            "3 tests explored in * runs, 1 exhaustively",
            "test_it.py::test_small: 2 runs. All 2 schedules were tried; there are no others.",
            "cut short: test_it.py::test_long: * in max_seconds=0.5",
            "test_it.py::test_long: * run*",
            "not exact: test_it.py::test_clock: two runs of one schedule differed *"
            "the program calls time.time_ns() at test_it.py:15",
        ],
    )


def test_deadlocks_livelocks_and_time_without_end(run_project: RunProject) -> None:
    """What ends a run from outside is told in full, with the steps that led there."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import aldente

        @aldente.explore
        async def test_deadlock():
            first, second = asyncio.Lock(), asyncio.Lock()
            async def hold(one, other):
                async with one:
                    await asyncio.sleep(0)
                    async with other:
                        pass
            await asyncio.gather(hold(first, second), hold(second, first))

        @aldente.explore(max_steps=200)
        async def test_livelock():
            while True:
                await asyncio.sleep(0)

        @aldente.explore
        async def test_time():
            while True:
                await asyncio.sleep(10**8)
        """,
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            ">       await asyncio.gather(hold(first, second), hold(second, first))",
            "E       *Deadlock: nothing could happen any more while 'test_deadlock' was running*",
            "E       'Task-2' waits for other (Lock 1), held by 'Task-3', which waits for *",
            "E           test_it.py:10: async with other:",
            "Livelock: the run had not ended after 200 steps. What kept it going:",
            "  'test_livelock' at test_it.py:17: * of the last * steps",
            "Virtual time advanced by more than *",
            "  at 400100000: 'test_time' at test_it.py:22: await asyncio.sleep(10[*][*]8)",
        ]
    )


def test_findings_fail_a_run(run_project: RunProject) -> None:
    """A forgotten await and an error in the background fail; what only warns is told once."""
    result = run_project(
        "-p",
        "no:randomly",
        test_it="""
        import asyncio
        import aldente

        async def late(first):
            await asyncio.sleep(0)
            if first:
                first.pop()
                return
            raise ValueError("nobody looks")

        @aldente.explore
        async def test_background():
            first = [1]
            one = asyncio.create_task(late(first))
            other = asyncio.create_task(late(first), name="other")
            await one
            await asyncio.sleep(1)

        @aldente.explore
        async def test_never_awaited():
            asyncio.sleep(1)

        @aldente.allow("never-awaited")
        @aldente.explore
        async def test_allowed():
            asyncio.sleep(1)

        @aldente.explore
        async def test_leaked():
            asyncio.create_task(asyncio.sleep(100))

        @aldente.rule("leaked-task", "error")
        @aldente.explore
        async def test_leaks():
            asyncio.create_task(asyncio.sleep(100))
        """,
        # What is found in a run in this process is found by this one too.
        subprocess=True,
    )
    result.assert_outcomes(failed=3, passed=2)
    result.stdout.fnmatch_lines(
        [
            "background-error: ValueError: nobody looks, in the task * which was never awaited.",
            "*- aldente: what happened -*",
            "never-awaited: the coroutine 'sleep' was never awaited.",
            "leaked-task: the task 'Task-2' running 'sleep' was left pending.",
            "leaked-task [[]warn[]]: 1",
        ]
    )


def test_skips_and_expected_failures(run_project: RunProject) -> None:
    """They mean what they mean to other tests, and end the exploration."""
    result = run_project(
        "-rsx",
        test_it="""
        import asyncio
        import pytest
        import aldente

        pytestmark = aldente.explore
        runs = []

        async def test_skips():
            runs.append(1)
            async with asyncio.TaskGroup() as group:
                group.create_task(skip())

        async def skip():
            pytest.skip("not today")

        async def test_xfails():
            pytest.xfail("known")

        @pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
        async def test_marked():
            order = []
            async def work(number):
                await asyncio.sleep(0)
                order.append(number)
            await asyncio.gather(work(1), work(2))
            1 / (order[0] - 2)

        @pytest.fixture
        def skipping():
            pytest.skip("in a fixture")

        async def test_fixture(skipping):
            pass
        """,
    )
    result.assert_outcomes(skipped=2, xfailed=2)
    result.stdout.fnmatch_lines_random(["*not today", "*in a fixture"])


def test_exit_ends_the_session(run_project: RunProject) -> None:
    """``pytest.exit`` in a run does at once what it does elsewhere."""
    result = run_project(
        test_it="""
        import pytest
        import aldente

        @aldente.explore
        async def test_it():
            pytest.exit("enough", returncode=7)
        """
    )
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*Exit: enough*"])


def test_output_is_that_of_one_run(run_project: RunProject) -> None:
    """What a run prints, logs and warns of is shown once: of the failed run, else of the first."""
    result = run_project(
        "-p",
        "no:randomly",
        *_WARNINGS,
        "-rP",
        test_it="""
        import asyncio
        import logging
        import sys
        import warnings
        import aldente

        runs = []

        async def work():
            runs.append(1)
            print("out of run", len(runs))
            print("err of run", len(runs), file=sys.stderr)
            logging.getLogger("shop").warning("log of run %d", len(runs))
            warnings.warn("the same each time")
            order = []
            async def one(number):
                await asyncio.sleep(0)
                order.append(number)
            await asyncio.gather(one(1), one(2), one(3))
            return order

        @aldente.explore
        async def test_passes(caplog):
            await work()
            assert len(caplog.records) == 1

        @aldente.explore
        async def test_fails(capsys, record_property):
            print("before")
            assert capsys.readouterr().out == "before\\n"
            record_property("seen", 1)
            runs[:] = []
            assert await work() != [3, 2, 1]
        """,
    )
    result.assert_outcomes(passed=1, failed=1, warnings=2)
    text = result.stdout.str()
    passed = text.partition("test_passes")[2]
    assert passed.count("out of run 1\n") == passed.count("err of run 1\n") == 1
    assert text.count("out of run") == text.count("err of run") == 2
    # pytest shows what was logged last.
    assert text.count("log of run") == 2
    assert text.count("the same each time") == 2


def test_a_failure_is_tried_first_and_forgotten_once_it_passes(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """The schedule that failed is kept; once it passes the user is told, and only once."""
    cache = ("-p", "cacheprovider")
    run_project(*cache, test_it=RACE).assert_outcomes(failed=1)
    (kept,) = pytester.path.glob(".pytest_cache/d/aldente/*.json")
    again = run_project(*cache)
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        ["The schedule that failed last time still fails (strategy auto, seed 0)."]
    )
    # It is the only one that is tried, so that what follows has to do with it.
    only = run_project(*cache, "--aldente-runs=1")
    only.assert_outcomes(failed=1)
    program = RACE.replace("        before = balance\n", "").replace(
        "before - amount", "balance - amount"
    )
    fixed = run_project(*cache, test_it=program)
    fixed.assert_outcomes(passed=1)
    fixed.stdout.fnmatch_lines(
        [
            "fixed: test_it.py::test_transfer passes under the schedule that failed before; "
            "aldente no longer keeps that schedule"
        ]
    )
    assert not kept.exists()
    assert "fixed" not in run_project(*cache).stdout.str()


def test_what_is_kept_may_be_unreadable(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """A kept schedule that is none is removed with a warning, and nothing of it is run."""
    cache = ("-p", "cacheprovider")
    run_project(*cache, test_it=RACE)
    (kept,) = pytester.path.glob(".pytest_cache/d/aldente/*.json")
    for text in ("[1]", '{"token": "3AKERpA"}', '{"token": 5}', "\\", ""):
        kept.write_text(text, encoding="utf-8")
        result = run_project(*cache, *_WARNINGS)
        result.assert_outcomes(failed=1, warnings=1)
        result.stdout.fnmatch_lines(
            [
                "*aldente: the schedule kept for test_it.py::test_transfer can't be read, so aldente *"
            ]
        )


def test_selecting_and_distributing(run_project: RunProject) -> None:
    """``-x``, ``--lf`` and pytest-xdist see one test; what is told comes from the workers too."""
    two = RACE + "\n@aldente.explore\nasync def test_passes():\n    await transfer(0)\n"
    cache = ("-p", "cacheprovider", "-p", "no:randomly")
    run_project(*cache, "-x", test_it=two).assert_outcomes(failed=1)
    run_project(*cache, "--lf").assert_outcomes(failed=1)
    result = run_project(*cache, "-n2", plugins=["xdist"], subprocess=True)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        ["The schedule that failed last time still fails *", "2 tests explored in * runs*"]
    )


def test_quiet_runs_say_nothing_of_what_went_well(run_project: RunProject) -> None:
    """With ``-q`` the numbers are left out; what needs to be told is not."""
    result = run_project("-q", test_it=RACE.replace("== 78.5", "< 100"))
    assert "explored" not in result.stdout.str()


def test_strategies_of_the_users(run_project: RunProject) -> None:
    """A function makes a strategy for a seed; one object for all tests is refused."""
    result = run_project(
        test_it="""
        import asyncio
        import pytest
        import aldente
        from aldente.errors import InvalidSetting

        class Youngest:
            def __init__(self, seed):
                self.seed = seed
            def start(self):
                return True
            def choose(self, count, options):
                return count - 1
            def end(self):
                pass

        def youngest(seed):
            assert seed == 4
            return Youngest(seed)

        @aldente.explore(strategy=youngest, runs=3, seed=4)
        async def test_it():
            order = []
            async def work(number):
                await asyncio.sleep(0)
                order.append(number)
            await asyncio.gather(work(1), work(2))
            assert order == [1, 2]

        def test_refused():
            with pytest.raises(InvalidSetting, match="Give a function that makes"):
                aldente.explore(strategy=Youngest(1))
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["Run 2 of at most 3 failed, after * (strategy youngest, seed 4)."])


@aldente.allow("blocking-call")
def test_time_limits_hold_for_every_run(run_project: RunProject) -> None:
    """A run that takes longer, by the clock on the wall, fails with what its tasks waited for."""
    result = run_project(
        "-W",
        "ignore",
        "--aldente-rule=blocking-call=off",
        test_it="""
        import asyncio
        import time
        import aldente

        @aldente.timeout(0.1)
        @aldente.explore
        async def test_long():
            other = asyncio.create_task(asyncio.Event().wait(), name="other")
            while True:
                await asyncio.sleep(0)
                time.sleep(0.005)
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "'test_long' was still running after 0.1 s, so aldente cancelled it.",
            "'other' (Event.wait) waits *",
            "Run 1 of at most 200 failed, *",
        ]
    )


def test_what_a_run_leaves_that_is_cut_off_is_no_finding(run_project: RunProject) -> None:
    """A run that ``max_seconds`` ends before it awaits a task does not fail the test."""
    result = run_project(
        *("-p", "no:randomly", "-W", "ignore"),
        subprocess=True,
        test_it="""
        import asyncio
        import time
        import aldente

        begun = []

        @aldente.explore(max_seconds=1, strategy="random", runs=1_000_000)
        async def test_late():
            async def fail():
                raise ValueError
            begun.append(1)
            task = asyncio.create_task(fail())
            await asyncio.sleep(0)
            if len(begun) == 6:
                time.sleep(1.2)
            for _ in range(3_000 if len(begun) == 6 else 1):
                await asyncio.sleep(0)
            try:
                await task
            except ValueError:
                pass
        """,
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["cut short: *"])


def test_what_a_failure_is_stands_in_junit_xml(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """Runs, seed, token and story are properties of the test."""
    result = run_project("--junitxml=report.xml", "--aldente-seed=3", test_it=RACE)
    result.assert_outcomes(failed=1)
    case = ElementTree.parse(pytester.path / "report.xml").find(".//testcase")
    assert case is not None
    found = {each.get("name"): each.get("value", "") for each in case.iter("property")}
    assert set(found) == {"aldente.runs", "aldente.seed", "aldente.token", "aldente.story"}
    assert (found["aldente.seed"], found["aldente.token"]) == ("3", token_in(result))
    assert int(found["aldente.runs"]) >= 2
    assert "What happened, in" in found["aldente.story"]
    assert "sleep takes" in found["aldente.story"]
