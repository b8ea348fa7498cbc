"""The last line of the terminal: the link to the page, or that there could be one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from aldente._plugin import output_compat
from aldente._plugin.options import settings_of

_NAME = "aldente-page-hint"

# The key in pytest's cache under which stands whether the user was told of the option.
_TOLD = "aldente/told-of-html"


def print_link(config: pytest.Config, path: Path) -> None:
    """Print where the page is; on a terminal as a link (OSC 8).

    Args:
        config: pytest's configuration.
        path: the file.
    """
    if not config.pluginmanager.has_plugin("terminalreporter"):
        return
    shown = str(path)
    if output_compat.is_terminal(config):
        # Terminals that don't know links show the text alone.
        shown = f"\x1b]8;;{path.as_uri()}\x1b\\{path}\x1b]8;;\x1b\\"
    config.get_terminal_writer().line(f"aldente: the page of this run is {shown}")


def offer(config: pytest.Config) -> None:
    """Say at the end of the run that there could be a page; once for each project.

    Args:
        config: pytest's configuration, of a run in which a failure has something to show.
    """
    plugins = config.pluginmanager
    if settings_of(config).page or plugins.has_plugin(_NAME) or hasattr(config, "workerinput"):
        return
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if not output_compat.is_terminal(config) or (cache is not None and cache.get(_TOLD, False)):
        return
    plugins.register(_Hint(config, cache), _NAME)


class _Hint:
    """Says that there could be a page.

    Args:
        config: pytest's configuration.
        cache: keeps that it was said; None without pytest's cache.
    """

    def __init__(self, config: pytest.Config, cache: pytest.Cache | None) -> None:
        self._config = config
        self._cache = cache

    # Around the terminal's own, which prints the last line.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        result = yield
        self._config.get_terminal_writer().line(
            "aldente: --aldente-html=FILE shows such failures as pictures, in the browser "
            "(said once)"
        )
        if self._cache is not None:
            self._cache.set(_TOLD, True)
        return result
