"""The commands of ``python -m aldente``, their arguments, and those that run no program."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import logging
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from aldente._command_line import searching
from aldente._diagnosis import finding_text
from aldente._explore.interrupting import terminating
from aldente._rules import rule_named
from aldente._schedules import ORDERS
from aldente._settings import DEFAULT_LEVELS, parse_rule
from aldente._simulation import tokens
from aldente._strategies.registry import STRATEGIES
from aldente._validation import (
    parse_runs,
    parse_seconds,
    parse_seed,
    parse_whole,
    parse_workers,
    whole_if_written,
)
from aldente._version import __version__
from aldente.errors import AldenteError, InvalidSetting

T = TypeVar("T")

_STATUS = """
exit status:
  0    it passed
  1    a failure was found, or the replay failed
  2    it could not be run: the command line is wrong, a worker process died
  130  Ctrl-C
  143  SIGTERM
"""

_INTERRUPTED, _TERMINATED = 130, 143

_SEARCH = """
Run a coroutine function under many schedules, until one fails.

With --state the search continues where an earlier one stopped, however that one ended; a kill loses
only the runs under way and the work of part of a second. With --workers or --state the runs are
split into shards, and the result is the same for the same seed and number of shards, whatever the
number of workers.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit status.

    Args:
        arguments: the arguments; None for those of the process.
    """
    given = _parser().parse_args(arguments)
    do: Callable[[argparse.Namespace], int] = given.do
    with _printing_anything(), terminating() as is_terminated:
        try:
            return do(given)
        except KeyboardInterrupt as error:
            _drop_interrupted(error)
            state = getattr(given, "state", None)
            kept = "" if state is None else f" The directory {state} keeps its progress."
            print(f"{'Terminated' if is_terminated() else 'Interrupted'}.{kept}", file=sys.stderr)
            return _TERMINATED if is_terminated() else _INTERRUPTED
        except (AldenteError, searching.UnknownProgram) as error:
            print(f"{searching.PROGRAM}: {error}", file=sys.stderr)
            return 2


@contextlib.contextmanager
def _printing_anything() -> Iterator[None]:
    """While entered, print what the terminal or file can't encode as its number.

    A failure that took hours to find must be printed, whatever characters its message has.
    """
    streams = [each for each in (sys.stdout, sys.stderr) if isinstance(each, io.TextIOWrapper)]
    before = [(each, each.errors) for each in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in before:
            stream.reconfigure(errors=errors)


def _drop_interrupted(error: KeyboardInterrupt) -> None:
    """Drop the run that was interrupted, silently.

    It was interrupted between any two lines, so the coroutines and tasks that it left mean nothing.
    """
    logger = logging.getLogger("asyncio")
    was_disabled, logger.disabled = logger.disabled, True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raised: BaseException | None = error
        while raised is not None:
            # They have the frames, and these the tasks.
            raised.__traceback__ = None
            raised = raised.__context__
        gc.collect()
    logger.disabled = was_disabled


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=searching.PROGRAM,
        description="Search for failures of an asyncio program that depend on its schedule.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aldente {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_search(commands)
    replay = _add(commands, "replay", "run one schedule of a program again", _replay)
    replay.add_argument("token", metavar="TOKEN", help="the token of a failure")
    replay.add_argument("program", metavar="MODULE:FUNCTION", help="the program that failed")
    explain = _add(commands, "explain", "explain a rule", _explain)
    explain.add_argument("rule", metavar="RULE", help="its name, such as never-awaited")
    decode = _add(commands, "decode", "show what a token stands for", _decode)
    decode.add_argument("token", metavar="TOKEN", help="the token of a failure")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    meaning: str,
    do: Callable[[argparse.Namespace], int],
    description: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=meaning,
        description=description or f"{meaning.capitalize()}.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(do=do)
    return parser


def _add_search(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(commands, "search", "search for a failure", _search, _SEARCH)
    add = parser.add_argument
    add("program", metavar="MODULE:FUNCTION", help="a coroutine function without arguments")
    add(
        "--runs",
        metavar="N",
        type=_checked("--runs", parse_runs),
        help="the greatest number of runs (default: 200, or no limit with a time or --state)",
    )
    time = parser.add_mutually_exclusive_group()
    for name, unit in (("--hours", 3_600), ("--seconds", 1)):
        time.add_argument(
            name,
            dest="seconds",
            metavar=name[2].upper(),
            type=_seconds(name, unit),
            help=f"how long the search may take this time, in {name[2:]}",
        )
    add("--strategy", default="auto", help=f"{', '.join(STRATEGIES)} (default: auto)")
    add("--seed", metavar="N", default=0, type=_checked("--seed", parse_seed), help="default: 0")
    add("--order", default="any", choices=ORDERS, help="default: any")
    add(
        "--state",
        metavar="DIR",
        type=_folder,
        help="a directory that keeps the state of the search, to continue from",
    )
    add(
        "--workers",
        metavar="N",
        type=_checked("--workers", parse_workers),
        help="the number of processes (default: 1)",
    )
    add(
        "--shards",
        metavar="N",
        default=8,
        type=_checked("--shards", lambda name, value: parse_whole(name, value, 1, 10_000)),
        help="how many parts to split the runs into, with --workers or --state (default: 8)",
    )


def _checked(name: str, parse: Callable[[str, object], T]) -> Callable[[str], T]:
    """A type of argparse that checks as for code."""

    def check(text: str) -> T:
        try:
            return parse(name, whole_if_written(text))
        except InvalidSetting as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error.allowed}") from None

    return check


def _seconds(name: str, unit: int) -> Callable[[str], float]:
    def check(text: str) -> float:
        try:
            # An hour has its limit where a second has it.
            return parse_seconds(name, parse_seconds(name, text) * unit)
        except InvalidSetting:
            allowed = f"It must be a number of {name[2:]} greater than 0."
            raise argparse.ArgumentTypeError(f"{text!r}: {allowed}") from None

    return check


def _folder(text: str) -> Path:
    if not text:
        # An unset variable of a shell, rather than the current directory.
        raise argparse.ArgumentTypeError("It must be the path of a directory.")
    return Path(text)


def _search(given: argparse.Namespace) -> int:
    program, source = searching.load(given.program)
    has_limit = given.seconds is not None or given.state is not None
    return searching.search(
        searching.Request(
            given.program,
            program,
            source,
            given.runs if given.runs is not None or has_limit else 200,
            given.seconds,
            given.strategy,
            given.seed,
            given.order,
            given.state,
            given.workers,
            given.shards,
        )
    )


def _replay(given: argparse.Namespace) -> int:
    program, _ = searching.load(given.program)
    return searching.replay(given.program, program, given.token)


def _explain(given: argparse.Namespace) -> int:
    print(explain(given.rule))
    return 0


def _decode(given: argparse.Namespace) -> int:
    print(decode(given.token))
    return 0


_WIDTH = 100

# How many choices of a token are shown; a short one may stand for millions.
_MOST_SHOWN = 10_000


def explain(name: str) -> str:
    """What a rule catches, why, and how to fix its findings.

    Raises:
        InvalidSetting: there is no such rule.
    """
    rule = parse_rule("rule", name)
    return finding_text.explain(rule_named(rule), DEFAULT_LEVELS[rule])


def decode(token: str) -> str:
    """What a token stands for, in words.

    Raises:
        InvalidToken: the token is malformed.

    >>> print(decode("3AKERpQ"))
    order     any
    slack     1
    seed      0
    Python    not known
    choices   3, of which 1 is not the first option
              0 0 1
    """
    schedule = tokens.decode(token)
    choices = schedule.choices
    others = sum(choice != 0 for choice in choices)
    python = "not known" if schedule.python is None else ".".join(map(str, schedule.python))
    lines = [
        f"order     {schedule.order}",
        f"slack     {schedule.slack:g}",
        f"seed      {schedule.seed}",
        f"Python    {python}",
    ]
    if not choices:
        return "\n".join([*lines, "choices   none: the order of stock asyncio"])
    verb = "is" if others == 1 else "are"
    lines.append(f"choices   {len(choices):,}, of which {others:,} {verb} not the first option")
    indent = " " * 10
    text = " ".join(map(str, choices[:_MOST_SHOWN]))
    lines += textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(choices) > _MOST_SHOWN:
        lines.append(f"{indent}... and {len(choices) - _MOST_SHOWN:,} more")
    return "\n".join(lines)
