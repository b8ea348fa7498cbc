"""A PostgreSQL server of one's own: made in a temporary folder, thrown away afterwards."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

# The account the server runs as when the tests run as root, which PostgreSQL refuses.
ACCOUNT = "postgres"


class NoServer(Exception):
    """A server cannot be started here; its message says why."""


def find_programs() -> Path:
    """Return the folder of PostgreSQL's server programs.

    Raises:
        NoServer: there are none.
    """
    if sys.platform == "win32":
        raise NoServer("the throw-away PostgreSQL server needs Unix sockets")
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    # Debian and its relatives keep the server's programs off the path, by version.
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    if not installed:
        raise NoServer("no PostgreSQL server programs (initdb, pg_ctl) are installed")
    return installed[-1].parent


def _account() -> str | None:
    """Return the account to run the server as, or None for our own."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # there is no such module on Windows

    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise NoServer(f"PostgreSQL refuses to run as root, and no user {ACCOUNT} exists") from None
    return ACCOUNT


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server and give the DSN of its database; it listens on a Unix socket only.

    Raises:
        NoServer: a server cannot be started here.
    """
    programs = find_programs()
    account = _account()
    # Not pytest's temporary folder: the path of a Unix socket has to be short.
    folder = Path(tempfile.mkdtemp(prefix="fetcher-"))
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        # Output goes to a file: the server keeps it open, and a pipe would never end.
        with (folder / f"{program}.log").open("ab") as log:
            subprocess.run(
                [programs / program, "-D", data, *arguments],
                check=True,
                cwd=folder,
                stdout=log,
                stderr=log,
                user=account,
                group=account,
                extra_groups=None if account is None else [],
            )

    try:
        if account is not None:
            shutil.chown(folder, account, account)
        run("initdb", "--auth=trust", "--username=fetcher", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        run("pg_ctl", "--wait", "--silent", "-o", options, "start")
        try:
            yield f"postgresql:///postgres?host={quote(str(folder), safe='')}&user=fetcher"
        finally:
            run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)
