"""The table of options: what users set on pytest's command line and in its configuration file.

A setting of a whole run is a field of `Settings` with its default, and a row here.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from aldente._plugin import pytest_compat
from aldente._settings import (
    BLOCKING_GROUPS,
    Settings,
    parse_clock,
    parse_configured_wall,
    parse_default_fixture_loop_scope,
    parse_default_test_loop_scope,
    parse_explore,
    parse_mode,
    parse_shard,
)
from aldente._validation import (
    parse_limit,
    parse_lines,
    parse_names,
    parse_runs,
    parse_seconds,
    parse_seed,
    parse_workers,
    whole_if_written,
)
from aldente.errors import InvalidSetting

if TYPE_CHECKING:
    from aldente._schedules import Schedule

_DEFAULTS = Settings()


class OptionRow(NamedTuple):
    """An option of the command line, a key of the configuration file, or both for one thing.

    Attributes:
        help: what it means.
        setting: the field of `Settings` that it sets; None if it sets none, or not by itself.
        parse: turns what the user has given into the value of that field. It gets the name under
            which the user has given it, for messages, and raises `InvalidSetting`.
        flag: its name on the command line, which comes first; None without one.
        metavar: the word for its value in the help of the command line; None if it has no value.
        is_repeated: whether it may come several times on the command line.
        key: its name in the configuration file; None without one.
        kind: the type of the key; ``"flag or string"`` is one that pytest does not have.
        is_shared: whether pytest-asyncio has it too.
        bare: what it means on the command line without a value; None if it must have one.
    """

    help: str
    setting: str | None = None
    parse: Callable[[str, Any], Any] = lambda name, value: value
    flag: str | None = None
    metavar: str | None = None
    is_repeated: bool = False
    key: str | None = None
    kind: Literal["string", "bool", "linelist", "args", "flag or string"] = "string"
    is_shared: bool = False
    bare: str | None = None

    @property
    def destination(self) -> str:
        """The attribute of ``config.option`` with the value from the command line."""
        return (self.flag or "").lstrip("-").replace("-", "_")


def _parse_flag(name: str, value: object) -> bool:
    return bool(value)


def _parse_file(name: str, file: object) -> str:
    if not isinstance(file, str) or not file or "\0" in file:
        raise InvalidSetting(name, file, "It must be the path of a file.")
    return file


def _parse_dotted_names(name: str, lines: object) -> tuple[str, ...]:
    """Check dotted names of functions, without importing their modules yet."""
    names = parse_lines(name, lines)
    for given in names:
        if "." not in given or not all(part.isidentifier() for part in given.split(".")):
            raise InvalidSetting(
                name,
                given,
                "Allowed are dotted names of functions: package.module.function or "
                "package.module.Class.method.",
            )
    return names


def _parse_written(parse: Callable[[str, object], int], name: str, value: object) -> int:
    """Check a whole number by a function for numbers from code; errors show what was written."""
    try:
        return parse(name, whole_if_written(value))
    except InvalidSetting as error:
        raise InvalidSetting(name, value, error.allowed) from None


def _parse_token(name: str, token: str) -> Schedule:
    # Imported here, as most runs replay nothing.
    from aldente._simulation import tokens
    from aldente.errors import InvalidToken

    try:
        return tokens.decode(token)
    except InvalidToken as error:
        allowed = f"{error.reason} Copy the whole token, exactly as printed."
        raise InvalidSetting(name, token, allowed) from None


OPTIONS: tuple[OptionRow, ...] = (
    OptionRow(
        "'auto' runs every async test and fixture (default); 'strict' only those with the asyncio "
        "mark or pytest_asyncio.fixture",
        "mode",
        lambda name, value: parse_mode(value),
        flag="--asyncio-mode",
        metavar="MODE",
        # With anyio_mode=auto, where anyio's plugin runs the tests, anyio warns of a mode "auto"
        # even if it is only the default; so the default of the key is None.
        key="asyncio_mode",
        is_shared=True,
    ),
    OptionRow(
        "run event loops in asyncio's debug mode",
        "debug",
        _parse_flag,
        flag="--asyncio-debug",
        key="asyncio_debug",
        kind="bool",
        is_shared=True,
    ),
    OptionRow(
        "scope of the event loop of async fixtures that name none (default: the scope for which "
        "the fixture is cached)",
        "default_fixture_loop_scope",
        lambda name, value: parse_default_fixture_loop_scope(value),
        key="asyncio_default_fixture_loop_scope",
        is_shared=True,
    ),
    OptionRow(
        "scope of the event loop of tests that name none (default: the widest among the async "
        "fixtures that the test uses)",
        "default_test_loop_scope",
        lambda name, value: parse_default_test_loop_scope(value),
        key="asyncio_default_test_loop_scope",
        is_shared=True,
    ),
    OptionRow(
        "also show the frames of asyncio and aldente in tracebacks",
        flag="--aldente-full-trace",
    ),
    # Rules.
    OptionRow(
        "the level of a rule: error, warn or off",
        flag="--aldente-rule",
        metavar="RULE=LEVEL",
        is_repeated=True,
    ),
    OptionRow(
        "levels of rules, one 'rule = error|warn|off' a line",
        key="aldente_rules",
        kind="linelist",
    ),
    OptionRow(
        "treat every finding as an error",
        flag="--aldente-strict",
        key="aldente_strict",
        kind="bool",
    ),
    OptionRow("explain every rule, and exit", flag="--aldente-rules"),
    OptionRow("explain one rule, and exit", flag="--aldente-explain", metavar="RULE"),
    OptionRow(
        "write all findings to a file, as JSON lines",
        flag="--aldente-findings",
        metavar="FILE",
    ),
    OptionRow(
        "write all findings to a file, as SARIF 2.1.0",
        flag="--aldente-sarif",
        metavar="FILE",
    ),
    OptionRow(
        "write what the tasks of each test did, and when, to a file that Perfetto and "
        "chrome://tracing open",
        flag="--aldente-trace",
        metavar="FILE",
    ),
    OptionRow(
        "write a page for the browser that shows each failure: lanes of tasks, the await graph, "
        "timelines, findings",
        "page",
        _parse_file,
        flag="--aldente-html",
        metavar="FILE",
        key="aldente_html",
    ),
    OptionRow(
        (
            "a file of known findings: aldente writes it if it does not exist, and otherwise "
            "reports only findings that are not in it"
        ),
        flag="--aldente-baseline",
        metavar="FILE",
    ),
    OptionRow(
        "how long a step of the event loop may take, in seconds "
        f"(default: {_DEFAULTS.slow_step:g})",
        "slow_step",
        parse_seconds,
        key="aldente_slow_step",
    ),
    OptionRow(
        "dotted names of blocking functions for the rule blocking-call, one a line",
        "blocking_functions",
        _parse_dotted_names,
        key="aldente_blocking_calls",
        kind="linelist",
    ),
    OptionRow(
        f"groups of calls that the rule blocking-call also reports: {', '.join(BLOCKING_GROUPS)}",
        "blocking_groups",
        lambda name, value: parse_names(name, value, BLOCKING_GROUPS),
        key="aldente_blocking_groups",
        kind="args",
    ),
    OptionRow(
        "names of coroutines that may be left running, with * as in file names, one a line",
        "known_tasks",
        parse_lines,
        key="aldente_known_tasks",
        kind="linelist",
    ),
    # Time.
    OptionRow(
        "the time limit of an async test, and of each set-up and tear-down of its fixtures",
        "timeout",
        parse_limit,
        flag="--aldente-timeout",
        metavar="SECONDS",
        key="aldente_timeout",
    ),
    OptionRow(
        "'virtual' lets loop time jump to the next timer when nothing else can happen; 'real' is "
        "the default",
        "clock",
        parse_clock,
        flag="--aldente-clock",
        metavar="CLOCK",
        key="aldente_clock",
    ),
    OptionRow(
        "whether time.time() and similar clocks follow virtual time (needs the extra "
        "aldente[wall]): true, or the moment at which they start, such as 2030-01-01T00:00Z "
        "(default: false)",
        "wall",
        parse_configured_wall,
        key="aldente_wall",
        kind="flag or string",
    ),
    OptionRow(
        "how far virtual time may advance in a test, in seconds (default: ten years)",
        "max_virtual_time",
        parse_seconds,
        key="aldente_max_virtual_time",
    ),
    # Exploration.
    OptionRow(
        "the greatest number of schedules for each test marked with aldente.explore, whatever its "
        "mark sets",
        "forced_runs",
        functools.partial(_parse_written, parse_runs),
        flag="--aldente-runs",
        metavar="N",
    ),
    OptionRow(
        "the number of schedules for explored tests whose mark sets none (default: "
        f"{_DEFAULTS.runs})",
        "runs",
        functools.partial(_parse_written, parse_runs),
        key="aldente_runs",
    ),
    OptionRow(
        "the seed of the schedules of explored tests, whatever their marks set",
        "forced_seed",
        functools.partial(_parse_written, parse_seed),
        flag="--aldente-seed",
        metavar="N",
    ),
    OptionRow(
        "run one explored test again, under the schedule whose token the report of its failure "
        "shows",
        "replay",
        _parse_token,
        flag="--aldente-replay",
        metavar="TOKEN",
    ),
    OptionRow(
        "run each passing async test again under other schedules, even without a mark: at most "
        f"RUNS of them (default: as aldente_runs, {_DEFAULTS.runs}), and report each test that "
        "fails in one",
        "explore",
        parse_explore,
        flag="--aldente-explore",
        metavar="RUNS",
        bare="true",
        key="aldente_explore",
        kind="flag or string",
    ),
    OptionRow(
        "how long --aldente-explore may take for each test, in real seconds, proportionally "
        f"longer for more than {_DEFAULTS.runs} runs (default: {_DEFAULTS.explore_test_seconds:g})",
        "explore_test_seconds",
        parse_seconds,
        flag="--aldente-explore-test-seconds",
        metavar="SECONDS",
        key="aldente_explore_test_seconds",
    ),
    OptionRow(
        "how long --aldente-explore may take for all tests, in real seconds; with pytest-xdist in "
        "each worker (default: no limit)",
        "explore_seconds",
        parse_seconds,
        flag="--aldente-explore-seconds",
        metavar="SECONDS",
        key="aldente_explore_seconds",
    ),
    OptionRow(
        "run one part of the schedules of each explored test, such as 3/10, while other jobs run "
        "the other parts",
        "shard",
        parse_shard,
        flag="--aldente-shard",
        metavar="I/N",
    ),
    OptionRow(
        "how many processes run the schedules of each explored test (default: this one alone)",
        "workers",
        functools.partial(_parse_written, parse_workers),
        flag="--aldente-workers",
        metavar="N",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Register all options with pytest."""
    groups = {
        False: parser.getgroup("aldente", "async tests"),
        True: parser.getgroup("asyncio"),
    }
    for option in OPTIONS:
        if option.flag is not None:
            _add_flag(groups[option.is_shared], option.flag, option)
        if option.key is not None:
            _add_key(parser, option.key, option)


