"""The archives of the suites, and the pairs of environments that their tests run in.

Both environments of a pair hold the same packages in the same versions; only one of them has
pytest-asyncio, and the other one aldente in its place.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.compat.suites import Suite

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = Path(__file__).parent / ".environments"
DOWNLOADS = Path(__file__).parent / ".downloads"

PEER = "pytest-asyncio"
SUBJECT = "aldente"

# Settings of the caller's shell that change how Python and pytest start.
_INHERITED_NOISE = ("PYTHON", "PYTEST", "COVERAGE", "VIRTUAL_ENV")

# Where pytest looks for its configuration, and what it must find there.
_CONFIGURATIONS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


class CommandFailed(Exception):
    """A program that prepares a suite did not end as it should.

    Args:
        command: what was run.
        status: its exit status.
        output: what it printed.
    """

    def __init__(self, command: Sequence[str], status: int, output: str) -> None:
        self.command = list(command)
        self.status = status
        self.output = output
        super().__init__(self.command, status, output)

    def __str__(self) -> str:
        return f"exit status {self.status} of: {' '.join(self.command)}\n{self.output}"


class NoArchive(Exception):
    """The package index has no source archive for a version, or one of another name.

    Args:
        pinned: the package and its version.
    """

    def __init__(self, pinned: str) -> None:
        self.pinned = pinned
        super().__init__(pinned)

    def __str__(self) -> str:
        return f"no .tar.gz of {self.pinned} was downloaded"


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """The environments of a suite.

    Attributes:
        peer: the folder of the one with pytest-asyncio.
        subject: the folder of the one with aldente.
    """

    peer: Path
    subject: Path


def clean_variables() -> dict[str, str]:
    """The environment variables for programs that this script runs."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_INHERITED_NOISE)
    }
    # The order of sets of strings is the same on both sides.
    return {**kept, "PYTHONHASHSEED": "0"}


