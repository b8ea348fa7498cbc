"""What these tests are worth: they find the usual mistakes of such a service.

They are run on copies of the service, each with one mistake planted in it.
"""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import aldente
import pytest

import tickets

EXAMPLE = Path(__file__).parents[1]

# More than any of them needs: when threads of a database answer depends a little on the machine.
RUNS = 60

pytestmark = aldente.real_time


class Planted(NamedTuple):
    """A mistake.

    Attributes:
        name: what it is.
        found_by: the test that fails.
        module: where it is planted.
        right: what the service has there.
        wrong: what the copy has in its place.
    """

    name: str
    found_by: str
    module: str
    right: str
    wrong: str


PLANTED = [
    Planted(
        "a seat is looked for, and taken later",
        "test_exploration.py::test_the_last_seat",
        "store.py",
        "                .where(ConcertRow.id == concert, ConcertRow.left > 0)\n",
        "                .where(\n"
        "                    ConcertRow.id == concert,\n"
        "                    (await self.concert(concert)).left > 0,\n"
        "                )\n",
    ),
    Planted(
        "who is cancelled takes the call of all others along",
        "test_single_flight.py::test_who_is_cancelled_leaves_alone",
        "single_flight.py",
        "            await asyncio.wait([flight.task])\n        finally:",
        "            await flight.task\n        finally:",
    ),
    Planted(
        "a call that is given up is joined by the next one who asks",
        "test_single_flight.py::test_nobody_waits_any_more",
        "single_flight.py",
        "        if self._flights.get(key) is flight:\n"
        "            del self._flights[key]\n"
        "        if not flight.task.done():\n"
        "            flight.task.cancel()\n"
        "            await asyncio.wait([flight.task])\n",
        "        if not flight.task.done():\n"
        "            flight.task.cancel()\n"
        "            await asyncio.wait([flight.task])\n"
        "        if self._flights.get(key) is flight:\n"
        "            del self._flights[key]\n",
    ),
    Planted(
        "two probes are let through",
        "test_breaker.py::test_one_probe_at_a_time",
        "breaker.py",
        "        if left > 0 or self._probing:\n",
        "        if left > 0:\n",
    ),
    Planted(
        "a cancelled probe keeps the circuit open for ever",
        "test_breaker.py::test_a_cancelled_probe_makes_room",
        "breaker.py",
        "        try:\n            return await self._attempt(action)\n"
        "        finally:\n            self._probing = False\n",
        "        try:\n            result = await self._attempt(action)\n"
        "        except Exception:\n            self._probing = False\n            raise\n"
        "        self._probing = False\n        return result\n",
    ),
    Planted(
        "the end of the service loses a mail",
        "test_mailing.py::test_the_end_loses_no_mail",
        "mailing.py",
        "                sent = await self._deliver(mail)\n"
        "                await self._outbox.end_mail(key, sent=sent)\n",
        "                await self._outbox.end_mail(key, sent=True)\n"
        "                await self._deliver(mail)\n",
    ),
    Planted(
        "a listener that is cancelled is kept",
        "test_feed.py::test_who_is_cancelled_is_forgotten",
        "feed.py",
        "        try:\n            yield subscription\n        finally:\n"
        "            self._subscriptions.remove(subscription)\n",
        "        yield subscription\n        self._subscriptions.remove(subscription)\n",
    ),
    Planted(
        "the last that is told is not the last that was read",
        "test_feed.py::test_the_last_number_is_the_right_one",
        "box_office.py",
        "        async with self._telling:\n"
        "            self._feed.publish(concert, (await self._store.concert(concert)).left)\n",
        "        self._feed.publish(concert, (await self._store.concert(concert)).left)\n",
    ),
]


def plant(bug: Planted, folder: Path) -> None:
    """Copy the service to a folder, and plant a mistake in it."""
    package = folder / "tickets"
    shutil.copytree(
        Path(tickets.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    module = package / bug.module
    text = module.read_text(encoding="utf-8")
    assert text.count(bug.right) == 1, f"{bug.module} has changed: plant another mistake"
    module.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")


async def run_test(bug: Planted, folder: Path) -> tuple[int | None, str]:
    """Run the test that finds a mistake, and return pytest's status and what it prints."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-p", "aldente", "-p", "no:cacheprovider"),
        *("--assert=plain", f"--aldente-runs={RUNS}", f"tests/{bug.found_by}"),
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
async def test_it_is_found(bug: Planted, tmp_path: Path) -> None:
    """Its test fails, and tells in which run, and how to see that again."""
    plant(bug, tmp_path)
    status, printed = await run_test(bug, tmp_path)

    assert status == pytest.ExitCode.TESTS_FAILED, printed
    run = re.search(r"^Run (\d+) of at most \d+ failed", printed, re.MULTILINE)
    assert run is not None, printed
    print(f"{bug.name}: in run {run[1]}")
    again = re.search(rf"Run it again: pytest \S+{bug.found_by} (--aldente-replay=\S+)", printed)
    assert again is not None, printed
