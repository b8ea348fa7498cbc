"""Tests run on the loops that hook and mark name."""

from __future__ import annotations

import re

import pytest

from tests.plugin.conftest import RunProject

CONFTEST = """
import asyncio

class CustomLoop(asyncio.SelectorEventLoop):
    pass

class OtherLoop(asyncio.SelectorEventLoop):
    pass

def pytest_asyncio_loop_factories(config, item):
    return {"custom": CustomLoop, "other": OtherLoop}
"""


def test_a_test_runs_once_with_each_factory_of_the_hook(run_project: RunProject) -> None:
    """The hook's factories parametrise every async test, by name, and no sync test."""
    result = run_project(
        "-v",
        conftest=CONFTEST,
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def loop():
            return asyncio.get_running_loop()

        async def test_async(loop, request):
            name = type(asyncio.get_running_loop()).__name__
            assert name == {"custom": "CustomLoop", "other": "OtherLoop"}[
                request.node.name.removeprefix("test_async[").removesuffix("]")
            ]
            assert asyncio.get_running_loop() is loop

        def test_sync():
            pass
        """,
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*test_async[[]custom]*", "*test_async[[]other]*", "*test_sync P*"]
    )


def test_a_mark_picks_factories(run_project: RunProject) -> None:
    """``loop_factories`` picks by name; one name leaves the id alone; a missing one is skipped."""
    result = run_project(
        "-v",
        "-rs",
        conftest=CONFTEST,
        test_it="""
        import asyncio
        import pytest

        @pytest.mark.asyncio(loop_factories=["other"])
        async def test_one():
            assert type(asyncio.get_running_loop()).__name__ == "OtherLoop"

        @pytest.mark.asyncio(loop_factories=["missing", "custom"])
        async def test_missing():
            assert type(asyncio.get_running_loop()).__name__ == "CustomLoop"
        """,
    )
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_one PASSED*",
            "*Loop factory 'missing' is not available. Available factories: custom, other.",
        ]
    )


def test_wide_loops_are_remade_for_each_factory(run_project: RunProject) -> None:
    """With a module loop, fixtures and loop of one factory end before those of the next."""
    result = run_project(
        "-s",
        conftest=CONFTEST,
        test_it="""
        import asyncio
        import pytest

        pytestmark = pytest.mark.asyncio(loop_scope="module")

        @pytest.fixture(scope="module")
        async def resource():
            print("UP", type(asyncio.get_running_loop()).__name__)
            yield asyncio.get_running_loop()
            print("DOWN", type(asyncio.get_running_loop()).__name__)

        async def test_one(resource):
            assert asyncio.get_running_loop() is resource

        async def test_two(resource):
            assert asyncio.get_running_loop() is resource
        """,
    )
    result.assert_outcomes(passed=4)
    ups_and_downs = re.findall(r"(UP|DOWN) (\w+)", result.stdout.str())
    assert ups_and_downs == [
        ("UP", "CustomLoop"),
        ("DOWN", "CustomLoop"),
        ("UP", "OtherLoop"),
        ("DOWN", "OtherLoop"),
    ]


def test_built_in_factories_need_no_hook(run_project: RunProject) -> None:
    """Without the hook a mark can pick ``asyncio`` and, when installed, ``uvloop``."""
    pytest.importorskip("uvloop")
    result = run_project(
        test_it="""
        import asyncio
        import pytest

        @pytest.fixture
        async def generator():
            async with asyncio.TaskGroup() as group:
                yield group
            await asyncio.to_thread(lambda: None)

        @pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])
        async def test_both(generator, request):
            module = type(asyncio.get_running_loop()).__module__
            assert module.split(".")[0] in request.node.name
            done = []
            generator.create_task(asyncio.sleep(0)).add_done_callback(done.append)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert done
        """
    )
    result.assert_outcomes(passed=2)


def test_the_policy_of_the_user_makes_the_loop(run_project: RunProject) -> None:
    """Where Python has policies, a policy that the user has set makes the loops."""
    result = run_project(
        test_it="""
        import asyncio
        import warnings

        class CustomLoop(asyncio.SelectorEventLoop):
            pass

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            class Policy(asyncio.DefaultEventLoopPolicy):
                def new_event_loop(self):
                    return CustomLoop()

        def setup_module():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asyncio.set_event_loop_policy(Policy())

        def teardown_module():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asyncio.set_event_loop_policy(None)

        async def test_custom():
            assert type(asyncio.get_running_loop()) is CustomLoop
        """,
        test_later="""
        import asyncio

        async def test_default():
            assert type(asyncio.get_running_loop()).__name__ != "CustomLoop"
        """,
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("hook_returns", "argument", "message"),
    [
        (
            "None",
            "",
            "*pytest_asyncio_loop_factories must return a non-empty mapping of factory names to "
            "callables. It returned None (NoneType).",
        ),
        ("{}", "", "*It returned {} (dict)."),
        ("{'a': 3}", "", "*It returned {'a': 3} (dict)."),
        (
            None,
            'loop_factories=["mine"]',
            "*test_it.py::test_it: mark.asyncio 'loop_factories' requires at "
            "least one pytest_asyncio_loop_factories hook implementation.\nIt got ?*mine*?; without "
            "the hook only 'asyncio' and 'uvloop' are known.",
        ),
        (
            None,
            'loop_factories="mine"',
            "*must be a non-empty sequence of strings. It got 'mine' (str).",
        ),
        (None, "loop_factories=[]", "*must be a non-empty sequence of strings. It got * (list)."),
        (None, "loop_factories=[1]", "*must be a non-empty sequence of strings. It got * (list)."),
    ],
)
def test_wrong_factories_are_explained(
    run_project: RunProject, hook_returns: str | None, argument: str, message: str
) -> None:
    """A hook or mark that names no factories is told what it gave and what is wanted."""
    hook = f"def pytest_asyncio_loop_factories(config, item):\n    return {hook_returns}"
    result = run_project(
        conftest=hook if hook_returns else "",
        test_it=f"""
        import pytest

        @pytest.mark.asyncio({argument})
        async def test_it():
            pass
        """,
    )
    assert result.ret != 0
    result.stdout.fnmatch_lines(message.splitlines())
