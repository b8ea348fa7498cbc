"""All settings in one frozen value, with their defaults and their validation."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from aldente._records import LEVELS, Level, LoopScope
from aldente._rules import RULES
from aldente._validation import parse_one_of, parse_runs, whole_if_written
from aldente.errors import InvalidSetting

if TYPE_CHECKING:
    from aldente._schedules import Schedule

Choice = TypeVar("Choice", bound=str)

Mode = Literal["auto", "strict"]

MODES: tuple[Mode, ...] = ("auto", "strict")

ClockKind = Literal["real", "virtual"]

CLOCKS: tuple[ClockKind, ...] = ("real", "virtual")

# Every rule with its level, most severe first.
DEFAULT_LEVELS: Mapping[str, Level] = MappingProxyType({row.name: row.level for row in RULES})

# The groups of calls that the rule blocking-call reports only if the user names them.
BLOCKING_GROUPS = ("files",)

# The first reading of clocks that follow virtual time: 1 January 2030, 00:00 UTC, in nanoseconds.
# The same in every run, and whole seconds, so that what a test computes from it is the same.
WALL_START = 1_893_456_000 * 1_000_000_000

# pytest's words for yes and no in its configuration.
_WORDS = {
    **dict.fromkeys(("y", "yes", "t", "true", "on", "1"), True),
    **dict.fromkeys(("n", "no", "f", "false", "off", "0", ""), False),
}

# The value of asyncio_default_fixture_loop_scope that names the default behaviour.
FIXTURE_SCOPE = "fixture-scope"


class Shard(NamedTuple):
    """One of the parts into which the runs of a search are split.

    Attributes:
        number: its number, from 0.
        of: how many there are.

    >>> [Shard(number, 4).part_of(10) for number in range(4)], str(Shard(0, 4))
    ([3, 3, 2, 2], '1/4')
    """

    number: int = 0
    of: int = 1

    def part_of(self, runs: int) -> int:
        """How many of all runs it has."""
        return runs // self.of + (self.number < runs % self.of)

    def __str__(self) -> str:
        return f"{self.number + 1}/{self.of}"


class Settings(NamedTuple):
    """The settings of a whole test run.

    Attributes:
        mode: ``"auto"`` runs every async test; ``"strict"`` only those with the ``asyncio`` mark.
        debug: whether event loops run in asyncio's debug mode.
        default_fixture_loop_scope: the loop of async fixtures that name none; None follows the
            scope for which the fixture is cached.
        default_test_loop_scope: the loop of tests that name none; None takes the widest loop among
            the async fixtures that the test uses.
        full_trace: whether tracebacks keep the frames of asyncio and aldente.
        levels: the level of each rule.
        set_rules: the rules whose level the user set.
        timeout: how long an async test, and each set-up and tear-down of an async fixture, may
            take, in seconds; None for no limit.
        slow_step: how long a step of the loop may take, in seconds.
        blocking_functions: dotted names of functions of the user's that block.
        blocking_groups: the groups of calls that the rule blocking-call reports as well.
        known_tasks: patterns of names of coroutines that libraries leave running.
        clock: ``"virtual"`` when loop time is virtual in tests that have no mark, else ``"real"``.
        wall: the first reading of the clocks of the process if they follow loop time, in
            nanoseconds since 1970; None if they don't follow it.
        patience: how long nothing must come from other processes and threads before virtual time
            jumps, in real seconds.
        max_virtual_time: how far virtual time may advance in a test, in seconds of loop time.
        runs: the most runs of an explored test whose mark sets no number.
        forced_runs: the most runs, whatever the mark sets; None if the mark decides.
        forced_seed: the seed of the schedules, whatever the mark sets; None if the mark decides.
        replay: the one schedule to run the explored test under; None to explore it.
        explore: the most runs of each async test without the mark, after its own; 0 for as many as
            ``runs``; None if these tests are not explored.
        explore_test_seconds: how long that may take for each test, in real seconds; in proportion
            longer for more than 200 runs.
        explore_seconds: how long that may take for all tests of a process, in real seconds; None
            for no limit.
        shard: the part of the runs of explored tests that this test run does.
        workers: how many processes do the runs of an explored test.
        page: the file of the page that shows what has failed; empty for none.

    >>> Settings().mode
    'auto'
    """

    mode: Mode = "auto"
    debug: bool = False
    default_fixture_loop_scope: LoopScope | None = None
    default_test_loop_scope: LoopScope | None = None
    full_trace: bool = False
    levels: Mapping[str, Level] = DEFAULT_LEVELS
    set_rules: frozenset[str] = frozenset()
    timeout: float | None = None
    slow_step: float = 0.1
    blocking_functions: tuple[str, ...] = ()
    blocking_groups: tuple[str, ...] = ()
    known_tasks: tuple[str, ...] = ()
    clock: ClockKind = "real"
    wall: int | None = None
    patience: float = 0.05
    max_virtual_time: float = 10 * 365.25 * 86_400
    runs: int = 200
    forced_runs: int | None = None
    forced_seed: int | None = None
    replay: Schedule | None = None
    explore: int | None = None
    explore_test_seconds: float = 2.0
    explore_seconds: float | None = None
    shard: Shard = Shard()
    workers: int = 1
    page: str = ""

    def differences(self) -> list[str]:
        """The settings that differ from the defaults, as ``name=value``, for the header."""
        default = Settings()
        differing = [
            words(self)
            for name, words in _HEADER.items()
            if getattr(self, name) != getattr(default, name)
        ]
        return [*filter(None, differing), *self._levels_in_words()]

    def _levels_in_words(self) -> list[str]:
        """The levels that differ from the defaults; ``strict`` for most rules that only warn."""
        warnings = [rule for rule, level in DEFAULT_LEVELS.items() if level != "error"]
        raised = [rule for rule in warnings if self.levels[rule] == "error"]
        if 2 * len(raised) <= len(warnings):
            raised = []
        usual = {**DEFAULT_LEVELS, **dict.fromkeys(warnings if raised else (), "error")}
        levels = [f"{rule}={level}" for rule, level in self.levels.items() if level != usual[rule]]
        return [*(["strict"] if raised else []), *levels]


def _limits_of_exploring(given: Settings) -> str:
    """What differs from the defaults in how all tests are explored, in words."""
    limits = []
    if given.explore:
        limits.append(f"{given.explore:,} runs")
    if given.explore_test_seconds != Settings().explore_test_seconds:
        limits.append(f"{given.explore_test_seconds:g} s each")
    if given.explore_seconds is not None:
        limits.append(f"{given.explore_seconds:g} s in all")
    return f" ({', '.join(limits)})" if limits else ""


def _counted(things: Sequence[str], what: str) -> str:
    return f"{len(things)} {what}{'s' * (len(things) > 1)}"


# What the header says of each setting that differs from its default, in this order; the levels of
# rules follow. The functions get the settings, where the one in question is not None.
_HEADER: dict[str, Callable[[Any], str]] = {
    "mode": lambda given: f"mode={given.mode}",
    "debug": lambda given: f"debug={given.debug}",
    "default_fixture_loop_scope": lambda given: (
        f"asyncio_default_fixture_loop_scope={given.default_fixture_loop_scope.value}"
    ),
    "default_test_loop_scope": lambda given: (
        f"asyncio_default_test_loop_scope={given.default_test_loop_scope.value}"
    ),
    "full_trace": lambda given: f"full_trace={given.full_trace}",
    "slow_step": lambda given: f"slow_step={given.slow_step:g} s",
    "blocking_functions": lambda given: _counted(given.blocking_functions, "blocking call"),
    "known_tasks": lambda given: _counted(given.known_tasks, "known task"),
    "blocking_groups": lambda given: f"blocking_groups={' '.join(given.blocking_groups)}",
    "clock": lambda given: f"clock={given.clock}",
    "wall": lambda given: f"wall={_wall_in_words(given.wall)}",
    "max_virtual_time": lambda given: f"max_virtual_time={given.max_virtual_time:g} s",
    "runs": lambda given: f"runs={given.runs:,}" if given.forced_runs is None else "",
    "forced_runs": lambda given: f"runs={given.forced_runs:,}",
    "forced_seed": lambda given: f"seed={given.forced_seed}",
    "replay": lambda given: "replaying one schedule",
    "explore": lambda given: f"exploring all tests{_limits_of_exploring(given)}",
    "shard": lambda given: f"shard={given.shard}",
    "workers": lambda given: f"workers={given.workers}",
    "timeout": lambda given: f"timeout={given.timeout:g} s",
}


def parse_mode(value: object) -> Mode:
    """Parse a user's mode.

    Raises:
        InvalidSetting: the value is not the name of a mode.

    >>> parse_mode("strict")
    'strict'
    """
    return parse_one_of(MODES, value, "asyncio_mode", value, "Valid modes: ")


# How many shards a search may have.
_MOST = 10_000


def parse_shard(name: str, value: object) -> Shard:
    """Parse a user's number of a shard, from 1, with how many there are.

    Raises:
        InvalidSetting: it is no such pair.

    >>> parse_shard("--aldente-shard", "3/10")
    Shard(number=2, of=10)
    """
    number, _, of = str(value).partition("/")
    first, last = whole_if_written(number), whole_if_written(of)
    if isinstance(first, int) and isinstance(last, int) and 1 <= first <= last <= _MOST:
        return Shard(first - 1, last)
    allowed = "It must be the number of a shard and the number of all shards, such as 3/10."
    raise InvalidSetting(name, value, allowed)


def parse_clock(name: str, value: object) -> ClockKind:
    """Parse a user's kind of time.

    Raises:
        InvalidSetting: it is neither of the two.

    >>> parse_clock("aldente_clock", "virtual")
    'virtual'
    """
    return parse_one_of(CLOCKS, value, name, value, "Valid clocks are: ")


def parse_wall(name: str, value: object) -> int | None:
    """Parse the first reading of clocks that follow virtual time, in nanoseconds since 1970.

    Args:
        name: the name of the setting or argument, for the message.
        value: the user's value: a moment, True for the default one, or False.

    Returns:
        The moment; None if the clocks are left alone.

    Raises:
        InvalidSetting: it is none of these.

    >>> parse_wall("wall", "2030-01-01T00:00Z") == WALL_START
    True
    """
    if isinstance(value, bool):
        return WALL_START if value else None
    # Imported here, as every start of pytest imports this module.
    import datetime

    moment = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            moment = datetime.datetime.fromisoformat(value)
    if not isinstance(moment, datetime.datetime):
        raise InvalidSetting(name, value, _WALLS)
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        # A moment without a time zone is local time, as everywhere in Python.
        passed = moment.astimezone(datetime.UTC) - start
    except (ValueError, OverflowError, OSError):
        # The time zone puts it before the year 1 or after 9999.
        raise InvalidSetting(name, value, _WALLS) from None
    if passed < datetime.timedelta():
        raise InvalidSetting(name, value, _WALLS)
    return passed // datetime.timedelta(microseconds=1) * 1_000


_WALLS = (
    "It must be True or False, or the moment at which they begin: a datetime or a string such as "
    "'2030-01-01T00:00Z', from 1970 on."
)


def parse_explore(name: str, value: object) -> int | None:
    """Parse how many runs each async test gets: a number, or yes or no.

    Args:
        name: the name of the setting, for the message.
        value: the user's value.

    Returns:
        The most runs; 0 for as many as other explored tests; None if tests are not explored.

    Raises:
        InvalidSetting: it is neither a number nor yes or no.

    >>> parse_explore("aldente_explore", "500"), parse_explore("aldente_explore", "true")
    (500, 0)
    """
    given = whole_if_written(value)
    if isinstance(given, str):
        given = _WORDS.get(given.lower(), given)
    if isinstance(given, bool) or given == 0:
        return 0 if given else None
    if isinstance(given, str):
        raise InvalidSetting(
            name,
            value,
            "It must be a number of runs, or true or false.",
        )
    return parse_runs(name, given)


def parse_configured_wall(name: str, value: object) -> int | None:
    """Like `parse_wall`, for a configuration file, where yes and no are words.

    Raises:
        InvalidSetting: it is no moment, and neither yes nor no.

    >>> parse_configured_wall("aldente_wall", "no")
    """
    return parse_wall(name, _WORDS.get(value.lower(), value) if isinstance(value, str) else value)


def _wall_in_words(start: int) -> str:
    if start == WALL_START:
        return "True"
    import datetime

    moment = datetime.datetime.fromtimestamp(start // 10**9, datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def parse_loop_scope(name: str, value: object, *, also: str | None = None) -> LoopScope:
    """Parse a user's loop scope.

    Args:
        name: the name of the setting or mark argument, for the message.
        value: the name of a scope.
        also: what else the setting allows, for the message.

    Raises:
        InvalidSetting: the value is not the name of a scope.

    >>> parse_loop_scope("loop_scope", "module")
    <LoopScope.MODULE: 'module'>
    """
    for scope in LoopScope:
        if value == scope.value:
            return scope
    valid = ", ".join(scope.value for scope in LoopScope)
    default = "" if also is None else f" {also!r} names the default: the scope of each fixture."
    raise InvalidSetting(name, value, f"Valid scopes are: {valid}.{default}")


def parse_default_fixture_loop_scope(value: str | None) -> LoopScope | None:
    """The loop scope of async fixtures that name none; None follows the fixture's caching scope."""
    if not value or value == FIXTURE_SCOPE:
        return None
    return parse_loop_scope("asyncio_default_fixture_loop_scope", value, also=FIXTURE_SCOPE)


