"""The command line, the ini keys, and the header line."""

from __future__ import annotations

import contextlib
import weakref
from typing import Any

import pytest

from aldente._checked_pythons import doubts, is_checked
from aldente._plugin import explore_options, pytest_compat, rule_options, time_options
from aldente._settings import (
    Settings,
    find_misspelt,
    parse_default_fixture_loop_scope,
    parse_default_test_loop_scope,
    parse_mode,
)
from aldente.errors import InvalidSetting

ASYNCIO_KEYS = (
    "asyncio_mode",
    "asyncio_debug",
    "asyncio_default_fixture_loop_scope",
    "asyncio_default_test_loop_scope",
)


class _Latest:
    """The latest settings that were requested, which are nearly always the next ones too.

    Looking them up in the stash of the configuration takes four times as long, and happens several
    times per test.
    """

    config: weakref.ref[pytest.Config] | None = None
    mode: object = None
    settings = Settings()


def add_options(parser: pytest.Parser) -> None:
    """Register the options of aldente and those it shares with pytest-asyncio."""
    group = parser.getgroup("aldente", "async tests")
    group.addoption(
        "--aldente-full-trace",
        dest="aldente_full_trace",
        action="store_true",
        default=False,
        help="also show the frames of asyncio and aldente in tracebacks",
    )
    rule_options.add_options(parser)
    time_options.add_options(parser)
    explore_options.add_options(parser)
    group = parser.getgroup("asyncio")
    _add_option(
        group,
        "--asyncio-mode",
        dest="asyncio_mode",
        default=None,
        metavar="MODE",
        help="'auto' runs every async test and fixture (default); 'strict' only those with "
        "the asyncio mark or pytest_asyncio.fixture",
    )
    _add_option(
        group,
        "--asyncio-debug",
        dest="asyncio_debug",
        action="store_true",
        default=None,
        help="run event loops in asyncio's debug mode",
    )
    _add_asyncio_ini(parser)


def _add_option(group: pytest.OptionGroup, name: str, **attributes: Any) -> None:
    # A pytest-asyncio that was loaded before aldente may have added it, with the same meaning.
    with contextlib.suppress(ValueError):
        group.addoption(name, **attributes)


def _add_asyncio_ini(parser: pytest.Parser) -> None:
    for name in ASYNCIO_KEYS:
        # A pytest-asyncio that was loaded before aldente may have added it, with another default.
        pytest_compat.forget_ini(parser, name)
    # The default is "auto", but as None: with anyio_mode=auto, where anyio's plugin runs the tests,
    # anyio warns of an asyncio_mode that is "auto" although the user has not set it.
    parser.addini("asyncio_mode", help="default of --asyncio-mode (default: auto)", default=None)
    parser.addini("asyncio_debug", help="default of --asyncio-debug", type="bool", default=False)
    parser.addini(
        "asyncio_default_fixture_loop_scope",
        help="scope of the event loop of async fixtures that name none "
        "(default: the scope for which the fixture is cached)",
        default=None,
    )
    parser.addini(
        "asyncio_default_test_loop_scope",
        help="scope of the event loop of tests that name none "
        "(default: the widest among the async fixtures that the test uses)",
        default=None,
    )


def settings_of(config: pytest.Config) -> Settings:
    """The settings in force.

    It looks up the mode on each call, because plugins such as pytest-aiohttp change it in their
    own ``pytest_configure``.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    mode = config.option.asyncio_mode
    known = _Latest.config
    if known is None or known() is not config or _Latest.mode != mode:
        _Latest.settings = _read_settings(config)
        _Latest.config, _Latest.mode = weakref.ref(config), mode
    return _Latest.settings


def _read_settings(config: pytest.Config) -> Settings:
    mode = config.getoption("asyncio_mode")
    debug = config.getoption("asyncio_debug")
    return Settings(
        mode=parse_mode(_first_given(mode, config.getini("asyncio_mode"), Settings().mode)),
        debug=bool(config.getini("asyncio_debug") if debug is None else debug),
        default_fixture_loop_scope=parse_default_fixture_loop_scope(
            config.getini("asyncio_default_fixture_loop_scope")
        ),
        default_test_loop_scope=parse_default_test_loop_scope(
            config.getini("asyncio_default_test_loop_scope")
        ),
        full_trace=bool(
            config.getoption("aldente_full_trace") or config.getoption("fulltrace", False)
        ),
        **rule_options.read(config),
        **time_options.read(config),
        **explore_options.read(config),
    )


def _first_given(*values: object) -> object:
    return next(value for value in values if value is not None)


def check_configuration(config: pytest.Config) -> None:
    """Reject wrong values and misspelt keys at the start of the run.

    Raises:
        pytest.UsageError: with the value, its type and the allowed values.
    """
    try:
        settings_of(config)
    except InvalidSetting as error:
        raise pytest.UsageError(str(error)) from None
    known = [
        key
        for key in pytest_compat.known_configuration_keys(config)
        if key.startswith(("aldente_", "asyncio_"))
    ]
    misspelt = find_misspelt(pytest_compat.configuration_keys(config), known)
    if misspelt is None:
        return
    key, nearest = misspelt
    suggestion = f" Did you mean {nearest!r}?" if nearest else ""
    message = (
        f"unknown configuration key {key!r}: aldente has no such setting.{suggestion} "
        f"Allowed are: {', '.join(sorted(known))}."
    )
    if key.startswith("aldente_"):
        raise pytest.UsageError(message)
    # Only a warning: a suite written for pytest-asyncio has run with it so far.
    config.issue_config_time_warning(pytest.PytestConfigWarning(message), stacklevel=2)


def header_line(config: pytest.Config, stood_down: str | None) -> str | None:
    """The line in pytest's header that names what differs from the defaults, if anything does.

    Args:
        config: pytest's configuration.
        stood_down: the version of the pytest-asyncio that aldente replaces.
    """
    parts = settings_of(config).differences()
    if stood_down is not None:
        parts.append(
            f"in place of pytest-asyncio {stood_down}, which is installed too "
            "(with -p no:aldente it runs the tests again)"
        )
    lines = [f"aldente: {', '.join(parts)}"] if parts else []
    if not is_checked():
        lines.append(f"aldente: {doubts()}")
    return "\n".join(lines) or None
