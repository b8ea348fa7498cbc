"""Settings are checked in one place, each check seen passing and failing."""

from __future__ import annotations

import pytest

from aldente import _settings
from aldente._records import Level, LoopScope
from aldente._settings import DEFAULT_LEVELS, Settings
from aldente.errors import InvalidSetting

STRICT: dict[str, Level] = dict.fromkeys(DEFAULT_LEVELS, "error")


@pytest.mark.parametrize("value", ["auto", "strict"])
def test_modes_pass(value: str) -> None:
    """Every mode is taken by its name."""
    assert _settings.parse_mode(value) == value


@pytest.mark.parametrize("value", ["Auto", "", None, 1])
def test_other_modes_fail(value: object) -> None:
    """Anything else is refused with name, value, type and what is allowed."""
    with pytest.raises(InvalidSetting) as caught:
        _settings.parse_mode(value)
    assert str(caught.value) == (
        f"{value!r} is not a valid asyncio_mode. Valid modes: auto, strict.\n"
        f"It was given as asyncio_mode={value!r} ({type(value).__name__})."
    )


@pytest.mark.parametrize("scope", list(LoopScope))
def test_scopes_pass(scope: LoopScope) -> None:
    """Every scope is taken by its name."""
    assert _settings.parse_loop_scope("loop_scope", scope.value) is scope
    assert _settings.parse_default_fixture_loop_scope(scope.value) is scope
    assert _settings.parse_default_test_loop_scope(scope.value) is scope


@pytest.mark.parametrize("value", ["modul", "", 3, None])
def test_other_scopes_fail(value: object) -> None:
    """Anything else is refused with what is allowed."""
    with pytest.raises(InvalidSetting, match="Valid scopes are: function, class, module, package"):
        _settings.parse_loop_scope("loop_scope", value)


@pytest.mark.parametrize("value", [None, "", "fixture-scope"])
def test_unset_scopes_are_none(value: str | None) -> None:
    """An unset default leaves the choice to the rule."""
    assert _settings.parse_default_fixture_loop_scope(value) is None
    if value != "fixture-scope":
        assert _settings.parse_default_test_loop_scope(value) is None


def test_defaults_differ_in_nothing() -> None:
    """The defaults have nothing to tell in the header."""
    assert Settings().differences() == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (Settings(mode="strict", debug=True), ["mode=strict", "debug=True"]),
        (Settings(full_trace=True, slow_step=0.25), ["full_trace=True", "slow_step=0.25 s"]),
        (
            Settings(blocking_functions=("a.b",), known_tasks=("c", "d")),
            ["1 blocking call", "2 known tasks"],
        ),
        (
            Settings(blocking_groups=("files",), max_virtual_time=3600.0),
            ["blocking_groups=files", "max_virtual_time=3600 s"],
        ),
        (Settings(clock="virtual", timeout=5.0), ["clock=virtual", "timeout=5 s"]),
        (Settings(levels=STRICT), ["strict"]),
        (
            Settings(levels={**STRICT, "slow-step": "warn", "deadlock": "off"}),
            ["strict", "deadlock=off", "slow-step=warn"],
        ),
        (
            Settings(levels={**DEFAULT_LEVELS, "slow-step": "error", "leaked-task": "off"}),
            ["slow-step=error", "leaked-task=off"],
        ),
    ],
)
def test_differences(changed: Settings, words: list[str]) -> None:
    """The header has words for each setting that differs."""
    assert changed.differences() == words


# Settings without words of their own in the header, each with the reason.
_WITHOUT_WORDS = {
    "levels",  # each rule has words
    "set_rules",  # the levels of these rules have words
    "explore_test_seconds",  # words of the setting explore
    "explore_seconds",  # the same
    "patience",  # only a mark sets it
    "page",  # the end of the run names the file
}


def test_all_settings_have_words() -> None:
    """No setting is left out of the header by oversight."""
    assert set(Settings._fields) - set(_settings._HEADER) == _WITHOUT_WORDS


def test_misspelt_keys() -> None:
    """Unknown aldente_ keys and near misses of asyncio_ keys are found, others are not."""
    known = ["asyncio_mode", "asyncio_debug"]
    assert _settings.find_misspelt(["asyncio_mode", "testpaths"], known) is None
    assert _settings.find_misspelt(["asyncio_other_plugin"], known) is None
    assert _settings.find_misspelt(["asyncio_modes"], known) == ("asyncio_modes", "asyncio_mode")
    assert _settings.find_misspelt(["aldente_x"], known) == ("aldente_x", None)


def test_scopes_are_ordered() -> None:
    """Scopes compare from narrow to wide."""
    assert sorted(LoopScope, key=lambda scope: scope.width) == list(LoopScope)
    assert LoopScope.FUNCTION < LoopScope.CLASS
    assert not LoopScope.SESSION < LoopScope.PACKAGE
