"""The command line: sources in, JSON on standard output, a progress bar on standard error."""

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TypeVar

from fetcher.errors import InvalidArgument
from fetcher.fetching import DEFAULT_LIMIT, DEFAULT_RETRIES, DEFAULT_TIMEOUT, fetch_all_data
from fetcher.progress import progress_bar
from fetcher.results import Result, results_in_order
from fetcher.validation import checked_limit, checked_retries, checked_timeout

_T = TypeVar("_T")

_SOURCES_HELP = """\
a source is one of
  http://host/path, https://host/path            an API that answers with JSON
  sqlite:///path/to/file?query=SELECT...         a query to an SQLite file
  postgresql://user@host/name?query=SELECT...    a query to a PostgreSQL server

exit status
  0  every source was fetched
  1  some sources failed; their entries have "error" in place of "data"
  2  the command line is wrong
  130  interrupted; what had come in is printed, the rest marked SourceCancelled
"""


class ExitStatus(IntEnum):
    """What the command's exit status means."""

    ALL_FETCHED = 0
    SOME_FAILED = 1
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the sources named on the command line and print their results as JSON.

    Args:
        arguments: the command line without the program's name; the process's own if not given.

    Returns:
        The exit status, one of `ExitStatus`.
    """
    options = _parse(arguments)
    finished: dict[int, Result] = {}
    status = ExitStatus.ALL_FETCHED
    with progress_bar(len(options.sources), shown=not options.quiet) as advance:

        def keep(position: int, result: Result) -> None:
            finished[position] = result
            advance(result)

        batch = fetch_all_data(
            options.sources,
            limit=options.limit,
            timeout=options.timeout,
            retries=options.retries,
            on_result=keep,
        )
        try:
            # On Ctrl-C, `run` cancels the batch, waits until it has closed its connections, and
            # raises KeyboardInterrupt here.
            asyncio.run(batch)
        except KeyboardInterrupt:
            status = ExitStatus.INTERRUPTED
    results = results_in_order(options.sources, finished)
    if status is ExitStatus.ALL_FETCHED and any("error" in result for result in results):
        status = ExitStatus.SOME_FAILED
    # A database's own types (dates, decimals, bytes) have no form in JSON: they become text.
    print(json.dumps(results, indent=2, default=str))
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fetcher",
        description="Fetch many sources at once and print their data as JSON.",
        epilog=_SOURCES_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="what to fetch; see below")
    parser.add_argument(
        "--limit",
        type=_limit,
        default=DEFAULT_LIMIT,
        metavar="NUMBER",
        help="how many sources are in flight at once (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_timeout,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long each attempt at a source may take (default: %(default)s)",
    )
    parser.add_argument(
        "--retries",
        type=_retries,
        default=DEFAULT_RETRIES,
        metavar="NUMBER",
        help="how many times a source is tried again, after 1, 2, 4, ... seconds, when it can't be "
        "reached, takes too long or answers with a server error (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser.parse_args(arguments)


def _limit(text: str) -> int:
    return _checked(checked_limit, _number(text, int))


def _timeout(text: str) -> float:
    return _checked(checked_timeout, _number(text, float))


def _retries(text: str) -> int:
    return _checked(checked_retries, _number(text, int))


def _number(text: str, kind: Callable[[str], float]) -> float | str:
    try:
        return kind(text)
    except ValueError:
        return text  # left to the check, which says what is allowed


def _checked(check: Callable[[object], _T], value: object) -> _T:
    try:
        return check(value)
    except InvalidArgument as error:
        raise argparse.ArgumentTypeError(str(error)) from error
