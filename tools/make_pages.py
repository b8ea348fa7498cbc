"""Makes the pages and traces that show what failures look like, in build/demo.

They are of the tests in examples/failures, and of the worked examples with mistakes planted in
them. Run by ``make demo`` with the Python in whose environment the examples are installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MADE = ROOT / "build" / "demo"
FETCHER = ROOT / "examples" / "fetcher"
SERVICE = ROOT / "examples" / "tickets"

# In a process of its own, as the module is one of tests.
_PLANT = "import sys, test_planted_races as planted, pathlib; planted.plant(pathlib.Path.cwd())"
_FOUND_BY = "import test_planted_races as planted; print(*{r.found_by for r in planted.PLANTED})"
# One of the service's: more would be in each other's way.
_PLANT_IN_SERVICE = """
import pathlib, test_planted_bugs as planted
bug = planted.PLANTED[0]
planted.plant(bug, pathlib.Path.cwd())
print(f"tests/{bug.found_by}")
"""


def make(name: str, folder: Path, *arguments: str, path: str = "") -> None:
    """Run tests that fail, and write their page and their trace.

    Args:
        name: the name of the files, without an ending.
        folder: where the tests are run.
        *arguments: which tests, and other arguments of pytest.
        path: where their modules are found first.

    Raises:
        SystemExit: pytest has not come to the end with failures.
    """
    options = [f"--aldente-html={MADE / name}.html", f"--aldente-trace={MADE / name}.trace.json"]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
    # In the order of the file, whatever is installed.
    command += ["-p", "no:randomly"]
    paths = filter(None, [path, os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run([*command, *options, *arguments], cwd=folder, env=environment, check=False)
    # All of it is meant to fail.
    if run.returncode != 1:
        sys.exit(f"The tests of {name} should have failed: pytest ended with {run.returncode}.")


def main() -> None:
    """Make all of them."""
    MADE.mkdir(parents=True, exist_ok=True)
    make("failures", ROOT / "examples" / "failures")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = {**os.environ, "PYTHONPATH": str(FETCHER / "tests")}
        python = [sys.executable, "-c"]
        subprocess.run([*python, _PLANT], cwd=folder, env=tests, check=True)
        found_by = subprocess.check_output([*python, _FOUND_BY], env=tests, text=True)
        make("planted-races", folder, *found_by.split(), path=str(folder / "src"))
    with tempfile.TemporaryDirectory() as name:
        tests = {**os.environ, "PYTHONPATH": str(SERVICE / "tests")}
        plant = [sys.executable, "-c", _PLANT_IN_SERVICE]
        found_by = subprocess.check_output(plant, cwd=name, env=tests, text=True)
        make("planted-mistake", SERVICE, *found_by.split(), path=name)
    print("\nOpen in a browser, or in Perfetto:")
    for path in sorted(MADE.iterdir()):
        print(f"  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
