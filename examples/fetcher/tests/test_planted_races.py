"""What `test_exploration.py` is worth: it finds races that tests in the usual order do not see.

It is run on a copy of the fetcher with a few of them planted in it.
"""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import fetcher

EXAMPLE = Path(__file__).parents[1]
EXPLORED = "tests/test_exploration.py"
OTHERS = ("tests/test_concurrency.py", "tests/test_database.py", "tests/test_doubles.py")


class PlantedRace(NamedTuple):
    """A mistake that shows in some schedules only.

    Attributes:
        found_by: the test that it makes fail.
        module: where it is planted.
        right: what the fetcher has there.
        wrong: what the copy has in its place.
    """

    found_by: str
    module: str
    right: str
    wrong: str


PLANTED = [
    # A batch that is cancelled at this await loses a result that it had received.
    PlantedRace(
        f"{EXPLORED}::test_a_cancelled_batch_keeps_what_came_in",
        "fetching.py",
        "            if on_result is not None:\n",
        "            await asyncio.sleep(0)  # let the others go on\n"
        "            if on_result is not None:\n",
    ),
    # Who is cancelled while it waits for its turn to disconnect leaves the connection open: the
    # fetcher did so until these tests found it.
    PlantedRace(
        f"{EXPLORED}::test_a_block_that_is_left_disconnects",
        "database.py",
        "        await see_through(self._disconnect())\n",
        "        await self._disconnect()\n",
    ),
    # An answer is what has come of it so far, which is all of it as long as the network is fast.
    PlantedRace(
        f"{EXPLORED}::test_an_answer_is_read_to_its_end",
        "api.py",
        "        response = await http.get(source.url)\n",
        '        async with http.stream("GET", source.url) as response:\n'
        "            async for response._content in response.aiter_bytes():\n"
        "                break\n",
    ),
    # A server that has answered with errors is asked once more while it still works on its answer.
    PlantedRace(
        f"{EXPLORED}::test_a_source_is_tried_again_until_it_answers",
        "retrying.py",
        "            if not may_pass(error):\n                raise\n",
        "            if not may_pass(error):\n                raise\n"
        "            if retry == retries and isinstance(error, BadStatus):\n"
        "                await asyncio.sleep(delay_before(retry))\n"
        "                try:\n"
        "                    return await asyncio.wait_for(attempt(), 1.2)\n"
        "                except TimeoutError:\n"
        "                    return await attempt()\n",
    ),
    # Who is cancelled twice goes on before its work is over.
    PlantedRace(
        f"{EXPLORED}::test_work_is_seen_through",
        "cancellation.py",
        "            when_cancelled()\n",
        "            when_cancelled()\n            await asyncio.wait([task])\n",
    ),
]


def plant(folder: Path) -> None:
    """Copy the fetcher and its tests to a folder, and plant the races in it."""
    package = folder / "src" / "fetcher"
    # What is compiled names the files from which it was.
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(fetcher.__file__).parent, package, ignore=compiled)
    shutil.copytree(EXAMPLE / "tests", folder / "tests", ignore=compiled)
    shutil.copy(EXAMPLE / "pyproject.toml", folder)
    for race in PLANTED:
        module = package / race.module
        text = module.read_text(encoding="utf-8")
        assert text.count(race.right) == 1, f"{race.module} has changed: plant another race"
        module.write_text(text.replace(race.right, race.wrong), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy with the races."""
    plant(tmp_path)
    return tmp_path


async def run_tests(copy: Path, *arguments: str) -> tuple[int | None, str]:
    """Run pytest on the copy, with aldente alone, and return its status and what it prints."""
    path = os.pathsep.join(filter(None, [str(copy / "src"), os.environ.get("PYTHONPATH")]))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"),
        *("--assert=plain", *arguments),  # which starts faster
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def test_the_usual_order_hides_them(copy: Path) -> None:
    """Tests that are run once, explored ones too, pass on the copy."""
    status, printed = await run_tests(copy, EXPLORED, *OTHERS, "--aldente-runs=1")

    assert status == pytest.ExitCode.OK, printed


async def test_exploration_finds_them(copy: Path) -> None:
    """Each makes its test fail, with a story of how, and with a schedule that fails again."""
    status, printed = await run_tests(copy, *(race.found_by for race in PLANTED))

    assert status == pytest.ExitCode.TESTS_FAILED, printed
    await asyncio.gather(*(check_replay(copy, printed, race) for race in PLANTED))


async def check_replay(copy: Path, printed: str, race: PlantedRace) -> None:
    """Check that the test which finds a race fails in the same way under the printed schedule."""
    found = re.search(rf"Run it again: pytest {race.found_by} (--aldente-replay=\S+)", printed)
    assert found is not None, printed

    status, replayed = await run_tests(copy, race.found_by, found[1])

    assert status == pytest.ExitCode.TESTS_FAILED, replayed
    assert "This is the schedule of --aldente-replay." in replayed
    story = re.search(r"What happened, in .+?\n\n", replayed, re.DOTALL)
    assert story is not None, replayed
    assert "\n  > " in story[0], "it says where stock order was left"
    assert story[0] in printed
