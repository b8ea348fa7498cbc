"""What the user has set: the settings in force, and what the options that set none ask for."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from aldente._checked_pythons import doubts, is_checked
from aldente._plugin import option_table, pytest_compat
from aldente._rules import RULES, rule_named
from aldente._settings import (
    DEFAULT_LEVELS,
    Settings,
    find_misspelt,
    parse_levels,
    parse_rule,
    rules_set_by,
)
from aldente._validation import parse_lines
from aldente.errors import InvalidSetting


class _LatestSettings:
    """The latest settings that were requested, which are nearly always the next ones too.

    Looking them up in the stash of the configuration takes four times as long, and happens several
    times per test.
    """

    config: weakref.ref[pytest.Config] | None = None
    mode: object = None
    settings = Settings()


def settings_of(config: pytest.Config) -> Settings:
    """The settings in force.

    It looks up the mode on each call, because plugins such as pytest-aiohttp change it in their
    own ``pytest_configure``.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    mode = config.option.asyncio_mode
    known = _LatestSettings.config
    if known is None or known() is not config or _LatestSettings.mode != mode:
        _LatestSettings.settings = _read_settings(config)
        _LatestSettings.config, _LatestSettings.mode = weakref.ref(config), mode
    return _LatestSettings.settings


def _read_settings(config: pytest.Config) -> Settings:
    return Settings(
        full_trace=bool(
            config.getoption("aldente_full_trace") or config.getoption("fulltrace", False)
        ),
        **_read_levels(config),
        **option_table.given_settings(config),
    )


def _read_levels(config: pytest.Config) -> dict[str, Any]:
    """The levels of rules, each the last that the command line names, or else the file."""
    given, strict = config.getoption("aldente_rule") or (), bool(config.getoption("aldente_strict"))
    in_file = parse_lines("aldente_rules", _in_file(config, "aldente_rules"))
    strict_in_file = bool(_in_file(config, "aldente_strict"))
    defaults = parse_levels(
        in_file, name="aldente_rules", strict=strict_in_file, defaults=DEFAULT_LEVELS
    )
    return {
        "levels": parse_levels(given, name="--aldente-rule", strict=strict, defaults=defaults),
        "set_rules": rules_set_by([*given, *in_file], strict=strict or strict_in_file),
    }


def _in_file(config: pytest.Config, key: str) -> Any:
    (option,) = (each for each in option_table.OPTIONS if each.key == key)
    return option_table.configured(config, option)


def wants_files(config: pytest.Config) -> bool:
    """Whether to write the findings of the run to a file, even if there are none."""
    return any(
        config.getoption(f"aldente_{name}") is not None
        for name in ("findings", "sarif", "baseline")
    )


def explain_rules(config: pytest.Config) -> int | None:
    """Explain rules, if that is all that was asked for, and return the exit status.

    Raises:
        pytest.UsageError: there is no rule of the given name.
    """
    one = config.getoption("aldente_explain")
    if not one and not config.getoption("aldente_rules"):
        return None
    from aldente._diagnosis import finding_text

    try:
        levels = settings_of(config).levels
        names = [parse_rule("--aldente-explain", one)] if one else [row.name for row in RULES]
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    # pytest has no terminal writer yet.
    texts = (finding_text.explain(rule_named(name), levels[name]) for name in names)
    print("\n\n".join(texts))
    return 0


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
            f"in place of pytest-asyncio {stood_down}, which is installed too (-p no:aldente makes "
            "pytest-asyncio run the tests)"
        )
    lines = [f"aldente: {', '.join(parts)}"] if parts else []
    if not is_checked():
        lines.append(f"aldente: {doubts()}")
    return "\n".join(lines) or None