def _add_flag(group: pytest.OptionGroup, flag: str, option: OptionRow) -> None:
    attributes: dict[str, Any] = {"action": "store_true", "default": None}
    if option.is_repeated:
        attributes = {"action": "append", "default": [], "metavar": option.metavar}
    elif option.metavar is not None:
        attributes = {"default": None, "metavar": option.metavar}
        if option.bare is not None:
            attributes |= {"nargs": "?", "const": option.bare}
    # A pytest-asyncio that was loaded before aldente may have added it, with the same meaning.
    with contextlib.suppress(ValueError) if option.is_shared else contextlib.nullcontext():
        group.addoption(flag, dest=option.destination, help=option.help, **attributes)


def complete_bare_options(arguments: list[str]) -> None:
    """Give options that may stand without a value theirs, where what follows is none.

    >>> given = ["--aldente-explore", "tests", "--aldente-explore", "500"]
    >>> complete_bare_options(given)
    >>> given
    ['--aldente-explore=true', 'tests', '--aldente-explore', '500']
    """
    bare = {option.flag: option.bare for option in OPTIONS if option.bare is not None}
    for place, argument in enumerate(arguments):
        follows = arguments[place + 1 : place + 2]
        if argument in bare and not isinstance(whole_if_written("".join(follows)), int):
            arguments[place] = f"{argument}={bare[argument]}"