def build_wheel(python: str) -> Path:
    """Build aldente's wheel from the sources as they are now."""
    folder = ENVIRONMENTS / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    output_of([*pip(python), "wheel", "-qq", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def download(suite: Suite, python: str) -> Path:
    """The source archive of a suite's package, downloaded once."""
    archive = _downloaded(suite)
    if archive is None:
        # Not ":all:", with which pip would build the archive's build tools from source, too.
        only_source = ["--no-deps", "--no-binary", suite.package]
        output_of(
            [*pip(python), "download", "-qq", *only_source, "-d", str(DOWNLOADS), suite.pinned]
        )
        archive = _downloaded(suite)
    if archive is None:
        raise NoArchive(suite.pinned)
    return archive


def _downloaded(suite: Suite) -> Path | None:
    wanted = _canonical(f"{suite.package}-{suite.version}")
    for archive in DOWNLOADS.glob("*.tar.gz"):
        if _canonical(archive.name.removesuffix(".tar.gz")) == wanted:
            return archive
    return None


def _canonical(name: str) -> str:
    """A name in the one spelling that all its others are equal to.

    >>> _canonical("Pytest_Asyncio-1.5.0")
    'pytest-asyncio-1-5-0'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def unpack(suite: Suite, archive: Path, folder: Path) -> Path:
    """Unpack an archive anew, so that no run sees what another one left.

    Tests are to see the installed packages. So what describes the sources as an installed package
    is deleted, and what `suite.removed` names.

    Returns:
        The folder with the sources.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (source,) = (entry for entry in folder.iterdir() if entry.is_dir())
    for unwanted in ("*.egg-info", "src/*.egg-info", *suite.removed):
        for found in source.glob(unwanted):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()
    if not any(_is_configuration(source / name, text) for name, text in _CONFIGURATIONS.items()):
        # Otherwise pytest would take the configuration of a folder above, which is ours.
        (source / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return source


def _is_configuration(file: Path, text: str) -> bool:
    return file.is_file() and text in file.read_text(encoding="utf-8")


def make_pair(suite: Suite, python: str, wheel: Path, *, subject_first: bool = False) -> Pair:
    """The environments of a suite; an existing pair is used again if it was made for the same.

    Args:
        suite: the suite.
        python: what they are made with.
        wheel: aldente's.
        subject_first: whether aldente is installed before the other packages, and not after. That
            may decide which plugin pytest loads first.
    """
    folder = _pair_folder(suite, python)
    pair = Pair(folder / PEER, folder / SUBJECT)
    wanted = "\n".join([*_requirements(suite), f"beside the peer: {suite.beside_peer}"])
    wanted += "\naldente first" if subject_first else ""
    made_for = folder / "requirements.txt"
    # What is installed once more is not the first any longer.
    is_there = made_for.is_file() and made_for.read_text(encoding="utf-8") == wanted
    if subject_first or not is_there:
        shutil.rmtree(folder, ignore_errors=True)
        _make_peer(pair.peer, suite, python)
        _make_copy(pair, suite, python, [str(wheel)] if subject_first else [])
        made_for.write_text(wanted, encoding="utf-8")
        if subject_first:
            return pair
    install(pair.subject, python, ["--no-deps", "--force-reinstall", str(wheel)])
    return pair


def make_subject(suite: Suite, python: str, wheel: Path) -> Path:
    """The environment of a suite with aldente alone; one that was made for the same is used again.

    Args:
        suite: the suite.
        python: what it is made with.
        wheel: aldente's.
    """
    folder = _pair_folder(suite, python) / f"{SUBJECT}-alone"
    plugins = [each for each in _requirements(suite) if suite.beside_peer or PEER not in each]
    wanted = "\n".join(plugins)
    made_for = folder / "requirements.txt"
    if not (made_for.is_file() and made_for.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        make_empty(folder, python)
        install(folder, python, plugins)
        made_for.write_text(wanted, encoding="utf-8")
    install(folder, python, ["--no-deps", "--force-reinstall", str(wheel)])
    return folder


def remove_pair(suite: Suite, python: str) -> None:
    """Delete the environments of a suite, if there are any."""
    shutil.rmtree(_pair_folder(suite, python), ignore_errors=True)


def _pair_folder(suite: Suite, python: str) -> Path:
    return ENVIRONMENTS / f"{suite.name}-{python_version(python)}"


def _requirements(suite: Suite) -> list[str]:
    asyncio_plugin = f"{PEER}=={suite.peer_version}"
    return [f"pytest=={suite.pytest_version}", asyncio_plugin, suite.pinned, *suite.requirements]


def _make_peer(folder: Path, suite: Suite, python: str) -> None:
    make_empty(folder, python)
    install(folder, python, _requirements(suite))


def _make_copy(pair: Pair, suite: Suite, python: str, before: Sequence[str]) -> None:
    """Make the other environment: the packages that pip chose for the peer's, but for the peer.

    Args:
        pair: where.
        suite: the suite.
        python: what it is made with.
        before: what is installed before these packages.
    """
    frozen = output_of([*pip(python), "--python", str(pair.peer), "freeze", "--all"])
    others = [
        line
        for line in frozen.splitlines()
        if suite.beside_peer or not line.startswith(f"{PEER}==")
    ]
    make_empty(pair.subject, python)
    if before:
        install(pair.subject, python, ["--no-deps", *before])
    install(pair.subject, python, ["--no-deps", *others])


def make_empty(folder: Path, python: str) -> None:
    """Make an environment without any package."""
    output_of([python, "-m", "venv", "--without-pip", str(folder)])


def install(folder: Path, python: str, arguments: Sequence[str]) -> None:
    """Install packages in an environment, by the pip of the Python that it was made with."""
    command = [*pip(python), "--python", str(folder)]
    output_of([*command, "install", "-qq", "--disable-pip-version-check", *arguments])


@functools.cache
def pip(python: str) -> tuple[str, ...]:
    """How a pip that knows dependency groups is run: a Python's own, or that of an environment."""
    look = [python, "-I", "-m", "pip", "install", "--group", "none", "--help"]
    if subprocess.run(look, capture_output=True, check=False).returncode == 0:
        return (python, "-m", "pip")
    folder = ENVIRONMENTS / f"pip-{python_version(python)}"
    output_of([python, "-m", "venv", "--clear", str(folder)])
    pip = (str(folder / "bin" / "python"), "-m", "pip")
    output_of([*pip, "install", "-qq", "--disable-pip-version-check", "pip>=25.1"])
    return pip


def python_version(python: str) -> str:
    """The version of a Python: ``3.14.8``."""
    script = "import platform; print(platform.python_version())"
    return output_of([python, "-I", "-c", script]).strip()


def output_of(command: Sequence[str]) -> str:
    """What a program prints.

    Raises:
        CommandFailed: it failed.
    """
    child = subprocess.run(
        command,
        env=clean_variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise CommandFailed(command, child.returncode, child.stdout + child.stderr)
    return child.stdout
