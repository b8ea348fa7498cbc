"""What the corpora of code that follows the rules share."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.plugin.conftest import RunProject

CheckSilent = Callable[..., None]


@pytest.fixture
def check_silent(run_project: RunProject) -> CheckSilent:
    """Runs a project of which no rule may say anything; every finding would be an error in it.

    It takes what ``run_project`` does; ``passed`` is how many tests there are, all of which pass.
    """

    def check(*arguments: str, passed: int, ini: str = "", **project: object) -> None:
        result = run_project(
            *arguments, ini=f"{ini}\naldente_strict = true", subprocess=True, **project
        )
        assert result.parseoutcomes() == {"passed": passed}
        result.stdout.no_fnmatch_line("*aldente findings*")
        assert result.ret == pytest.ExitCode.OK

    return check


@pytest.fixture
def check_virtual(run_project: RunProject) -> CheckSilent:
    """As `check_silent`, on virtual time and in this process, for what needs no libraries."""

    def check(*, passed: int, **project: object) -> None:
        result = run_project(ini="aldente_clock = virtual\naldente_strict = true", **project)
        assert result.parseoutcomes() == {"passed": passed}
        result.stdout.no_fnmatch_line("*aldente findings*")

    return check


@pytest.fixture
def postgres() -> Iterator[Path]:
    """The folder with the Unix socket of a PostgreSQL server that is thrown away afterwards."""
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.skip("no PostgreSQL server programs (initdb, pg_ctl) are installed")
    programs = Path(initdb).resolve().parent
    account = None
    if getpass.getuser() == "root":
        pwd = pytest.importorskip("pwd")
        try:
            account = pwd.getpwnam("postgres").pw_name
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and no user postgres exists")
    # Not pytest's temporary folder: the path of a Unix socket has to be short.
    folder = Path(mkdtemp(prefix="aldente-"))
    if account is not None:
        shutil.chown(folder, account)

    def run(program: str, *arguments: str) -> None:
        with (folder / f"{program}.log").open("ab") as log:
            subprocess.run(
                [programs / program, "-D", folder / "data", *arguments],
                check=True,
                cwd=folder,
                stdout=log,
                stderr=log,
                user=account,
                extra_groups=None if account is None else [],
            )

    try:
        run("initdb", "--auth=trust", "--username=aldente", "--no-sync", "--encoding=UTF8")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        run("pg_ctl", "--wait", "--silent", "-o", options, "start")
        try:
            yield folder
        finally:
            run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)