def _add_key(parser: pytest.Parser, key: str, option: OptionRow) -> None:
    if option.is_shared:
        # A pytest-asyncio that was loaded before aldente may have added it, with another default.
        pytest_compat.forget_ini(parser, key)
    meaning = option.help if option.flag is None else f"default of {option.flag}"
    if option.kind in ("linelist", "args"):
        parser.addini(key, meaning, option.kind, [])
    elif option.kind == "bool":
        parser.addini(key, meaning, option.kind, False)
    else:
        parser.addini(key, meaning, default=None)


def given_settings(config: pytest.Config) -> dict[str, Any]:
    """The fields of `Settings` that one option each sets, where the user has given it.

    Raises:
        InvalidSetting: a value is not allowed.
    """
    found = {}
    for option in OPTIONS:
        if option.setting is not None:
            for name, value in _given(config, option):
                found[option.setting] = option.parse(name, value)
    return found


# What a key of each type may have; most of pytest's own errors do not name the key.
_ALLOWED = {
    "bool": "It must be true or false.",
    "args": "It must be a list of words with balanced quotes.",
    "linelist": "It must be a list of strings.",
}


def configured(config: pytest.Config, option: OptionRow) -> Any:
    """The value of an option's key in the configuration file.

    Raises:
        InvalidSetting: it is not of the key's type.
        pytest.UsageError: the same, as pytest says it.
    """
    assert option.key is not None
    if option.kind == "flag or string":
        return pytest_compat.flag_or_text(config, option.key)
    try:
        return config.getini(option.key)
    except (TypeError, ValueError, DeprecationWarning, pytest.UsageError) as error:
        if isinstance(error, pytest.UsageError) and option.key in str(error):
            raise
        allowed = _ALLOWED.get(option.kind, "It must be a string.")
        written = pytest_compat.written(config, option.key)
        raise InvalidSetting(option.key, written, allowed) from None


def _given(config: pytest.Config, option: OptionRow) -> Iterator[tuple[str, Any]]:
    """The name under which the user has given an option, and its value; nothing if it is not
    given.
    """
    if option.flag is not None:
        value = config.getoption(option.destination)
        if value is not None:
            yield option.flag, value
            return
    if option.key is not None:
        value = configured(config, option)
        # A key without a value is as if it were not there.
        if value not in (None, "", []):
            yield option.key, value
