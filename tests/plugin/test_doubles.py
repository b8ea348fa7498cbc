"""Doubles in tests: what the end of a patch and the fixture ``doubles`` report."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject
from tests.plugin.rules import in_short, line_of, part_of, run_with_findings

SHOP = """
async def price(name, *, currency="EUR"):
    raise RuntimeError("the real thing")

async def total(*names):
    return sum([await price(name) for name in names])
"""


def test_an_unused_answer_fails_the_test(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """The failure names the answer, its line, the calls that were made, and the fix."""
    project = """
import aldente
import shop

async def test_it():
    with aldente.patch("shop.price") as price:
        price.returns_each(1, 2, 3)
        price.when("jam").returns(4)
        assert await shop.total("tea", "bread") == 3
"""
    result, findings = run_with_findings(run_project, pytester, test_it=project, shop=SHOP)
    result.assert_outcomes(failed=1)
    assert part_of(result, "test_it").splitlines() == [
        "unused-answer: the last answer of price was never used: 3.",
        "  test_it.py:6",
        "    price.returns_each(1, 2, 3)",
        "  The calls were:",
        "    price('tea')",
        "    price('bread')",
        "Why: The test prepares for a call that never comes: the code no longer makes it, or makes it with",
        "other arguments, and the test does not notice.",
        "Fix: Give returns_each() as many answers as there are calls, or pass strict=False.",
        'Allow: @aldente.allow("unused-answer") on the test, or \'with aldente.allow("unused-answer"):\' around the code.',
        "",
        "unused-answer: the answer to price('jam') was never used.",
        "  test_it.py:7",
        '    price.when("jam").returns(4)',
        "  The calls were:",
        "    price('tea')",
        "    price('bread')",
        "Why: The test prepares for a call that never comes: the code no longer makes it, or makes it with",
        "other arguments, and the test does not notice.",
        "Fix: Correct its arguments, remove it, or pass strict=False.",
        'Allow: @aldente.allow("unused-answer") on the test, or \'with aldente.allow("unused-answer"):\' around the code.',
    ]
    assert in_short(findings) == [
        f"unused-answer test_it call {line_of(project, 'returns_each')}",
        f"unused-answer test_it call {line_of(project, 'when')}",
    ]


def test_levels_and_allowances(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """The rule is allowed, warned of or turned off like any other."""
    test = """
import aldente, pytest, shop

def leave():
    with aldente.patch("shop.price") as price:
        price.when("jam").returns(4)

@aldente.allow("unused-answer")
def test_mark():
    leave()

def test_block():
    with aldente.allow("unused-answer"):
        leave()

def test_it():
    leave()

def test_lenient():
    with aldente.patch("shop.price", strict=False) as price:
        price.when("jam").returns(4)
"""
    result, findings = run_with_findings(run_project, pytester, test_it=test, shop=SHOP)
    result.assert_outcomes(passed=3, failed=1)
    assert [finding["test"] for finding in findings] == ["test_it.py::test_it"]
    warned, findings = run_with_findings(
        run_project, pytester, "--aldente-rule=unused-answer=warn", test_it=test, shop=SHOP
    )
    warned.assert_outcomes(passed=4)
    assert [finding["level"] for finding in findings] == ["warn"]
    run_project("--aldente-rule=unused-answer=off").assert_outcomes(passed=4)


def test_a_call_never_awaited_is_told_once(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A forgotten call is one finding at its line: dropped, or held past the end of the patch."""
    project = """
import aldente
import shop

async def test_dropped():
    with aldente.patch("shop.price"):
        shop.price("dropped")

async def test_held():
    with aldente.patch("shop.price"):
        coroutine = shop.price("held")

async def test_late():
    with aldente.patch("shop.price") as price:
        price.returns(2)
        coroutine = shop.price("late")
    assert await coroutine == 2

async def test_free():
    aldente.Double(shop.price)("free")

async def test_awaited():
    with aldente.patch("shop.price") as price:
        price.returns(1)
        assert await shop.total("a") == 1
"""
    result, findings = run_with_findings(run_project, pytester, test_it=project, shop=SHOP)
    result.assert_outcomes(failed=3, passed=2)
    assert in_short(findings) == [
        f"never-awaited test_{name} call {line_of(project, f'{code}')}"
        for name, code in [
            ("dropped", '("dropped")'),
            ("held", '("held")'),
            ("free", '("free")'),
        ]
    ]
    assert {finding["what"].partition(" was never")[0] for finding in findings} == {
        f"the coroutine of the double price('{name}')" for name in ("dropped", "held", "free")
    }