def parse_default_test_loop_scope(value: str | None) -> LoopScope | None:
    """The loop scope of tests that name none; None takes the widest among their fixtures' loops."""
    if not value:
        return None
    return parse_loop_scope("asyncio_default_test_loop_scope", value)


def parse_levels(
    lines: Iterable[str], *, name: str, strict: bool, defaults: Mapping[str, Level]
) -> Mapping[str, Level]:
    """The levels of all rules, after a user's changes.

    Args:
        lines: changes, each ``rule = level``; empty ones are skipped.
        name: the name of the setting, for messages.
        strict: whether every rule without a line is an error.
        defaults: the levels before.

    Raises:
        InvalidSetting: a line is not of that form, or names no rule or level.

    >>> parse_levels(["slow-step = off"], name="n", strict=False, defaults={"slow-step": "warn"})
    mappingproxy({'slow-step': 'off'})
    """
    levels: dict[str, Level] = dict.fromkeys(defaults, "error") if strict else dict(defaults)
    for line in filter(str.strip, lines):
        rule, separator, level = (part.strip() for part in line.partition("="))
        if not separator:
            raise InvalidSetting(name, line, "Each must be RULE = error, warn or off.")
        parse_rule(name, rule)
        levels[rule] = parse_level(name, line, level)
    return MappingProxyType(levels)


