"""Plugins whose fixtures help inside a test: mocks and subtests."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RunProject


def test_mocker_patches_what_is_awaited(run_project: RunProject) -> None:
    """pytest-mock's patches of async functions are awaited in async tests and undone after them."""
    pytest.importorskip("pytest_mock")
    result = run_project(
        plugins=["pytest_mock"],
        subprocess=True,
        app="""
        async def fetch(url):
            raise OSError("not in tests")

        async def title(url):
            return (await fetch(url)).title()

        class Client:
            async def get(self, url):
                return url
        """,
        test_it="""
        import app
        import pytest

        @pytest.fixture
        async def fetched(mocker):
            mock = mocker.patch("app.fetch", return_value="page")
            assert isinstance(mock, mocker.AsyncMock)
            assert await app.title("set-up") == "Page"
            mock.reset_mock()
            yield mock
            assert await app.title("tear-down") == "Page"

        async def test_patch_in_fixture(fetched):
            assert await app.title("url") == "Page"
            fetched.assert_awaited_once_with("url")

        async def test_patch_in_test(mocker):
            mocker.patch.object(app, "fetch", mocker.AsyncMock(side_effect=["one", "two"]))
            assert [await app.title("a"), await app.title("b")] == ["One", "Two"]

        async def test_undone():
            with pytest.raises(OSError, match="not in tests"):
                await app.title("url")

        async def test_spy(mocker):
            client = app.Client()
            spy = mocker.spy(client, "get")
            assert await client.get("url") == "url"
            assert spy.spy_return == "url" and spy.await_count == 1

        async def test_stub(mocker):
            stub = mocker.async_stub("stub")
            await stub(1)
            stub.assert_awaited_once_with(1)
        """,
    )
    result.assert_outcomes(passed=5)


def test_wider_mockers_serve_async_fixtures(run_project: RunProject) -> None:
    """What ``module_mocker`` patches holds for a module's async fixtures and tests, not longer."""
    pytest.importorskip("pytest_mock")
    result = run_project(
        plugins=["pytest_mock"],
        subprocess=True,
        app="""
        async def fetch(url):
            return "real"
        """,
        test_one="""
        import app
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        async def page(module_mocker):
            module_mocker.patch("app.fetch", return_value="mocked")
            yield await app.fetch("url")

        async def test_one(page):
            assert page == await app.fetch("url") == "mocked"

        async def test_two(page):
            assert page == await app.fetch("url") == "mocked"
        """,
        test_two="""
        import app

        async def test_other_module():
            assert await app.fetch("url") == "real"
        """,
    )
    result.assert_outcomes(passed=3)


def test_mockers_failures_are_shown(run_project: RunProject) -> None:
    """A failed assertion on an awaited mock shows pytest-mock's comparison, and no frame of asyncio."""
    pytest.importorskip("pytest_mock")
    result = run_project(
        plugins=["pytest_mock"],
        subprocess=True,
        test_it="""
        async def test_it(mocker):
            mock = mocker.AsyncMock()
            await mock("actual")
            mock.assert_awaited_once_with("expected")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*mock.assert_awaited_once_with(*expected*)",
            "E*pytest introspection follows:",
            "E*Args:",
        ]
    )
    for line in ("*asyncio*runners.py*", "*base_events.py*", "*aldente*.py:*"):
        result.stdout.no_fnmatch_line(line)


def test_subtests_in_async_tests(run_project: RunProject) -> None:
    """Each failed subtest of an async test is reported, and the test goes on on its loop."""
    plugins = []
    if pytest.version_tuple < (9, 0):
        pytest.importorskip("pytest_subtests")
        plugins = ["subtests"]
    result = run_project(
        plugins=plugins,
        test_it="""
        import asyncio

        async def test_numbers(subtests):
            loop = asyncio.get_running_loop()
            for number in range(4):
                with subtests.test(msg="even", number=number):
                    await asyncio.sleep(0)
                    assert asyncio.get_running_loop() is loop
                    assert number % 2 == 0
            print("reached the end")

        async def test_all_pass(subtests):
            with subtests.test(msg="fine"):
                await asyncio.sleep(0)
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "*test_numbers*[[]even[]]*number=1*",
            "*test_numbers*[[]even[]]*number=3*",
            "*reached the end*",
        ]
    )
    result.stdout.no_fnmatch_line("*number=2*")
    result.stdout.no_fnmatch_line("*test_all_pass*FAILED*")
