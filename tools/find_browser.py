"""Sees to it that the system has a browser for tests/browser, and installs one where it can.

Its status is 1 if there is none: ``make test-browser`` has Playwright bring its own then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# The names under which a Chromium is found; tests/browser/conftest.py knows them too.
NAMES = ("chromium", "chromium-browser", "google-chrome")

# With a font, without which all texts are boxes.
_PACKAGES = ("chromium", "fonts-dejavu-core")


def is_there() -> bool:
    """Whether there is one."""
    return any(shutil.which(name) for name in NAMES)


def install() -> None:
    """Install one as a package of the system, if this process may do that."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update",), ("install", "-y", "--no-install-recommends", *_PACKAGES)):
        subprocess.run(
            ["apt-get", "-qq", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )


if __name__ == "__main__":
    if not is_there():
        install()
    sys.exit(not is_there())