def rules_set_by(lines: Iterable[str], *, strict: bool) -> frozenset[str]:
    """The rules whose level is set by lines for `parse_levels`.

    >>> rules_set_by(["slow-step = off"], strict=False)
    frozenset({'slow-step'})
    """
    return frozenset(
        DEFAULT_LEVELS if strict else (line.partition("=")[0].strip() for line in lines)
    )


def parse_rule(name: str, value: object) -> str:
    """Parse a user's name of a rule.

    Raises:
        InvalidSetting: there is no such rule.

    >>> parse_rule("allow", "slow-step")
    'slow-step'
    """
    if isinstance(value, str) and value in DEFAULT_LEVELS:
        return value
    nearest = difflib.get_close_matches(str(value), DEFAULT_LEVELS, n=1)
    suggestion = f"Did you mean {nearest[0]!r}? " if nearest else ""
    raise InvalidSetting(name, value, f"{suggestion}The rules are: {', '.join(DEFAULT_LEVELS)}.")


def parse_level(name: str, given: object, value: object) -> Level:
    """Parse a user's level of a rule.

    Args:
        name: the name of the setting, for messages.
        given: the whole value, for messages.
        value: the part of it that is the level.

    Raises:
        InvalidSetting: there is no such level.

    >>> parse_level("rule", "warn", "warn")
    'warn'
    """
    return parse_one_of(LEVELS, value, name, given, "Valid levels are: ")


def find_misspelt(given: Iterable[str], known: Sequence[str]) -> tuple[str, str | None] | None:
    """The first configuration key that was meant for aldente but is none of its keys.

    Every unknown ``aldente_`` key is one. A key that starts with ``asyncio_`` is one only when it
    is nearly a known key, because other plugins may use that prefix.

    Args:
        given: the keys of the user's configuration file.
        known: every key that is known.

    Returns:
        The key, and the nearest known key or None; None if all keys are known.

    >>> find_misspelt(["asyncio_mod"], ["asyncio_mode"])
    ('asyncio_mod', 'asyncio_mode')
    """
    for key in given:
        if key in known or not key.startswith(("aldente_", "asyncio_")):
            continue
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.85)
        if nearest or key.startswith("aldente_"):
            return key, nearest[0] if nearest else None
    return None