def test_a_call_inside_of_other_code_is_told_at_the_users_line(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """The line is that of the user's code which made the call, not one of the library."""
    project = """
import functools
import aldente
import shop

async def test_it():
    double = aldente.Double(shop.price)
    functools.partial(double, "tea")()  # here
"""
    _, findings = run_with_findings(run_project, pytester, test_it=project, shop=SHOP)
    assert in_short(findings) == [f"never-awaited test_it call {line_of(project, '# here')}"]


def test_an_expected_warning_is_not_told(run_project: RunProject) -> None:
    """A test that asks for Python's warning has it, and the end of the patch says no more."""
    run_project(
        test_it="""
        import aldente
        import pytest
        import shop

        async def test_it():
            with aldente.patch("shop.price"):
                with pytest.warns(RuntimeWarning, match="coroutine 'price' was never awaited"):
                    shop.price("tea")
        """,
        shop=SHOP,
    ).assert_outcomes(passed=1)


def test_a_failing_test_is_not_told_of_unused_answers(
    run_project: RunProject, pytester: pytest.Pytester
) -> None:
    """A test that fails on its way has only its own failure, with a patch or with the fixture."""
    result, findings = run_with_findings(
        run_project,
        pytester,
        test_it="""
        import aldente
        import shop

        async def test_patch():
            with aldente.patch("shop.price") as price:
                price.returns_each(1, 2)
                assert await shop.total("tea") == 5

        async def test_fixture(doubles):
            doubles.patch("shop.price").returns_each(1, 2)
            doubles.double(shop.price).when("a").returns(1)
            assert await shop.total("tea") == 5
        """,
        shop=SHOP,
    )
    result.assert_outcomes(failed=2)
    assert findings == []


def test_the_fixture(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """``doubles`` patches until the end of the test, in sync and async tests, and looks then."""
    project = """
import os
import asyncio
import pytest
import shop

REAL = shop.price
SETTINGS = {"a": 1}

@pytest.fixture
def price(doubles):
    return doubles.patch("shop.price").returns(2)

@pytest.mark.parametrize("count", [1, 2])
async def test_async(price, count):
    assert await shop.total(*"ab"[:count]) == 2 * count
    assert price.await_count == count

class TestSync:
    def test_all(self, doubles):
        doubles.patch.object(shop, "price").returns(1)
        doubles.patch.dict(SETTINGS, b=2)
        assert SETTINGS == {"a": 1, "b": 2}
        assert asyncio.run(shop.total("a")) == 1
        assert list(doubles.patch.multiple(shop, total=pytest)) == []

def test_undone():
    assert shop.price is REAL
    assert SETTINGS == {"a": 1}
    assert shop.total is not pytest

async def test_unused(doubles):
    doubles.double(shop.price).when("a").returns(1)  # unused
    doubles.double(shop.price, strict=False).when("a").returns(1)

async def test_forgotten(doubles):
    async def lines():
        yield 1

    doubles.double(lines)()  # forgotten
"""
    result, findings = run_with_findings(run_project, pytester, test_it=project, shop=SHOP)
    result.assert_outcomes(passed=6, errors=2)
    assert in_short(findings) == [
        f"unused-answer test_unused teardown {line_of(project, '# unused')}",
        f"never-awaited test_forgotten teardown {line_of(project, '# forgotten')}",
    ]


def test_decorated_tests(run_project: RunProject) -> None:
    """Decorators go with fixtures, parameters and marks: pytest does not take doubles for fixtures."""
    run_project(
        test_it="""
        import aldente
        import pytest
        import shop
        from unittest import mock

        @pytest.mark.parametrize("number", [1, 2])
        @aldente.patch("shop.price")
        async def test_function(price, number, tmp_path):
            price.returns(number)
            assert await shop.total("a", "b") == 2 * number
            assert tmp_path.exists()

        @aldente.patch("shop.price")
        class TestClass:
            async def test_method(self, price):
                price.returns(1)
                assert await shop.total("a") == 1

            def test_sync(self, price):
                assert shop.price is price

        @mock.patch("shop.total")
        @aldente.patch("shop.price")
        def test_both(price, total, request):
            assert (shop.price, shop.total) == (price, total)
        """,
        shop=SHOP,
    ).assert_outcomes(passed=5)


def test_virtual_time_and_deadlocks(run_project: RunProject) -> None:
    """Doubles take virtual time, and a call that is held for ever is a deadlock that is told."""
    result = run_project(
        "--aldente-clock=virtual",
        test_it="""
        import asyncio
        import aldente
        import shop

        async def test_hours(clock):
            with aldente.patch("shop.price") as price:
                price.takes(3600).returns(1)
                assert await shop.total("a", "b") == 2
                assert clock.elapsed == 7200

        async def test_held():
            with aldente.patch("shop.price") as price:
                gate = price.hold()
                asyncio.create_task(shop.total("a"))
                await gate.arrived(2)

        async def test_never():
            with aldente.patch("shop.price") as price:
                price.never_returns()
                await shop.total("a")
        """,
        shop=SHOP,
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*DeadlockError: Deadlock: *",
            "*'test_held' (test_held) waits for a double: 2 calls at the gate of price; 1 has arrived.",
            "*'Task-*' (total) waits for a double: price('a'), which a gate of the test holds.",
            "*'test_never' (test_never) waits for a double: an answer that the test set to never come.",
        ]
    )


def test_without_the_plugin(run_project: RunProject, pytester: pytest.Pytester) -> None:
    """Where the plugin is not loaded, the end of a patch raises what it has found."""
    pytester.makepyfile(
        shop=SHOP,
        test_it="""
        import aldente
        import shop

        def test_unused():
            with aldente.patch("shop.price") as price:
                price.when("jam").returns(1)

        def test_forgotten():
            with aldente.patch("shop.price") as price:
                price("tea")
        """,
    )
    result = pytester.runpytest_subprocess("-p", "no:aldente", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=2, warnings=1)
    result.stdout.fnmatch_lines(
        [
            "*DoubleMisused: unused-answer: the answer to price('jam') was never used. (*test_it.py:6)",
            "*DoubleMisused: never-awaited: the coroutine of the double price('tea') was never awaited. (*test_it.py:10)",
            "*RuntimeWarning: coroutine 'price' was never awaited*",
        ]
    )
