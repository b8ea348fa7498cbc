"""Runs the examples of the documentation, as a reader who copies them would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def check(test: str, *, conftest: str = "", ini: str = "", lines: int = 1) -> str:
    """Run pytest with aldente on a module, in a folder of its own.

    Args:
        test: the module's text.
        conftest: the text of a ``conftest.py``.
        ini: lines for the configuration file.
        lines: how many lines to return.

    Returns:
        The last lines that pytest printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_it.py").write_text(test.lstrip(), encoding="utf-8")
        (Path(folder) / "conftest.py").write_text(conftest, encoding="utf-8")
        (Path(folder) / "pytest.ini").write_text(f"[pytest]\n{ini}\n", encoding="utf-8")
        options = ["-q", "-p", "no:cacheprovider", "-p", "aldente"]
        # pytest prints more where it finds itself in continuous integration.
        inherited = {k: v for k, v in os.environ.items() if k not in ("CI", "BUILD_NUMBER")}
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=folder,
            # Wide enough for pytest not to cut messages, and without the plugins that are here only
            # because this is aldente's own environment.
            env={**inherited, "COLUMNS": "300", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    printed = [line for line in result.stdout.splitlines() if line.strip()]
    return "\n".join(printed[-lines:])
